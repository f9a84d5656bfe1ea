// How vehicles download without metadata: nonces (/get_nonce), and the images that they open (/ota_download).

import type Router from '@koa/router';
import { otaDownload } from '../../../src/contract/endpoints/vehicles/download.ts';
import { getNonce, nonceText, postNonce } from '../../../src/contract/endpoints/vehicles/nonce.ts';
import { imageFile } from '../../../src/contract/fields.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { firstIssue } from '../../../src/core/schema-issue.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import type { AvailableReleases } from '../releases/available.ts';
import type { ImageSender } from '../releases/send-image.ts';
import { vinOf } from './asked-vehicle.ts';
import {
  NONCE_LIFE_MS,
  type NonceOwner,
  type NonceRefusal,
  type NonceStore,
} from './nonce-store.ts';

const REFUSALS: Record<NonceRefusal, string> = {
  UNKNOWN: 'this nonce was never given out: get one from /get_nonce',
  FOREIGN: 'this nonce was given to another client: get one from /get_nonce',
  EXPIRED: 'this nonce has expired: get another one from /get_nonce',
  OTHER_FILE: 'this nonce belongs to another file: get one for each file',
  USED: 'this nonce has been used for the whole image: get another one from /get_nonce (a download that was cut off goes on with a Range until the last byte was sent)',
};

export interface DownloadRoutesParts {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly available: AvailableReleases;
  readonly sender: ImageSender;
  readonly nonces: NonceStore;
}

/** Nonces, and the images that they open. */
export function downloadRoutes(parts: DownloadRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  const giveNonce = async (ctx: AppContext): Promise<void> => {
    if (ctx.method === 'HEAD') {
      ctx.status = 200; // a look gives nothing out
      return;
    }
    const asker = askerOf(ctx);
    const nonce = await parts.nonces.issue(asker);
    if (nonce === undefined) {
      await refused(parts, asker, 'LIMIT');
      parts.guard.gate.counts.refused('nonce', asker.address, 60_000, parts.clock.nowMs());
      throw new HttpProblem(
        429,
        'NONCE_LIMIT',
        'this address has too many open nonces: use them or wait until they expire',
        { headers: { 'Retry-After': '60' } },
      );
    }
    await parts.audit.record({ action: 'nonce.issued', ...identity(asker) });
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { nonce, expiresInSeconds: NONCE_LIFE_MS / 1000 };
  };
  router.answer(getNonce, giveNonce);
  router.answer(postNonce, giveNonce);

  router.answer(otaDownload, async (ctx) => {
    // The name is checked as text first, then the nonce: a client without one cannot find out which files exist.
    const name = imageFile.safeParse(ctx.params.file);
    if (!name.success) throw new HttpProblem(400, 'BAD_NAME', firstIssue(name.error).message);
    const asker = askerOf(ctx);
    const nonce = await checkedNonce(ctx, parts, asker);
    const release = await parts.available.download(name.data);
    await parts.available.requireHere(release.file);
    await parts.sender.send(ctx, release, {
      who: asker.vin ?? '',
      stranger: asker.stranger,
      actions: {
        start: 'download.start',
        complete: 'download.complete',
        aborted: 'download.aborted',
      },
      allow: async (whole) => {
        const refusal = await parts.nonces.claim(nonce, asker, release, whole);
        if (refusal !== undefined) throw await refused(parts, asker, refusal);
      },
      sent: (sent) => parts.nonces.sent(nonce, release, sent),
    });
  });

  return router;
}

async function checkedNonce(
  ctx: AppContext,
  parts: Pick<DownloadRoutesParts, 'audit' | 'nonces'>,
  asker: Client,
): Promise<string> {
  const given = ctx.query.nonce;
  if (given === undefined || given === '') {
    await parts.audit.record({
      action: 'nonce.refused',
      ...identity(asker),
      detail: 'NONCE_MISSING',
    });
    throw new HttpProblem(
      403,
      'NONCE_MISSING',
      'a download needs ?nonce= with one from /get_nonce',
    );
  }
  const nonce = nonceText.safeParse(given);
  if (!nonce.success) throw await refused(parts, asker, 'UNKNOWN');
  const refusal = await parts.nonces.check(nonce.data.toLowerCase(), asker);
  if (refusal !== undefined) throw await refused(parts, asker, refusal);
  return nonce.data.toLowerCase();
}

async function refused(
  parts: Pick<DownloadRoutesParts, 'audit'>,
  asker: Client,
  refusal: NonceRefusal | 'LIMIT',
): Promise<HttpProblem> {
  const code = `NONCE_${refusal}` as const;
  await parts.audit.record({ action: 'nonce.refused', ...identity(asker), detail: code });
  return new HttpProblem(403, code, refusal === 'LIMIT' ? '' : REFUSALS[refusal]);
}

/** Who asks, and from where, for the log. */
interface Client extends NonceOwner {
  readonly from: string;
  readonly stranger: boolean;
}

function askerOf(ctx: AppContext): Client {
  const { address, device } = ctx.state;
  const stranger = device === undefined;
  return { address: device?.serial ?? address, vin: vinOf(ctx), from: address, stranger };
}

function identity({ vin, from, stranger }: Client): {
  who: string;
  address: string;
  stranger: boolean;
} {
  return { who: vin ?? '', address: from, stranger };
}

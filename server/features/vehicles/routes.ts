// What vehicles ask: /latest_version, /get_nonce, /ota_download and /report_versions.

import { createHash } from 'node:crypto';
import type Router from '@koa/router';
import { otaDownload } from '../../../src/contract/endpoints/vehicles/download.ts';
import { latestVersion } from '../../../src/contract/endpoints/vehicles/latest-version.ts';
import { getNonce, nonceText, postNonce } from '../../../src/contract/endpoints/vehicles/nonce.ts';
import { reportVersions } from '../../../src/contract/endpoints/vehicles/report-versions.ts';
import { imageFile } from '../../../src/contract/fields.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { firstIssue } from '../../../src/core/schema-issue.ts';
import { type RouteGuard, requireOwnVehicle } from '../../platform/auth/access.ts';
import { networkOf } from '../../platform/auth/addresses.ts';
import type { CallerGate } from '../../platform/auth/callers.ts';
import { parseInput, readJson } from '../../platform/http/body.ts';
import { matchesEtag } from '../../platform/http/byte-range.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import type { DeviceStore } from '../registry/store.ts';
import type { AvailableRelease, AvailableReleases } from '../releases/available.ts';
import type { ImageSender } from '../releases/send-image.ts';
import {
  NONCE_LIFE_MS,
  type NonceOwner,
  type NonceRefusal,
  type NonceStore,
} from './nonce-store.ts';
import type { ReportStore } from './report-store.ts';

// Built once: zod compiles a schema, which costs more than using it.
const ecuQuery = latestVersion.request.query.pick({ ecu: true });
const vinQuery = latestVersion.request.query.pick({ vin: true });

const REFUSALS: Record<NonceRefusal, string> = {
  UNKNOWN: 'this nonce was never given out: get one from /get_nonce',
  FOREIGN: 'this nonce was given to another client: get one from /get_nonce',
  EXPIRED: 'this nonce has expired: get another one from /get_nonce',
  OTHER_FILE: 'this nonce belongs to another file: get one for each file',
  USED: 'this nonce has been used for the whole image: get another one from /get_nonce (a download that was cut off goes on with a Range until the last byte was sent)',
};

export interface VersionRoutesParts {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly gate: CallerGate;
  readonly available: AvailableReleases;
  readonly devices: DeviceStore;
  readonly reports: ReportStore;
}

/** What is new, and what a vehicle runs. */
export function versionRoutes(parts: VersionRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(latestVersion, async (ctx) => {
    const vin = vinOf(ctx);
    const ecus = parseInput(ecuQuery, { ecu: ctx.query.ecu }).ecu;
    const offered = await parts.available.newest(ecus);
    const body = JSON.stringify({ vin: vin ?? null, releases: offered.map(releaseJson) });
    // The tag covers what the Director decides by: a vehicle that is told 304 does not ask it.
    const revision = parts.available.revision;
    const devices = vin === undefined ? [] : await parts.devices.revisionOf(vin);
    const decidedBy = JSON.stringify([revision, devices]);
    const etag = `"${createHash('sha256').update(decidedBy).update(body).digest('base64url')}"`;
    ctx.set('ETag', etag);
    ctx.set('Cache-Control', 'private, no-cache');
    ctx.vary('X-Vehicle-VIN');
    if (matchesEtag(ctx.headers['if-none-match'], etag)) {
      ctx.status = 304;
      return;
    }
    ctx.type = 'application/json';
    ctx.body = body;
  });

  router.answer(reportVersions, async (ctx) => {
    const body = await readJson(ctx, parts.clock);
    const report = parseInput(reportVersions.request.body, body.value);
    requireOwnVehicle(ctx, report.vin);
    const stranger = strangerOf(ctx);
    if (stranger !== undefined) await parts.gate.stranger(ctx);
    if (await parts.reports.add(report, ctx.state.address, stranger)) {
      await parts.audit.record({
        action: 'report',
        stranger: stranger !== undefined,
        who: report.vin,
        address: ctx.state.address,
        detail: `${report.outcome} ${report.ecus.map((ecu) => `${ecu.name} ${ecu.version ?? '?'}`).join(', ')}`,
      });
    }
    // The digest shows that this server has the report: the vehicle deletes its copy then.
    ctx.set('X-Checksum-SHA256', createHash('sha256').update(body.bytes).digest('hex'));
    ctx.status = 204;
  });

  return router;
}

export interface DownloadRoutesParts {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly gate: CallerGate;
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
      parts.gate.counts.refused('nonce', asker.address, 60_000, parts.clock.nowMs());
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
    // The name is judged as text first, then the nonce: who has none cannot find out which files exist.
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

function releaseJson(release: AvailableRelease): Record<string, unknown> {
  return {
    ecu: release.ecu,
    version: release.version,
    file: release.file,
    size: release.size,
    sha256: release.sha256,
    notes: release.notes,
    url: `/ota_download/${encodeURIComponent(release.file)}`,
  };
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

/** The network of a vehicle that is not logged in, where vehicles need no log-in. */
function strangerOf(ctx: AppContext): string | undefined {
  return ctx.state.device === undefined ? networkOf(ctx.state.address) : undefined;
}

function askerOf(ctx: AppContext): Client {
  const { address, device } = ctx.state;
  const stranger = device === undefined;
  return { address: device?.serial ?? address, vin: vinOf(ctx), from: address, stranger };
}

/** What was asked for; of a device with a session always its own vehicle. */
function vinOf(ctx: AppContext): string | undefined {
  const given = ctx.query.vin ?? ctx.headers['x-vehicle-vin'];
  const { vin } = parseInput(vinQuery, { vin: given });
  if (vin !== undefined) requireOwnVehicle(ctx, vin);
  return vin ?? ctx.state.device?.vin;
}

function identity({ vin, from, stranger }: Client): {
  who: string;
  address: string;
  stranger: boolean;
} {
  return { who: vin ?? '', address: from, stranger };
}

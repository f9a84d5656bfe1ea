// The image repository's interface (5.3.1): public metadata and images, and uploads of what was signed offline.

import type Router from '@koa/router';
import { directorRoot } from '../../../src/contract/endpoints/director/director-root.ts';
import { uploadDirectorRoot } from '../../../src/contract/endpoints/director/upload-root.ts';
import { imageMetadata } from '../../../src/contract/endpoints/releases/image-metadata.ts';
import { target } from '../../../src/contract/endpoints/releases/target.ts';
import {
  MAX_METADATA_BYTES,
  uploadMetadata,
} from '../../../src/contract/endpoints/releases/upload-metadata.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { nameOf, type RouteGuard } from '../../platform/auth/access.ts';
import { requireCsrf } from '../../platform/auth/person-session.ts';
import { parseInput, readBytes } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import type { Uptane } from '../director/uptane.ts';
import type { AvailableReleases } from './available.ts';
import type { ImageSender } from './send-image.ts';
import { metadataFile, sendMetadata } from './send-metadata.ts';

export interface MetadataRoutesParts {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly uptane: Uptane;
  readonly available: AvailableReleases;
  readonly sender: ImageSender;
}

export function metadataRoutes(parts: MetadataRoutesParts): Router<RequestState> {
  const { uptane, available, sender } = parts;
  const router = guardedRouter(parts.guard);

  router.answer(imageMetadata, async (ctx) => {
    const file = metadataFile(ctx.params.file ?? '');
    const bytes = await uptane.imageMetadata(file);
    if (bytes === undefined) {
      throw new HttpProblem(404, 'NOT_FOUND', 'the image repository has no such file');
    }
    sendMetadata(ctx, file, bytes);
  });

  // Roots only: the other files of a Director belong to one vehicle.
  router.answer(directorRoot, async (ctx) => {
    const file = metadataFile(ctx.params.file ?? '');
    const [, version] = /^(?:([1-9]\d{0,8})\.)?root\.json$/.exec(file) ?? [undefined, 'none'];
    const roots = uptane.directorRoots;
    const bytes = version === undefined ? roots?.bytes : roots?.find(Number(version));
    if (bytes === undefined) throw new HttpProblem(404, 'NOT_FOUND', 'there is no such Root');
    sendMetadata(ctx, file, bytes);
  });

  router.answer(target, async (ctx) => {
    const mayReadPlain = ctx.state.token?.role === 'director';
    const image = await available.publicTarget(ctx.params.file ?? '', mayReadPlain);
    await available.requireHere(image.file);
    await sender.send(ctx, image, { who: '', actions: {} });
  });

  router.answer(uploadMetadata, async (ctx) => {
    const who = await publisher(ctx, parts);
    const { role } = parseInput(uploadMetadata.request.params, ctx.params);
    const { images } = uptane;
    if (images === undefined) {
      throw new HttpProblem(
        409,
        'NO_REPOSITORY',
        'this server is a Director only: upload to its image repository',
      );
    }
    await publish(ctx, parts, `images ${role}`, who, (bytes) => images.upload(role, bytes));
  });

  router.answer(uploadDirectorRoot, async (ctx) => {
    const who = await publisher(ctx, parts);
    const { directorRoots } = uptane;
    if (directorRoots === undefined) {
      throw new HttpProblem(409, 'NO_REPOSITORY', 'this server is no Director');
    }
    await publish(ctx, parts, 'director root', who, async (bytes) => {
      const same = Buffer.compare(directorRoots.bytes, bytes) === 0;
      if (same) return { version: directorRoots.version, changed: false };
      return { version: await directorRoots.add(bytes), changed: true };
    });
  });

  return router;
}

/** A person needs his CSRF token, too. */
async function publisher(
  ctx: AppContext,
  parts: Pick<MetadataRoutesParts, 'audit'>,
): Promise<string> {
  if (ctx.state.token === undefined) await requireCsrf(ctx, parts, ctx.get('X-CSRF-Token'));
  return nameOf(ctx);
}

async function publish(
  ctx: AppContext,
  parts: Pick<MetadataRoutesParts, 'audit' | 'clock'>,
  what: string,
  who: string,
  take: (bytes: Uint8Array) => Promise<{ version: number; changed: boolean }>,
): Promise<void> {
  const { address } = ctx.state;
  const bytes = Uint8Array.from(await readBytes(ctx, parts.clock, MAX_METADATA_BYTES));
  try {
    const { version, changed } = await take(bytes);
    if (changed) {
      await parts.audit.record({
        action: 'metadata.published',
        who,
        address,
        detail: `${what} version ${version}`,
      });
    }
    ctx.status = changed ? 201 : 200;
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { role: what, version, created: changed };
  } catch (error) {
    if (!(error instanceof HttpProblem)) throw error;
    await parts.audit.record({
      action: 'metadata.refused',
      who,
      address,
      detail: `${what}: ${error.message}`,
    });
    throw error;
  }
}

// The image repository's interface (5.3.1): metadata and images for everybody, uploads of what was signed offline.

import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { directorRoot } from '../../../src/contract/endpoints/director/director-root.ts';
import { uploadDirectorRoot } from '../../../src/contract/endpoints/director/upload-root.ts';
import { imageMetadata } from '../../../src/contract/endpoints/releases/image-metadata.ts';
import { target } from '../../../src/contract/endpoints/releases/target.ts';
import {
  MAX_METADATA_BYTES,
  uploadMetadata,
} from '../../../src/contract/endpoints/releases/upload-metadata.ts';
import { nameOf } from '../../platform/auth/access.ts';
import { parseInput, readBytes } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import type { Services } from '../../platform/http/services.ts';
import type { Uptane } from '../director/uptane.ts';
import { requireCsrf } from '../people/people.ts';
import { publicTarget, requireHere } from '../vehicles/offered.ts';
import { sendImage } from './send-image.ts';
import { metadataFile, sendMetadata } from './send-metadata.ts';

export function metadataRoutes(
  services: Services,
  uptane: Uptane,
  sessions: Middleware<RequestState>,
): Router<RequestState> {
  const router = guardedRouter(services, sessions);

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
    await uptane.releases.refresh();
    const image = await publicTarget(services, ctx.params.file ?? '', mayReadPlain);
    await requireHere(services, image.file);
    await sendImage(ctx, services, image, { who: '', actions: {} });
  });

  router.answer(uploadMetadata, async (ctx) => {
    const who = await publisher(ctx, services);
    const { role } = parseInput(uploadMetadata.request.params, ctx.params);
    const { images } = uptane;
    if (images === undefined) {
      throw new HttpProblem(
        409,
        'NO_REPOSITORY',
        'this server is a Director only: upload to its image repository',
      );
    }
    await publish(ctx, services, `images ${role}`, who, (bytes) => images.upload(role, bytes));
  });

  router.answer(uploadDirectorRoot, async (ctx) => {
    const who = await publisher(ctx, services);
    const { directorRoots } = uptane;
    if (directorRoots === undefined) {
      throw new HttpProblem(409, 'NO_REPOSITORY', 'this server is no Director');
    }
    await publish(ctx, services, 'director root', who, async (bytes) => {
      const same = Buffer.compare(directorRoots.bytes, bytes) === 0;
      if (same) return { version: directorRoots.version, changed: false };
      return { version: await directorRoots.add(bytes), changed: true };
    });
  });

  return router;
}

/** A person needs his CSRF token, too. */
async function publisher(ctx: AppContext, services: Services): Promise<string> {
  if (ctx.state.token === undefined) await requireCsrf(ctx, services, ctx.get('X-CSRF-Token'));
  return nameOf(ctx);
}

async function publish(
  ctx: AppContext,
  services: Services,
  what: string,
  who: string,
  take: (bytes: Uint8Array) => Promise<{ version: number; changed: boolean }>,
): Promise<void> {
  const { address } = ctx.state;
  const bytes = Uint8Array.from(await readBytes(ctx, services.clock, MAX_METADATA_BYTES));
  try {
    const { version, changed } = await take(bytes);
    if (changed) {
      await services.audit.record({
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
    await services.audit.record({
      action: 'metadata.refused',
      who,
      address,
      detail: `${what}: ${error.message}`,
    });
    throw error;
  }
}

// The chunked download of small devices: their five sealed paths (/ota).

import type Router from '@koa/router';
import { chunkCost } from '../../../src/contract/chunked/protocol.ts';
import { otaCheck } from '../../../src/contract/endpoints/small-devices/check.ts';
import { otaChunk } from '../../../src/contract/endpoints/small-devices/chunk.ts';
import { otaComplete } from '../../../src/contract/endpoints/small-devices/complete.ts';
import { otaStatus } from '../../../src/contract/endpoints/small-devices/status.ts';
import { otaVerify } from '../../../src/contract/endpoints/small-devices/verify.ts';
import { imageFile } from '../../../src/contract/fields.ts';
import { firstIssue } from '../../../src/core/schema-issue.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import type { SealedGuard } from '../../platform/auth/sealed-message.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { RequestState } from '../../platform/http/request.ts';
import { type SealedRequest, sealedPost } from '../../platform/http/sealed.ts';
import type { AvailableReleases } from '../releases/available.ts';
import { imageNotFound } from '../releases/send-image.ts';
import type { OtaService, SmallDeviceCaller, TransferFile } from './ota-service.ts';

export interface ChunkRoutesParts {
  readonly guard: RouteGuard;
  readonly sealed: SealedGuard;
  readonly ota: OtaService;
  readonly available: AvailableReleases;
}

export function chunkRoutes(parts: ChunkRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);
  const { ota, sealed } = parts;

  sealedPost(router, sealed, otaCheck, async (request) => {
    const wish = request.json(otaCheck.request.body);
    if (wish.kind === 'package') return { json: await ota.checkPackage(askerOf(request), wish) };
    const offered = await fileFor(parts.available, request, wish);
    return { json: await ota.checkFile(askerOf(request), wish, offered) };
  });

  // An open download has a budget of its own, in bytes; what asks for anything else counts like any request.
  sealedPost(
    router,
    sealed,
    otaChunk,
    async (request) => {
      const { ctx, device } = request;
      let counted = false;
      const count = async (bytes: number): Promise<void> => {
        counted = true;
        await parts.guard.gate.transfer(ctx, device.serial, chunkCost(bytes));
      };
      try {
        return {
          plain: await ota.chunks(askerOf(request), request.json(otaChunk.request.body), count),
        };
      } catch (error) {
        if (!counted) await parts.guard.gate.known(ctx, device.serial);
        throw error;
      }
    },
    { uncounted: true },
  );

  sealedPost(router, sealed, otaVerify, async (request) => ({
    json: await ota.verify(askerOf(request), request.json(otaVerify.request.body)),
  }));

  sealedPost(router, sealed, otaComplete, async (request) => {
    await ota.complete(askerOf(request), request.json(otaComplete.request.body));
    return { json: { recorded: true } };
  });

  sealedPost(router, sealed, otaStatus, async (request) => ({
    json: await ota.status(askerOf(request), request.json(otaStatus.request.body)),
  }));

  return router;
}

function askerOf({ ctx, device, session }: SealedRequest): SmallDeviceCaller {
  return { device, session, address: ctx.state.address };
}

/** A file of /ota_download for a vehicle. Throws HttpProblem 400, 403, 404. */
async function fileFor(
  available: AvailableReleases,
  { device }: SealedRequest,
  wish: { readonly file: string; readonly sha256: string },
): Promise<TransferFile> {
  if (device.vin === undefined) {
    throw new HttpProblem(403, 'FOREIGN_VEHICLE', `${device.serial} belongs to no vehicle`);
  }
  const name = imageFile.safeParse(wish.file);
  if (!name.success) throw new HttpProblem(400, 'BAD_NAME', firstIssue(name.error).message);
  const offered = await available.download(name.data);
  // The vehicle knows from signed metadata which bytes it wants; others of this name are of no use to it.
  if (offered.sha256 !== wish.sha256) throw imageNotFound();
  await available.requireHere(name.data);
  return offered;
}

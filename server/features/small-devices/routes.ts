// The chunked download of small devices: five sealed paths of theirs, packages in (POST /ota/packages), lists for operators.

import type Router from '@koa/router';
import type { Middleware } from 'koa';
import {
  CHECK_PATH,
  CHUNK_PATH,
  COMPLETE_PATH,
  checkRequest,
  chunkCost,
  chunkRequest,
  completeRequest,
  STATUS_PATH,
  statusRequest,
  VERIFY_PATH,
  verifyRequest,
} from '../../../src/contract/chunked/protocol.ts';
import { nameOf } from '../../platform/auth/access.ts';
import { parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { imageFile, serialText } from '../../platform/http/input.ts';
import type { RequestState } from '../../platform/http/request.ts';
import { type SealedRequest, sealedPost } from '../../platform/http/sealed.ts';
import type { Services } from '../../platform/http/services.ts';
import { storageProblem } from '../releases/image-store.ts';
import { imageNotFound } from '../releases/send-image.ts';
import { downloadOf, requireHere } from '../vehicles/offered.ts';
import type { OfferedFile, SmallDeviceCaller } from './ota-service.ts';
import { packageJson, receivePackage } from './receive-package.ts';
import { withdrawPackage } from './withdraw-package.ts';

/** Rows in an answer to an operator. */
const LISTED = 200;

export function otaRoutes(
  services: Services,
  sessions: Middleware<RequestState>,
): Router<RequestState> {
  const router = guardedRouter(services, sessions);
  const { ota, transfers, packages } = services;

  sealedPost(router, services, CHECK_PATH, async (request) => {
    const wish = request.json(checkRequest);
    if (wish.kind === 'package') return { json: await ota.checkPackage(askerOf(request), wish) };
    const offered = await offeredFile(services, request, wish);
    return { json: await ota.checkFile(askerOf(request), wish, offered) };
  });

  // An open download has a budget of its own, in bytes; what asks for anything else counts like any request.
  sealedPost(
    router,
    services,
    CHUNK_PATH,
    async (request) => {
      const { ctx, device } = request;
      let counted = false;
      const count = async (bytes: number): Promise<void> => {
        counted = true;
        await services.gate.transfer(ctx, services, device.serial, chunkCost(bytes));
      };
      try {
        return { plain: await ota.chunks(askerOf(request), request.json(chunkRequest), count) };
      } catch (error) {
        if (!counted) await services.gate.known(ctx, services, device.serial);
        throw error;
      }
    },
    { uncounted: true },
  );

  sealedPost(router, services, VERIFY_PATH, async (request) => ({
    json: await ota.verify(askerOf(request), request.json(verifyRequest)),
  }));

  sealedPost(router, services, COMPLETE_PATH, async (request) => {
    await ota.complete(askerOf(request), request.json(completeRequest));
    return { json: { recorded: true } };
  });

  sealedPost(router, services, STATUS_PATH, async (request) => ({
    json: await ota.status(askerOf(request), request.json(statusRequest)),
  }));

  router.post('/ota/packages', async (ctx) => {
    const name = nameOf(ctx);
    try {
      const result = await receivePackage(ctx, services, name);
      ctx.set('Cache-Control', 'no-store');
      ctx.status = result.kind === 'added' ? 201 : 200;
      ctx.body = { ...packageJson(result.package), created: result.kind === 'added' };
    } catch (error) {
      const problem = storageProblem(error);
      if (!(problem instanceof HttpProblem)) throw problem;
      await services.audit.record({
        action: 'package.refused',
        who: name,
        address: ctx.state.address,
        detail: problem.code,
      });
      throw problem;
    }
  });

  router.post('/ota/packages/withdraw', (ctx) => withdrawPackage(ctx, services));

  router.get('/ota/packages', async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { packages: (await packages.list(LISTED)).map(packageJson) };
  });

  router.get('/ota/transfers', async (ctx) => {
    const { serial } = ctx.query;
    const of = serial === undefined ? undefined : parseInput(serialText, serial);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { transfers: await transfers.list({ serial: of, limit: LISTED }) };
  });

  return router;
}

function askerOf({ ctx, device, session }: SealedRequest): SmallDeviceCaller {
  return { device, session, address: ctx.state.address };
}

/** A file of /ota_download for a vehicle. Throws HttpProblem 400, 403, 404. */
async function offeredFile(
  services: Services,
  { device }: SealedRequest,
  wish: { readonly file: string; readonly sha256: string },
): Promise<OfferedFile> {
  if (device.vin === undefined) {
    throw new HttpProblem(403, 'FOREIGN_VEHICLE', `${device.serial} belongs to no vehicle`);
  }
  const name = imageFile.safeParse(wish.file);
  if (!name.success) throw new HttpProblem(400, 'BAD_NAME', name.error.issues[0]!.message);
  const offered = await downloadOf(services, name.data);
  // The vehicle knows from signed metadata which bytes it wants; others of this name are of no use to it.
  if (offered.sha256 !== wish.sha256) throw imageNotFound();
  await requireHere(services, name.data);
  return offered;
}

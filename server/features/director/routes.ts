// The Director's interface (5.3.2): check-in, time, and the metadata of one vehicle.

import type Router from '@koa/router';
import { z } from 'zod';
import { checkinTelemetry } from '../../../src/contract/checkin-telemetry.ts';
import { MAX_TIME_NONCES } from '../../../src/trust/time-attestation.ts';
import { requireOwnVehicle } from '../../platform/auth/access.ts';
import { parseInput, readJson } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { hexText, vehicleId } from '../../platform/http/input.ts';
import type { RequestState } from '../../platform/http/request.ts';
import type { Services } from '../../platform/http/services.ts';
import { metadataFile, sendMetadata } from '../releases/send-metadata.ts';
import type { Director } from './director.ts';

/** A manifest of 64 ECUs with their signatures. */
const MAX_CHECKIN_BYTES = 256 * 1024;

const nonces = z.array(hexText(16)).max(MAX_TIME_NONCES).default([]);
const checkinBody = z.strictObject({
  vin: vehicleId,
  manifest: z.unknown(),
  telemetry: checkinTelemetry.optional(),
  nonces,
});
const timeBody = z.strictObject({ nonces });
const metadataPath = z.object({ vin: vehicleId, file: z.string().max(100) });

export function directorRoutes(services: Services, director: Director): Router<RequestState> {
  const router = guardedRouter(services);

  router.post('/vehicle/checkin', async (ctx) => {
    const json = await readJson(ctx, services.clock, MAX_CHECKIN_BYTES);
    const body = parseInput(checkinBody, json);
    const answer = await director.checkin(ctx.state.device!, body, ctx.state.address);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { time: await director.time(body.nonces), ...answer };
  });

  router.post('/vehicle/time', async (ctx) => {
    const body = parseInput(timeBody, await readJson(ctx, services.clock));
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { time: await director.time(body.nonces) };
  });

  router.get('/director/:vin/metadata/:file', async (ctx) => {
    const { vin, file: name } = parseInput(metadataPath, ctx.params);
    requireOwnVehicle(ctx, vin);
    const file = metadataFile(name);
    const bytes = await director.file(vin, file);
    if (bytes === undefined) {
      throw new HttpProblem(
        404,
        'NOT_FOUND',
        `there is no ${file} for ${vin}: the first check-in makes the metadata of a vehicle`,
      );
    }
    sendMetadata(ctx, file, bytes);
  });

  return router;
}

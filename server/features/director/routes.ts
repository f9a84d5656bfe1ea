// The Director's interface (5.3.2): check-in, time, and the metadata of one vehicle.

import type Router from '@koa/router';
import { checkin } from '../../../src/contract/endpoints/director/checkin.ts';
import { vehicleTime } from '../../../src/contract/endpoints/director/time.ts';
import { vehicleMetadata } from '../../../src/contract/endpoints/director/vehicle-metadata.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { type RouteGuard, requireOwnVehicle } from '../../platform/auth/access.ts';
import { parseInput, readBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { type RequestState, requiredDevice } from '../../platform/http/request.ts';
import { metadataFile, sendMetadata } from '../releases/send-metadata.ts';
import type { Director } from './director.ts';

export interface DirectorRoutesParts {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly director: Director;
}

export function directorRoutes(parts: DirectorRoutesParts): Router<RequestState> {
  const { director } = parts;
  const router = guardedRouter(parts.guard);

  router.answer(checkin, async (ctx) => {
    const body = await readBody(ctx, checkin, parts.clock);
    const answer = await director.checkin(requiredDevice(ctx), body, ctx.state.address);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { time: await director.time(body.nonces), ...answer };
  });

  router.answer(vehicleTime, async (ctx) => {
    const body = await readBody(ctx, vehicleTime, parts.clock);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { time: await director.time(body.nonces) };
  });

  router.answer(vehicleMetadata, async (ctx) => {
    const { vin, file: name } = parseInput(vehicleMetadata.request.params, ctx.params);
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

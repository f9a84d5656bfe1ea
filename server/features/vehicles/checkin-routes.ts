// What operators see of the last check-in of a vehicle (GET /vehicles/<vin>/checkin).

import type Router from '@koa/router';
import { vehicleCheckin } from '../../../src/contract/endpoints/vehicles/vehicle-checkin.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { RequestState } from '../../platform/http/request.ts';
import type { OperatorAccess } from '../commands/operator-access.ts';
import { checkinJson } from './checkin-view.ts';
import type { VehicleStore } from './store.ts';
import { shownState } from './vehicle-state.ts';

export function checkinRoutes(parts: {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly operators: OperatorAccess;
  readonly vehicles: VehicleStore;
}): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(vehicleCheckin, async (ctx) => {
    const vin = await parts.operators.knownVehicle(ctx);
    const vehicle = await parts.vehicles.find(vin);
    if (vehicle === undefined) {
      throw new HttpProblem(404, 'VEHICLE_UNKNOWN', `${vin} has not checked in yet`);
    }
    ctx.set('Cache-Control', 'no-store');
    ctx.body = checkinJson(shownState(vehicle, parts.clock.wallMs()));
  });

  return router;
}

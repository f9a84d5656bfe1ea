// GET /vehicles: the page of all vehicles, or of one.

import type Router from '@koa/router';
import { vehiclesPage } from '../../../src/contract/endpoints/people/pages.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { parseInput } from '../../platform/http/body.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { type RequestState, requiredPerson } from '../../platform/http/request.ts';
import type { VehiclePages } from './page.ts';

export function vehiclesRoutes(guard: RouteGuard, pages: VehiclePages): Router<RequestState> {
  const router = guardedRouter(guard);

  router.answer(vehiclesPage, async (ctx) => {
    const { vin } = parseInput(vehiclesPage.request.query, { vin: ctx.query.vin });
    const person = requiredPerson(ctx);
    if (vin === undefined) await pages.all(ctx, person);
    else await pages.one(ctx, person, vin);
  });

  return router;
}

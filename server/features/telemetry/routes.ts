// What operators see of measured data (GET /telemetry/<vin>).

import type Router from '@koa/router';
import { listSamples } from '../../../src/contract/endpoints/telemetry/list-samples.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { parseInput } from '../../platform/http/body.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { RequestState } from '../../platform/http/request.ts';
import type { OperatorAccess } from '../commands/operator-access.ts';
import { csvOf } from '../commands/views.ts';
import type { TelemetryStore } from './store.ts';

export function telemetryRoutes(parts: {
  readonly guard: RouteGuard;
  readonly operators: OperatorAccess;
  readonly telemetry: TelemetryStore;
}): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(listSamples, async (ctx) => {
    const vin = await parts.operators.knownVehicle(ctx);
    const { format, ...filter } = parseInput(listSamples.request.query, { ...ctx.query });
    const samples = await parts.telemetry.samples(vin, filter);
    const accepted = ctx.accepts('application/json', 'text/csv') === 'text/csv' ? 'csv' : 'json';
    if ((format ?? accepted) === 'csv') {
      ctx.type = 'text/csv; charset=utf-8';
      ctx.body = csvOf(samples);
      return;
    }
    ctx.body = { vin, counts: await parts.telemetry.counts(vin), samples };
  });

  return router;
}

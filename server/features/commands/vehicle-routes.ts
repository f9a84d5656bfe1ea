// What a vehicle tells and asks about its configuration and its commands (POST /vehicle/sync), and what it has measured (POST /telemetry).

import type Router from '@koa/router';
import { vehicleSync } from '../../../src/contract/endpoints/vehicles/sync.ts';
import { telemetryUpload } from '../../../src/contract/endpoints/vehicles/telemetry-upload.ts';
import { unpackBatch } from '../../../src/contract/telemetry.ts';
import { type RouteGuard, requireOwnVehicle } from '../../platform/auth/access.ts';
import type { SealedGuard } from '../../platform/auth/sealed-message.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { RequestState } from '../../platform/http/request.ts';
import { sealedPost } from '../../platform/http/sealed.ts';
import type { TelemetryStore } from '../telemetry/store.ts';
import { handleSync, type SyncStores } from './vehicle-sync.ts';

export interface RemoteRoutesParts {
  readonly guard: RouteGuard;
  readonly sealed: SealedGuard;
  readonly sync: SyncStores;
  readonly telemetry: TelemetryStore;
}

export function remoteRoutes(parts: RemoteRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  sealedPost(router, parts.sealed, vehicleSync, async ({ ctx, json }) => {
    const request = json(vehicleSync.request.body);
    requireOwnVehicle(ctx, request.vin);
    return { json: await handleSync(parts.sync, request, ctx.state.address) };
  });

  sealedPost(router, parts.sealed, telemetryUpload, async ({ ctx, body }) => {
    const batch = unpackBatch(body);
    if (batch === undefined) {
      throw new HttpProblem(
        400,
        'BAD_FIELD',
        'the body is no batch of samples: expected its JSON in gzip, at most 1 MiB of it',
      );
    }
    requireOwnVehicle(ctx, batch.vin);
    return { json: { stored: await parts.telemetry.store(batch, ctx.state.address) } };
  });

  return router;
}

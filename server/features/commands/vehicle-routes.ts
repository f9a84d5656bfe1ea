// What a vehicle tells and asks about its configuration and its commands (POST /vehicle/sync), and what it has measured (POST /telemetry).

import type Router from '@koa/router';
import { SYNC_PATH, syncRequest, TELEMETRY_PATH } from '../../../src/contract/sync.ts';
import { unpackBatch } from '../../../src/contract/telemetry.ts';
import { requireOwnVehicle } from '../../platform/auth/access.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { RequestState } from '../../platform/http/request.ts';
import { sealedPost } from '../../platform/http/sealed.ts';
import type { Services } from '../../platform/http/services.ts';
import { handleSync } from './vehicle-sync.ts';

/** Sixteen reports, one of a configuration, and what the ECUs of a large vehicle can be told to do. */
const MAX_SYNC_BYTES = 128 * 1024;
/** A batch in gzip. */
const MAX_BATCH_BYTES = 256 * 1024;

export function serviceRoutes(services: Services): Router<RequestState> {
  const router = guardedRouter(services);

  sealedPost(
    router,
    services,
    SYNC_PATH,
    async ({ ctx, json }) => {
      const request = json(syncRequest);
      requireOwnVehicle(ctx, request.vin);
      return { json: await handleSync(services, request, ctx.state.address) };
    },
    { maxBytes: MAX_SYNC_BYTES },
  );

  sealedPost(
    router,
    services,
    TELEMETRY_PATH,
    async ({ ctx, body }) => {
      const batch = unpackBatch(body);
      if (batch === undefined) {
        throw new HttpProblem(
          400,
          'BAD_FIELD',
          'the body is no batch of samples: expected its JSON in gzip, at most 1 MiB of it',
        );
      }
      requireOwnVehicle(ctx, batch.vin);
      return { json: { stored: await services.telemetry.store(batch, ctx.state.address) } };
    },
    { maxBytes: MAX_BATCH_BYTES },
  );

  return router;
}

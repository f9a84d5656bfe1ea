// A server that signs nothing (no --trust) says so where a TMU asks for what is signed.

import Router from '@koa/router';
import { checkin } from '../../../src/contract/endpoints/director/checkin.ts';
import { vehicleTime } from '../../../src/contract/endpoints/director/time.ts';
import { vehicleMetadata } from '../../../src/contract/endpoints/director/vehicle-metadata.ts';
import { imageMetadata } from '../../../src/contract/endpoints/releases/image-metadata.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { RequestState } from '../../platform/http/request.ts';

/** In place of the routes of Director and image repository. */
export function noTrustRoutes(): Router<RequestState> {
  const router = new Router<RequestState>();
  const refuse = (): never => {
    throw new HttpProblem(
      404,
      'NO_TRUST',
      'this server runs without --trust and signs nothing, so no TMU can be updated by it: start it with --trust and ' +
        'the folder of "can-ota keys export-online"',
    );
  };
  for (const { path, method } of [checkin, vehicleTime, vehicleMetadata, imageMetadata]) {
    router.register(path, [method], refuse);
  }
  return router;
}

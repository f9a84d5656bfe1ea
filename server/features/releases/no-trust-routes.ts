// A server that signs nothing (no --trust) says so where a TMU asks for what is signed.

import Router from '@koa/router';
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
  router.post('/vehicle/checkin', refuse);
  router.post('/vehicle/time', refuse);
  router.get('/director/:vin/metadata/:file', refuse);
  router.get('/metadata/:file', refuse);
  return router;
}

// The sessions of devices: POST /auth/challenge and POST /auth/response.

import Router from '@koa/router';
import { deviceProblem } from '../auth/callers.ts';
import { parseInput, readJson } from '../http/body.ts';
import type { RequestState, Services } from '../http/context.ts';
import { challengeBody, responseBody } from './input.ts';

export function deviceRoutes(services: Services): Router<RequestState> {
  const router = new Router<RequestState>();

  router.post('/auth/challenge', async (ctx) => {
    await services.gate.anonymous(ctx, services);
    const { serial, clientNonce } = parseInput(challengeBody, await readJson(ctx, services.clock));
    ctx.set('Cache-Control', 'no-store');
    ctx.body = await services.deviceSessions.challenge(serial, clientNonce);
  });

  router.post('/auth/response', async (ctx) => {
    await services.gate.anonymous(ctx, services);
    const body = parseInput(responseBody, await readJson(ctx, services.clock));
    const session = await services.deviceSessions.respond(body.challenge, body.clientProof);
    if (session === undefined) {
      await services.audit.record({
        action: 'refused.device',
        address: ctx.state.address,
        detail: 'POST /auth/response',
      });
      throw deviceProblem();
    }
    ctx.set('Cache-Control', 'no-store');
    ctx.body = session;
  });

  return router;
}

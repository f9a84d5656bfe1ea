// The sessions of devices: POST /auth/challenge, POST /auth/response, and the next key by POST /auth/rotate.

import type Router from '@koa/router';
import { challenge } from '../../../src/contract/endpoints/registry/challenge.ts';
import { answerChallenge } from '../../../src/contract/endpoints/registry/response.ts';
import { rotate } from '../../../src/contract/endpoints/registry/rotate.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { encrypts } from '../../../src/trust/sealed-session.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { deviceProblem } from '../../platform/auth/callers.ts';
import type { SealedGuard } from '../../platform/auth/sealed-message.ts';
import { readBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { RequestState } from '../../platform/http/request.ts';
import { sealedPost } from '../../platform/http/sealed.ts';
import type { AuditLog } from '../audit/store.ts';
import type { DeviceSessions } from './device-sessions.ts';

export interface DeviceRoutesParts {
  readonly guard: RouteGuard;
  readonly sealed: SealedGuard;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly deviceSessions: DeviceSessions;
}

export function deviceRoutes(parts: DeviceRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);
  const { deviceSessions } = parts;

  router.answer(challenge, async (ctx) => {
    const body = await readBody(ctx, challenge, parts.clock);
    const { serial, hw_id: hwId, clientNonce, clientKey } = body;
    const device = { serial, hwId };
    const given = await deviceSessions.challenge(device, clientNonce, clientKey);
    if (given === undefined) {
      throw new HttpProblem(
        409,
        'NO_KEY_PAIR',
        'this server signs nothing (--trust), or clientKey is no X25519 key: use the shared key of the device',
      );
    }
    ctx.set('Cache-Control', 'no-store');
    ctx.body = given;
  });

  router.answer(answerChallenge, async (ctx) => {
    const body = await readBody(ctx, answerChallenge, parts.clock);
    if (!deviceSessions.isFirstAnswer(body.challenge)) {
      await parts.guard.gate.anonymous(ctx, 'log-in');
    }
    const { clientProof: proof, clientSignature: signature, sealed: wish } = body;
    if (wish !== undefined && parts.sealed.encryptedOnly && !encrypts(wish.suite)) {
      throw new HttpProblem(
        403,
        'SUITE_REFUSED',
        `this server takes no sealed session without encryption (--encrypted-sessions): use a suite other than ${wish.suite}`,
      );
    }
    const answer = { challenge: body.challenge, proof, signature };
    const session =
      wish === undefined
        ? await deviceSessions.respond(answer)
        : await deviceSessions.openSealed({ ...answer, wish }, ctx.state.address);
    if (session === undefined) {
      await parts.audit.record({
        action: 'refused.device',
        address: ctx.state.address,
        detail: 'POST /auth/response',
      });
      throw deviceProblem();
    }
    if ('otherChip' in session) {
      const { otherChip, device } = session;
      await parts.audit.record({
        action: 'device.chip',
        who: device.serial,
        address: ctx.state.address,
        detail: `it says chip ${otherChip}, registered is chip ${device.hwId}: a copy of its identity, or a part that was exchanged`,
      });
      throw new HttpProblem(
        403,
        'OTHER_CHIP',
        `${device.serial} belongs to another chip than ${otherChip}: give this device an identity of its own ("can-ota provision" or "can-ota device enroll")`,
      );
    }
    ctx.set('Cache-Control', 'no-store');
    ctx.body = session;
  });

  // Sealed by the key that is in use: both sides have both keys until the device proves the next one.
  sealedPost(router, parts.sealed, rotate, async ({ session, json }) => {
    const { clientKey } = json(rotate.request.body);
    const serverKey = await deviceSessions.rotate(session, clientKey);
    if (serverKey === undefined) {
      throw new HttpProblem(400, 'BAD_FIELD', 'clientKey: no X25519 key');
    }
    return { json: { serverKey } };
  });

  return router;
}

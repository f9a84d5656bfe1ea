// The sessions of devices: POST /auth/challenge, POST /auth/response, and the next key by POST /auth/rotate.

import type Router from '@koa/router';
import { challenge } from '../../../src/contract/endpoints/registry/challenge.ts';
import { answerChallenge } from '../../../src/contract/endpoints/registry/response.ts';
import { rotate } from '../../../src/contract/endpoints/registry/rotate.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { nextDeviceKey } from '../../../src/trust/key-agreement.ts';
import { encrypts } from '../../../src/trust/sealed-session.ts';
import { generateX25519 } from '../../../src/trust/signing-key.ts';
import { deviceProblem } from '../../platform/auth/callers.ts';
import { readBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { RequestState } from '../../platform/http/request.ts';
import { sealedPost } from '../../platform/http/sealed.ts';
import type { Services } from '../../platform/http/services.ts';

export function deviceRoutes(services: Services): Router<RequestState> {
  const router = guardedRouter(services);
  const { deviceSessions, sealedSessions } = services;

  router.answer(challenge, async (ctx) => {
    const body = await readBody(ctx, challenge, services.clock);
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
    const body = await readBody(ctx, answerChallenge, services.clock);
    if (!deviceSessions.isFirstAnswer(body.challenge)) {
      await services.gate.anonymous(ctx, services, 'log-in');
    }
    const { clientProof: proof, clientSignature: signature, sealed: wish } = body;
    if (wish !== undefined && services.encryptedOnly && !encrypts(wish.suite)) {
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
      await services.audit.record({
        action: 'refused.device',
        address: ctx.state.address,
        detail: 'POST /auth/response',
      });
      throw deviceProblem();
    }
    if ('otherChip' in session) {
      const { otherChip, device } = session;
      await services.audit.record({
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
  sealedPost(router, services, rotate, async ({ session, json }) => {
    const { clientKey } = json(rotate.request.body);
    const pair = generateX25519(services.random);
    const keys = { clientKey, serverKey: toHex(pair.publicKey) };
    const next = nextDeviceKey(session, pair.privateKey, keys, 'server');
    if (next === undefined) throw new HttpProblem(400, 'BAD_FIELD', 'clientKey: no X25519 key');
    await sealedSessions.propose(session.serial, toHex(next));
    return { json: { serverKey: keys.serverKey } };
  });

  return router;
}

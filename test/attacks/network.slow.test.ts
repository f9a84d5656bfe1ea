// The table of attacks: whoever sits between the vehicle and its backend without any key, and listens, drops or delays.

import { expect } from 'vitest';
import { always } from '../support/attack-backend.ts';
import { listen, RunningClock } from '../support/attack-http.ts';
import { imageOf } from '../support/attack-repositories.ts';
import { onSocket, spoiling, UNAVAILABLE } from '../support/attack-spoiling.ts';
import { attacksOn } from '../support/attack-table.ts';
import { AttackedVehicle, DAY_MS, HOUR_MS } from '../support/attack-vehicle.ts';
import { away } from '../tmu/uptane/support.ts';

const attack = attacksOn('network');

// ---- reading ----

attack(
  {
    name: 'eavesdrop',
    has: 'the network, and everything that travels over it',
    does: 'looks for the image in it',
    vehicle: 'fetches a release that was encrypted for one ECU, and only that ECU opens it',
    code: 'none',
  },
  async () => {
    const w = await AttackedVehicle.start();
    const image = imageOf('EDT', 'secret');
    await w.releaseEncrypted(w.honest, 'EDT', '3.0.0', image);
    const heard = w.listenIn();
    const result = await w.once();
    expect(result.outcome, result.reason).toBe('SUCCESS');
    expect(w.ecu('EDT').storage.contents('bank-a.bin')).toEqual(image);
    expect(heard.bytes).toBeGreaterThan(2 * image.length);
    expect(heard.find(image)).toEqual([]);
    return result.code ?? 'none';
  },
);

attack(
  {
    name: 'eavesdrop on a release in plain',
    has: 'the network, and everything that travels over it',
    does: 'looks for the image in it',
    vehicle: 'fetches what was released in plain in plain',
    code: 'none',
    open: 'Whoever wants an image to stay secret releases it with --encrypt; TLS alone hides it from the network only.',
  },
  async () => {
    const w = await AttackedVehicle.start();
    const { image } = w.release(w.honest, 'EDT', '3.0.0');
    const heard = w.listenIn();
    const result = await w.once();
    expect(result.outcome).toBe('SUCCESS');
    expect(heard.find(image)).toEqual(['network', 'CAN bus']);
    return result.code ?? 'none';
  },
);

attack(
  {
    name: 'false backend',
    has: 'the address of the backend, and no key of the device',
    does: 'answers in its place, to learn who the vehicle is and what proves it',
    vehicle: 'lets the server prove itself first, and tells it nothing else',
    code: 'SERVER_NOT_AUTHENTIC',
  },
  async () => {
    const { code, asked } = await onSocket(
      (_request, response) => {
        const facts = { challenge: 'c'.repeat(64), serverNonce: '11'.repeat(16) };
        response.end(JSON.stringify({ ...facts, serverProof: '22'.repeat(32), expiresAt: '' }));
        return true;
      },
      { ...UNAVAILABLE, session: true },
    );
    expect(new Set(asked)).toEqual(new Set(['/auth/challenge']));
    return code;
  },
);

attack(
  {
    name: 'redirection',
    has: 'one answer of the backend',
    does: 'sends the vehicle to another server',
    vehicle: 'asks the server of its configuration and no other one',
    code: 'FOREIGN_ANSWER',
  },
  async () => {
    const { code } = await onSocket((_request, response) => {
      response.statusCode = 302;
      response.setHeader('location', 'http://127.0.0.1:9/');
      response.end();
      return true;
    }, UNAVAILABLE);
    return code;
  },
);

// ---- keeping the vehicle out of date ----

attack(
  {
    name: 'drop',
    has: 'the network',
    does: 'lets no request through',
    vehicle: 'keeps what it runs, and tries again',
    code: 'ECONNREFUSED',
  },
  () => spoiling((w) => w.backend.cutOff(), UNAVAILABLE),
);

attack(
  {
    name: 'drop for a day',
    has: 'the network',
    does: 'lets no request through for a day',
    vehicle: 'says since when no check has passed, and accuses nobody',
    code: 'ECONNREFUSED',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.backend.cutOff();
    expect(await w.refusal(UNAVAILABLE)).toBe('ECONNREFUSED');
    await w.advance(DAY_MS - HOUR_MS);
    expect(await w.refusal(UNAVAILABLE)).toBe('ECONNREFUSED');
    await w.advance(HOUR_MS);
    const code = await w.refusal(UNAVAILABLE);
    expect(w.json('status.json')).toMatchObject({
      code: 'ECONNREFUSED',
      reason: expect.stringContaining('no check has passed since'),
    });
    await w.recovers();
    return code;
  },
);

attack(
  {
    name: 'drop of check-ins',
    has: 'the network',
    does: 'lets everything through but the vehicle manifest, so that the Director hears nothing',
    vehicle: 'does not go on without its Director',
    code: 'ECONNREFUSED',
  },
  () => spoiling((w) => w.backend.checkinFaults.push(...always(away)), UNAVAILABLE),
);

attack(
  {
    name: 'partial bundle',
    has: 'the network',
    does: 'lets one image of a bundle of two through, and holds the other one back',
    vehicle: 'begins with no ECU before it has the images of all',
    code: 'ECONNREFUSED',
  },
  () =>
    spoiling((w) => {
      w.release(w.honest, 'INV', '3.0.0', { dependencies: { EDT: '>=3.0.0' } });
      w.backend.blocks = (file) => (file.startsWith('INV') ? away : undefined);
    }, UNAVAILABLE),
);

attack(
  {
    name: 'freeze, old metadata',
    has: 'the network, and what it carried yesterday',
    does: 'answers with it for ever',
    vehicle: 'sees by the attested time that the Timestamp has run out',
    code: 'FREEZE',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.attack((evil) => {
      evil.director.freeze();
      evil.images.freeze();
    });
    await w.advance(20 * HOUR_MS);
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    await w.advance(5 * HOUR_MS);
    const code = await w.refusal();
    await w.recovers();
    return code;
  },
);

attack(
  {
    name: 'freeze, everything says that nothing is new',
    has: 'the network',
    does: 'answers every question for the latest version with 304',
    vehicle: 'checks signatures every hour whatever the answer is, and finds the update',
    code: 'none',
  },
  async () => {
    const w = await AttackedVehicle.start();
    const tmu = { checkinIntervalMs: HOUR_MS };
    await w.once(tmu);
    w.backend.saysUnchanged = true;
    w.release(w.honest, 'EDT', '3.0.0');
    expect(await w.refusal({ outcome: 'UP_TO_DATE', tmu })).toBe('none');
    await w.advance(2 * HOUR_MS);
    const result = await w.once(tmu);
    expect([result.outcome, w.running('EDT')]).toEqual(['SUCCESS', '3.0.0']);
    return result.code ?? 'none';
  },
);

attack(
  {
    name: 'freeze, stale time',
    has: 'the network, and a time attestation of last week',
    does: 'answers with it, so that what has expired looks fresh',
    vehicle: 'finds another nonce than its own in it',
    code: 'FREEZE',
  },
  async () => {
    const w = await AttackedVehicle.start();
    const recorded: unknown[] = [];
    w.backend.makeTime = (nonces) => {
      recorded.push(w.backend.attest(w.clock.wallMs(), nonces));
      return recorded.at(-1);
    };
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    await w.advance(7 * DAY_MS);
    w.backend.makeTime = () => recorded[0];
    const code = await w.refusal();
    await w.recovers();
    return code;
  },
);

attack(
  {
    name: 'freeze, no time',
    has: 'the network',
    does: 'takes the time out of every answer',
    vehicle: 'believes no metadata without a time',
    code: 'FREEZE',
  },
  () =>
    spoiling((w) => {
      w.backend.makeTime = () => null;
    }),
);

attack(
  {
    name: 'freeze, no time for an ECU',
    has: 'the network',
    does: 'takes the time out of those answers that an ECU asked for',
    vehicle: 'sends the ECU no metadata that it could not check, and erases nothing',
    code: 'BACKEND',
  },
  () => spoiling((w) => w.backend.timeFaults.push(...always(away)), UNAVAILABLE),
);

attack(
  {
    name: 'time put back',
    has: 'the key of the Director for time',
    does: 'says that it is last month',
    vehicle: 'knows a later time, which was attested before',
    code: 'ROLLBACK',
  },
  () =>
    spoiling((w) => {
      w.backend.makeTime = (nonces) => w.backend.attest(w.clock.wallMs() - 30 * DAY_MS, nonces);
    }),
);

attack(
  {
    name: 'time changed',
    has: 'the network',
    does: 'changes the hour in a right attestation',
    vehicle: 'finds no right signature',
    code: 'ARBITRARY_SOFTWARE',
  },
  () =>
    spoiling((w) => {
      w.backend.makeTime = (nonces) => {
        const time = w.backend.attest(w.clock.wallMs(), nonces) as { signed: object };
        return { ...time, signed: { ...time.signed, time: '2020-01-01T00:00:00.000Z' } };
      };
    }),
);

attack(
  {
    name: 'patience for ten years',
    has: 'one answer of the backend',
    does: 'asks the vehicle to come back in ten years (429, Retry-After)',
    vehicle: 'is patient for an hour at most',
    code: 'HTTP_429',
  },
  async () => {
    const w = await AttackedVehicle.start({ clock: (wallMs) => new RunningClock(wallMs) });
    const { backend, asked } = await listen(w, (_request, response) => {
      response.statusCode = 429;
      response.setHeader('retry-after', String(315_360_000));
      response.end('{}');
      return true;
    });
    const code = await w.refusal({ ...UNAVAILABLE, tmu: { backend } });
    const before = asked.length;
    await w.advance(59 * 60_000);
    await w.refusal({ ...UNAVAILABLE, tmu: { backend } });
    expect(asked.length).toBe(before);
    await w.advance(2 * 60_000);
    await w.refusal({ ...UNAVAILABLE, tmu: { backend } });
    expect(asked.length).toBeGreaterThan(before);
    return code;
  },
);

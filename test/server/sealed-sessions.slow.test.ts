// Sealed sessions between a real client and a real server, with somebody in the middle, power cuts on both sides, and time.

import { describe, expect, it } from 'vitest';
import { rotate } from '../../src/contract/endpoints/registry/rotate.ts';
import { toHex } from '../../src/core/bytes.ts';
import { DeviceKeys } from '../../src/link/device-keys.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { trustRoot } from '../../src/trust/repository.ts';
import { encrypts, readHead, SEALED_TYPE, SUITES } from '../../src/trust/sealed-session.ts';
import { checkSessionSignature } from '../../src/trust/session-signature.ts';
import { generateX25519, signerFromSeed } from '../../src/trust/signing-key.ts';
import type { PassedRequest } from '../support/injected-transport.ts';
import { PATH, SealedWorld } from '../support/sealed-world.ts';
import { InjectedBackend } from './injected-support.ts';
import { json } from './support.ts';

const HOUR_MS = 3_600_000;

const good = { value: { serverKey: expect.stringMatching(/^[0-9a-f]{64}$/) } };

async function code(answer: { body: Uint8Array }): Promise<string> {
  return JSON.parse(new TextDecoder().decode(answer.body)).code;
}

describe('a sealed session', () => {
  it.each(SUITES)('carries requests and answers, and refusals too: %s', async (suite) => {
    const world = await SealedWorld.start();
    const client = await world.client({ suite });
    expect(await world.ask(client)).toEqual(good);
    expect(await world.ask(client)).toEqual(good);
    // Refused inside: the answer is sealed as well.
    const bad = await client.json(rotate, { clientKey: '00' });
    expect(bad).toMatchObject({ kind: 'failed', code: 'HTTP_400', transient: false });
    expect(bad).toMatchObject({ reason: expect.stringContaining('clientKey') });
    const { answer } = world.transport.passed.at(-1)!;
    expect([answer!.status, answer!.headers['content-type']]).toEqual([400, SEALED_TYPE]);
    expect(Buffer.from(answer!.body).includes('clientKey')).toBe(!encrypts(suite));
    // One session for all of it, and one number each.
    const heads = world.sealed.map(({ body }) => readHead(body)!);
    expect(new Set(heads.map(({ session }) => session)).size).toBe(1);
    expect(heads.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect(world.refusals).toEqual([]);
  });

  it('without encryption is authenticated, and refused by a server that wants encryption', async () => {
    const world = await SealedWorld.start();
    const client = await world.client({ suite: 'hmac' });
    expect(await world.ask(client)).toEqual(good);
    expect(Buffer.from(world.sealed[0]!.body).includes('clientKey')).toBe(true);
    // A sealed request of the session that is open already, and the log-in for the next one.
    await world.backend.restart({ encryptedOnly: true });
    expect(await world.ask(client)).toMatchObject({
      kind: 'failed',
      code: 'HTTP_403',
      transient: false,
      reason: expect.stringContaining('takes no sealed session without encryption'),
    });
    expect(world.refusals).toMatchObject([{ code: 'SESSION_UNKNOWN' }]);
    expect(await world.ask(await world.client({ suite: 'aes-256-gcm' }))).toEqual(good);
  });

  it('has the suite of this start, whatever the session on the disk has', async () => {
    const world = await SealedWorld.start();
    expect(await world.ask(await world.client({ suite: 'hmac' }))).toEqual(good);
    expect(await world.ask(await world.client({ suite: 'aes-256-ccm' }))).toEqual(good);
    const clear = world.sealed.map(({ body }) => Buffer.from(body).includes('clientKey'));
    expect(clear).toEqual([true, false]);
    expect(world.refusals).toEqual([]);
  });

  it('refuses what comes again, is old, turned round, cut or changed, and logs it on both sides', async () => {
    const world = await SealedWorld.start();
    const client = await world.client();
    await world.ask(client);
    await world.ask(client);
    const [first, second] = world.sealed as [PassedRequest, PassedRequest];
    const { transport } = world;
    const refused = async (request: PassedRequest) => {
      const answer = await transport.send(request);
      return [answer.status, await code(answer)];
    };
    expect(await refused(second)).toEqual([401, 'MESSAGE_REPLAYED']);
    expect(await refused(first)).toEqual([401, 'MESSAGE_REPLAYED']);
    expect(await refused({ ...first, path: '/auth/other' })).toEqual([404, 'NOT_FOUND']);
    // An answer as a request.
    const answers = transport.passed.filter(({ request }) => request === second);
    expect(await refused({ ...second, body: answers[0]!.answer!.body })).toEqual([
      401,
      'MESSAGE_FORGED',
    ]);
    const changed = Uint8Array.from(second.body);
    changed[23]! += 1; // the next number
    expect(await refused({ ...second, body: changed })).toEqual([401, 'MESSAGE_FORGED']);
    expect(await refused({ ...second, body: second.body.slice(0, -1) })).toEqual([
      401,
      'MESSAGE_FORGED',
    ]);
    expect(await refused({ ...second, body: second.body.slice(0, 20) })).toEqual([
      400,
      'MESSAGE_MALFORMED',
    ]);
    // None of it has harmed the session. Equal refusals are counted, and written when the server ends.
    await world.backend.restart();
    expect(world.audit('refused.message')).toBe(6);
    expect(await world.ask(client)).toEqual(good);
    expect(readHead(world.sealed.at(-1)!.body)!.session).toBe(readHead(first.body)!.session);
    expect(world.refusals).toEqual([]);
  });

  it('refuses on the device what is not the answer to this request', async () => {
    const world = await SealedWorld.start();
    const client = await world.client();
    await world.ask(client);
    const old = world.transport.passed.at(-1)!.answer!;
    const changes: readonly ((body: Uint8Array) => Uint8Array)[] = [
      () => old.body,
      (body) => body.slice(0, -1),
      (body) => body.map((byte, index) => (index === 30 ? byte ^ 1 : byte)),
      () => world.sealed.at(-1)!.body,
    ];
    for (const change of changes) {
      world.transport.onAnswer = (answer) => ({ ...answer, body: change(answer.body) });
      expect(await world.ask(client)).toMatchObject({ code: 'ANSWER_FORGED', transient: true });
    }
    // Another status than the one that was sealed with it.
    world.transport.onAnswer = (answer) => ({ ...answer, status: 201 });
    expect(await world.ask(client)).toMatchObject({ code: 'ANSWER_FORGED' });
    world.transport.onAnswer = (answer) => answer;
    expect(world.refusals.length).toBe(5);
    expect(await world.ask(client)).toEqual(good);
  });

  it('goes on with another number when an answer, or a request, is lost', async () => {
    const world = await SealedWorld.start();
    const client = await world.client();
    await world.ask(client);
    world.transport.onAnswer = () => 'drop';
    expect(await world.ask(client)).toMatchObject({ kind: 'failed', transient: true });
    world.transport.onAnswer = (answer) => answer;
    world.transport.onRequest = () => 'drop';
    expect(await world.ask(client)).toMatchObject({ kind: 'failed', transient: true });
    world.transport.onRequest = (request) => request;
    expect(await world.ask(client)).toEqual(good);
    const sequences = world.sealed.map(({ body }) => readHead(body)!.sequence);
    expect(sequences).toEqual([1, 2, 3, 4]);
  });

  it('is of one device: its messages are none in the session of another', async () => {
    const world = await SealedWorld.start();
    const other = await world.backend.vehicle('OTHERVEHICLE');
    const mine = await world.client();
    const theirs = await world.client({
      device: {
        serial: other.primary.serial,
        hwId: other.primary.hwId,
        deviceSecret: other.primary.secret,
      },
      storage: new SimulatedDisk().open(),
    });
    await world.ask(mine);
    await world.ask(theirs);
    const [ours, foreign] = world.sealed as [PassedRequest, PassedRequest];
    const moved = Uint8Array.from(ours.body);
    moved.set(foreign.body.subarray(2, 18), 2);
    moved[23] = 9;
    const answer = await world.transport.send({ ...ours, body: moved });
    expect([answer.status, await code(answer)]).toEqual([401, 'MESSAGE_FORGED']);
  });

  it('outlives restarts of both sides: what was taken is refused, what comes is right', async () => {
    const world = await SealedWorld.start();
    await world.ask(await world.client());
    const [first] = world.sealed as [PassedRequest];
    await world.backend.restart();
    const again = await world.transport.send(first);
    expect([again.status, await code(again)]).toEqual([401, 'MESSAGE_REPLAYED']);
    expect(await world.ask(await world.client())).toEqual(good);
    const heads = world.sealed.map(({ body }) => readHead(body)!);
    expect(new Set(heads.map(({ session }) => session)).size).toBe(1);
    expect(heads.at(-1)!.sequence).toBeGreaterThan(heads[0]!.sequence);
  });

  it('never uses a number twice, and locks nobody out, whenever power fails', async () => {
    const seen = new Set<string>();
    let cuts = 0;
    for (let cut = 1; cut <= 16; cut++) {
      const world = await SealedWorld.start();
      const { disk } = world;
      let operations = 0;
      disk.onOperation = (_n, _operation, moment) => {
        if (moment === 'before' && ++operations === cut) {
          cuts++;
          disk.cut(seededRandom(cut));
        }
      };
      seen.clear();
      const life = async (requests: number): Promise<void> => {
        const client = await world.client();
        for (let request = 0; request < requests; request++) await world.ask(client);
        await client.rotate();
        await world.ask(client);
      };
      // What is cut never comes back: whatever has settled by then is what happened.
      await Promise.race([life(3).catch(() => {}), ticks(400)]);
      disk.onOperation = undefined;
      expect(await world.ask(await world.client())).toEqual(good);
      for (const { body } of world.sealed) {
        const { session, sequence } = readHead(body)!;
        const key = `${session} ${sequence}`;
        expect([cut, key, seen.has(key)]).toEqual([cut, key, false]);
        seen.add(key);
      }
    }
    expect(cuts).toBeGreaterThan(5);
  });

  it('is opened anew by a device that has lost its state, which is on record', async () => {
    const world = await SealedWorld.start();
    await world.ask(await world.client());
    expect(world.audit('device.twin')).toBe(0);
    const storage = new SimulatedDisk().open();
    const client = await world.client({ storage });
    expect(await world.ask(client)).toEqual(good);
    expect(world.audit('device.twin')).toBe(1);
    // Told where the backend stands, it looks like itself again.
    await world.backend.clock.advance(13 * HOUR_MS);
    expect(await world.ask(client)).toEqual(good);
    expect(world.audit('device.twin')).toBe(1);
  });

  it('is opened anew where the server has lost it', async () => {
    const world = await SealedWorld.start();
    const client = await world.client();
    await world.ask(client);
    world.backend.database.exec('delete from sealed_sessions');
    expect(await world.ask(client)).toEqual(good);
    expect(world.refusals).toEqual([{ code: 'SESSION_UNKNOWN', path: PATH }]);
  });

  it('shows two devices with one key, again and again', async () => {
    const world = await SealedWorld.start();
    const twins = [world.disk.open(), new SimulatedDisk().open()];
    for (let round = 0; round < 3; round++) {
      for (const storage of twins) {
        const client = await world.client({ storage });
        expect(await world.ask(client)).toEqual(good);
      }
      await world.backend.clock.advance(13 * HOUR_MS);
    }
    expect(world.audit('device.twin')).toBeGreaterThanOrEqual(3);
    const { serial } = world.device;
    const seen = world.backend.database
      .prepare('select twin_count, twin_at from device_keys where serial = ?')
      .get(serial);
    expect(seen).toMatchObject({ twin_count: world.audit('device.twin') });
    expect(seen!.twin_at).toMatch(/^2/);
  });

  it('ends with the device, at once', async () => {
    const world = await SealedWorld.start();
    const client = await world.client();
    await world.ask(client);
    const { serial } = world.device;
    world.backend.database
      .prepare("update devices set status = 'revoked' where serial = ?")
      .run(serial);
    expect(await world.ask(client)).toMatchObject({ kind: 'failed', code: 'HTTP_401' });
    world.backend.database
      .prepare("update devices set status = 'active' where serial = ?")
      .run(serial);
    expect(await world.ask(client)).toEqual(good);
  });

  it.each([-400 * 24 * HOUR_MS, 0, 400 * 24 * HOUR_MS])(
    'is renewed before it ends, without a gap, with a clock that is %d ms off',
    async (skewMs) => {
      const world = await SealedWorld.start();
      const { clock } = world.backend;
      const skewed = {
        nowMs: () => clock.nowMs(),
        wallMs: () => clock.wallMs() + skewMs,
        after: clock.after.bind(clock),
      };
      const client = await world.client({ clock: skewed });
      for (let hour = 0; hour < 60; hour++) {
        expect([hour, await world.ask(client)]).toEqual([hour, good]);
        await clock.advance(HOUR_MS);
      }
      expect(world.refusals.length).toBeLessThanOrEqual(3);
    },
  );

  it('goes on in the old one while the next cannot be opened', async () => {
    const world = await SealedWorld.start();
    const client = await world.client();
    await world.ask(client);
    await world.backend.clock.advance(13 * HOUR_MS);
    world.transport.onRequest = (request) =>
      request.path === '/auth/challenge' ? 'drop' : request;
    expect(await world.ask(client)).toEqual(good);
    const [first, second] = world.sealed.map(({ body }) => readHead(body)!.session);
    expect(second).toBe(first);
    world.transport.onRequest = (request) => request;
    expect(await world.ask(client)).toEqual(good);
    expect(readHead(world.sealed[2]!.body)!.session).not.toBe(first);
    // The last messages of the old one are still taken.
    const answer = await world.transport.send(world.sealed[1]!);
    expect(await code(answer)).toBe('MESSAGE_REPLAYED');
  });

  it('is refused by a device whose server does not know its key', async () => {
    const world = await SealedWorld.start();
    const { serial, hwId } = world.device;
    const deviceSecret = new Uint8Array(32);
    const client = await world.client({ device: { serial, hwId, deviceSecret } });
    expect(await world.ask(client)).toMatchObject({
      code: 'SERVER_NOT_AUTHENTIC',
      transient: false,
    });
    expect(world.sealed).toEqual([]);
  });
});

describe('the key of a device', () => {
  it('changes without a gap: the old one opens nothing any more', async () => {
    const world = await SealedWorld.start();
    const { serial, hwId, secret } = world.device;
    const { clock } = world.backend;
    const old = { serial, hwId, deviceSecret: secret };
    const client = await world.client();
    await world.ask(client);
    const keys = await DeviceKeys.open(old, new SimulatedDisk().open(), clock);
    const before = toHex(keys.current);
    expect(await client.rotate()).toEqual({ kind: 'rotated' });
    expect(toHex(client.keys.current)).not.toBe(before);
    expect(world.audit('device.key')).toBe(1);
    expect(await client.json(rotate, { clientKey: '00' })).toMatchObject({
      code: 'HTTP_400',
    });
    // After a restart of both sides it is still this one.
    await world.backend.restart();
    const next = await world.client();
    expect(await next.json(rotate, { clientKey: '00' })).toMatchObject({ code: 'HTTP_400' });
    // Whoever has only the first key is nobody.
    const thief = await world.client({ storage: new SimulatedDisk().open() });
    expect(await world.ask(thief)).toMatchObject({ code: 'SERVER_NOT_AUTHENTIC' });
  });

  it('changes when it is old, and is left alone until then', async () => {
    const world = await SealedWorld.start();
    const client = await world.client();
    await world.ask(client);
    await client.rotateWhenDue();
    await world.backend.clock.advance(29 * 24 * HOUR_MS);
    await client.rotateWhenDue();
    expect(world.audit('device.key')).toBe(0);
    await world.backend.clock.advance(2 * 24 * HOUR_MS);
    world.transport.onRequest = () => 'drop';
    await client.rotateWhenDue();
    world.transport.onRequest = (request) => request;
    await client.rotateWhenDue();
    await client.rotateWhenDue();
    expect(world.audit('device.key')).toBe(1);
    expect(await client.json(rotate, { clientKey: '00' })).toMatchObject({
      code: 'HTTP_400',
    });
    const { serial, hwId, secret } = world.device;
    const fixed = DeviceKeys.fixed({ serial, hwId, deviceSecret: secret });
    const forgetful = await world.client({ keys: fixed, storage: new SimulatedDisk().open() });
    await forgetful.rotateWhenDue();
    expect(world.audit('device.key')).toBe(1);
  });

  it('is one of two at any instant: no exchange or write that is cut locks the device out', async () => {
    const outcomes = new Set<string>();
    for (let lostAt = 1; lostAt <= 12; lostAt++) {
      const world = await SealedWorld.start();
      await world.ask(await world.client());
      let passed = 0;
      const at = (): boolean => ++passed === lostAt;
      world.transport.onRequest = (request) => (at() ? 'drop' : request);
      world.transport.onAnswer = (answer) => (at() ? 'drop' : answer);
      const result = await (await world.client()).rotate();
      outcomes.add(result.kind);
      world.transport.onRequest = (request) => request;
      world.transport.onAnswer = (answer) => answer;
      if (lostAt % 2 === 0) world.disk.cut(seededRandom(lostAt));
      const after = await world.client();
      expect([lostAt, await after.json(rotate, { clientKey: '00' })]).toMatchObject([
        lostAt,
        { code: 'HTTP_400' },
      ]);
      expect([lostAt, await after.rotate()]).toEqual([lostAt, { kind: 'rotated' }]);
    }
    expect([...outcomes].sort()).toEqual(['failed', 'rotated']);
  });
});

describe('a session by key pairs', () => {
  async function paired(world: SealedWorld, change: { seed?: Uint8Array; root?: Uint8Array } = {}) {
    const root = trustRoot(change.root ?? (await directorRoot(world)));
    if (!root.ok) throw new Error(root.reason);
    const signer = change.seed === undefined ? world.device.signer : signerFromSeed(change.seed);
    return world.client({
      // Nothing but the pair proves this device.
      device: {
        serial: world.device.serial,
        hwId: world.device.hwId,
        deviceSecret: new Uint8Array(32),
      },
      pair: {
        signer,
        problem: (signature, exchanged, keys) => {
          const verdict = checkSessionSignature(signature, root.value.root, exchanged, keys);
          return verdict.ok ? undefined : verdict.reason;
        },
      },
    });
  }

  async function directorRoot(world: SealedWorld): Promise<Uint8Array> {
    const row = world.backend.database
      .prepare("select bytes from metadata where repository = 'director' and role = 'root'")
      .get() as unknown as { bytes: Uint8Array } | undefined;
    if (row !== undefined) return Uint8Array.from(row.bytes);
    const reply = await (await world.backend.vehicle('ROOTREADER')).get(
      '/director/ROOTREADER/metadata/1.root.json',
    );
    return Uint8Array.from(reply.body);
  }

  it('needs no shared key', async () => {
    const world = await SealedWorld.start();
    const client = await paired(world);
    const { clientKey } = { clientKey: toHex(world.device.encryption.publicKey) };
    const answer = await client.post(PATH, Buffer.from(JSON.stringify({ clientKey })));
    expect(answer).toMatchObject({ kind: 'answer', status: 200 });
  });

  it('is refused by the server for another key of the device', async () => {
    const world = await SealedWorld.start();
    const client = await paired(world, { seed: new Uint8Array(32).fill(9) });
    expect(await world.ask(client)).toMatchObject({ kind: 'failed', code: 'HTTP_401' });
  });

  it('is refused by the device for a signature of others, or over another exchange', async () => {
    const world = await SealedWorld.start();
    const foreign = await InjectedBackend.start({ seed: 'another backend' });
    const other = await foreign.ceremony.root('director');
    const misled = await paired(world, { root: other });
    expect(await world.ask(misled)).toMatchObject({ code: 'SERVER_NOT_AUTHENTIC' });
    const client = await paired(world);
    world.transport.onAnswer = (answer, { path }) => {
      if (path !== '/auth/challenge') return answer;
      const told = JSON.parse(new TextDecoder().decode(answer.body));
      // Somebody in the middle who wants to know the keys puts his own in.
      const serverKey = toHex(world.device.encryption.publicKey);
      return { ...answer, body: Buffer.from(JSON.stringify({ ...told, serverKey })) };
    };
    expect(await world.ask(client)).toMatchObject({ code: 'SERVER_NOT_AUTHENTIC' });
    expect(world.transport.passed.some(({ request }) => request.path === '/auth/response')).toBe(
      false,
    );
  });

  it('is told that there is none where the server signs nothing', async () => {
    const asks = async (
      options: Parameters<typeof InjectedBackend.start>[0],
      clientKey: string,
    ) => {
      const backend = await InjectedBackend.start(options);
      const question = {
        serial: 'CO-000001',
        hw_id: 'chip',
        clientNonce: '00'.repeat(16),
        clientKey,
      };
      const reply = await backend.request('/auth/challenge', json(question));
      return [reply.status, reply.json.code];
    };
    const key = toHex(generateX25519(seededRandom(1)).publicKey);
    expect(await asks({}, key)).toEqual([200, undefined]);
    expect(await asks({ uptane: undefined as never }, key)).toEqual([409, 'NO_KEY_PAIR']);
    expect(await asks({}, '00'.repeat(32))).toEqual([400, 'BAD_FIELD']);
  });
});

/** Lets everything that can go on do so. */
async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await new Promise((resolve) => setImmediate(resolve));
}

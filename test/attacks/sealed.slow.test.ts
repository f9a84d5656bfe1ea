// The table of attacks: sealed messages between a device and its backend, in the hands of whoever carries them.

import { toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { HttpClient } from '../../src/link/http-client.ts';
import { SealedClient } from '../../src/link/sealed-client.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { attacksOn } from '../support/attack-table.ts';
import type { PassedAnswer, PassedRequest } from '../support/injected-transport.ts';
import { PATH, SealedWorld } from '../support/sealed-world.ts';

const attack = attacksOn('network');

/** Two requests that went well, and what the attacker has of them. */
async function overheard() {
  const world = await SealedWorld.start();
  const client = await world.client();
  await world.ask(client);
  await world.ask(client);
  const [first, second] = world.sealed as [PassedRequest, PassedRequest];
  const answer = world.transport.passed.at(-1)!.answer!;
  return { world, client, first, second, answer };
}

/** The backend's word for a message that the attacker sends; the device's own session must be none the worse. */
async function sent(
  make: (heard: Awaited<ReturnType<typeof overheard>>) => PassedRequest | Promise<PassedRequest>,
): Promise<string> {
  const heard = await overheard();
  const answer = await heard.world.transport.send(await make(heard));
  const still = await heard.world.ask(heard.client);
  if ('kind' in still) return `and the device is shut out: ${still.code}`;
  return codeOf(answer);
}

function codeOf({ body }: PassedAnswer): string {
  return String(JSON.parse(new TextDecoder().decode(body)).code);
}

/** What the device makes of an answer that is not the one it was sent; the next one must be right again. */
async function told(
  change: (answer: PassedAnswer, before: PassedAnswer, request: PassedRequest) => PassedAnswer,
): Promise<string> {
  const { world, client, answer } = await overheard();
  world.transport.onAnswer = (real, request) => change(real, answer, request);
  const got = await world.ask(client);
  world.transport.onAnswer = (real) => real;
  const still = await world.ask(client);
  if ('kind' in still) return `and the device is shut out: ${still.code}`;
  return 'kind' in got ? got.code : 'believed';
}

const HAS = 'the network';

attack(
  {
    name: 'sealed message: replay',
    has: HAS,
    does: 'sends the last message of the device once more',
    vehicle: 'is not harmed: the backend has taken that number, durably, and does nothing twice',
    code: 'MESSAGE_REPLAYED',
  },
  () => sent(({ second }) => second),
);
attack(
  {
    name: 'sealed message: old one after a newer one',
    has: HAS,
    does: 'keeps a message back, lets a later one pass, and then delivers it',
    vehicle: 'is not harmed: the backend takes numbers in rising order only',
    code: 'MESSAGE_REPLAYED',
  },
  () => sent(({ first }) => first),
);
attack(
  {
    name: 'sealed message: replay after a restart',
    has: HAS,
    does: 'waits until the backend has restarted, and sends an old message',
    vehicle: 'is not harmed: sessions and their numbers outlive the restart',
    code: 'MESSAGE_REPLAYED',
  },
  () =>
    sent(async ({ world, second }) => {
      await world.backend.restart();
      return second;
    }),
);
attack(
  {
    name: 'sealed message: another number',
    has: HAS,
    does: 'gives an old message a number that was never used',
    vehicle: 'is not harmed: the number is authenticated with the message',
    code: 'MESSAGE_FORGED',
  },
  () => sent(({ second }) => ({ ...second, body: changed(second.body, 23) })),
);
attack(
  {
    name: 'sealed message: flipped bit',
    has: HAS,
    does: 'changes one bit of the text and hopes for another command',
    vehicle: 'is not harmed: nothing of a message is looked at before all of it is authentic',
    code: 'MESSAGE_FORGED',
  },
  () => sent(({ second }) => ({ ...second, body: changed(second.body, 30) })),
);
attack(
  {
    name: 'sealed message: cut short',
    has: HAS,
    does: 'leaves the end of a message out',
    vehicle: 'is not harmed: the tag is over the whole of it',
    code: 'MESSAGE_FORGED',
  },
  () => sent(({ second }) => ({ ...second, body: second.body.slice(0, -4) })),
);
attack(
  {
    name: 'sealed message: reflected',
    has: HAS,
    does: 'sends an answer of the backend back to it as a request',
    vehicle: 'is not harmed: each direction has keys of its own',
    code: 'MESSAGE_FORGED',
  },
  () => sent(({ second, answer }) => ({ ...second, body: answer.body })),
);
attack(
  {
    name: 'sealed message: on another path',
    has: HAS,
    does: 'sends a message to a path that would take it for something else',
    vehicle: 'is not harmed: the path is authenticated with the message',
    code: 'MESSAGE_FORGED',
  },
  () => sent(({ second }) => ({ ...second, path: '/vehicle/sync' })),
);
attack(
  {
    name: 'sealed message: in the session of another vehicle',
    has: `${HAS}, and a vehicle of his own`,
    does: 'writes the id of his own session over the one in a message',
    vehicle: 'is not harmed: the message was made with the keys of another session',
    code: 'MESSAGE_FORGED',
  },
  () =>
    sent(async ({ world, second }) => {
      const { primary } = await world.backend.vehicle('ATTACKER');
      const own = await world.client({
        device: { serial: primary.serial, hwId: primary.hwId, deviceSecret: primary.secret },
        storage: new SimulatedDisk().open(),
      });
      await world.ask(own);
      const body = Uint8Array.from(second.body);
      body.set(world.sealed.at(-1)!.body.subarray(2, 18), 2);
      return { ...second, body: changed(body, 23) };
    }),
);
attack(
  {
    name: 'sealed answer: replay',
    has: HAS,
    does: 'gives the device the answer to its request before',
    vehicle: 'refuses it, since it bears another number, and asks again under a new one',
    code: 'ANSWER_FORGED',
  },
  () => told((_real, before) => before),
);
attack(
  {
    name: 'sealed answer: reflected',
    has: HAS,
    does: 'gives the device its own request as the answer',
    vehicle: 'refuses it: that is not what the backend seals with',
    code: 'ANSWER_FORGED',
  },
  () => told((real, _before, request) => ({ ...real, body: request.body })),
);
attack(
  {
    name: 'sealed answer: flipped bit',
    has: HAS,
    does: 'changes one bit of an answer',
    vehicle: 'refuses it, and asks again',
    code: 'ANSWER_FORGED',
  },
  () => told((real) => ({ ...real, body: changed(real.body, 30) })),
);
attack(
  {
    name: 'sealed answer: another status',
    has: HAS,
    does: 'has a right answer look like an error, or an error like a right answer',
    vehicle: 'refuses it: the status is authenticated with the answer',
    code: 'ANSWER_FORGED',
  },
  () => told((real) => ({ ...real, status: 202 })),
);
attack(
  {
    name: 'sealed answer: a stranger says that there is no session',
    has: HAS,
    does: 'answers in the place of the backend that the session is unknown',
    vehicle: 'opens another session, with a backend that proves itself, and goes on',
    code: 'none',
    open: 'each such answer costs the vehicle a session: he can keep it from its backend as long as he likes anyway',
  },
  async () => {
    const { world, client } = await overheard();
    let lies = 1;
    world.transport.onAnswer = (real, { path }) => {
      if (path !== PATH || lies-- <= 0) return real;
      const words = { type: 'about:blank', title: 'No', status: 401, detail: 'no' };
      const body = new TextEncoder().encode(JSON.stringify({ ...words, code: 'SESSION_UNKNOWN' }));
      return { status: 401, headers: { 'content-type': 'application/problem+json' }, body };
    };
    const got = await world.ask(client);
    return 'kind' in got ? got.code : 'none';
  },
);
attack(
  {
    name: 'sealed message: a backend of his own',
    has: `${HAS}, and everything but the key of the device`,
    does: 'answers the challenge of the device in the place of its backend',
    vehicle: 'tells him nothing: who does not prove the key first gets no proof and no message',
    code: 'SERVER_NOT_AUTHENTIC',
  },
  async () => {
    const world = await SealedWorld.start();
    const { serial, hwId } = world.device;
    const client = await SealedClient.open({
      client: new HttpClient({
        clock: world.backend.clock,
        headers: {},
        transport: world.transport,
      }),
      base: new URL('http://backend/'),
      device: { serial, hwId, deviceSecret: new Uint8Array(32).fill(1) },
      storage: world.disk.open(),
      clock: world.backend.clock,
      random: seededRandom('rogue'),
      logger: silentLogger,
    });
    const got = await world.ask(client);
    if (world.sealed.length > 0) return 'it spoke to him';
    return 'kind' in got ? got.code : 'believed';
  },
);
attack(
  {
    name: 'sealed message: copied device',
    has: 'a copy of the whole memory of a device, with its key',
    does: 'speaks in its name beside it',
    vehicle:
      'works on; the backend has it on record that two devices share a key, each time one falls behind',
    code: 'none',
    open: 'until the key changes next, or the device is revoked, both are believed',
  },
  async () => {
    const { world } = await overheard();
    const copy = await world.client({ storage: new SimulatedDisk().open() });
    const got = await world.ask(copy);
    if ('kind' in got) return got.code;
    return world.audit('device.twin') === 1 ? 'none' : 'unnoticed';
  },
);
attack(
  {
    name: 'sealed message: key of yesterday',
    has: 'the key of a device from before it was last changed, and all messages of that change',
    does: 'opens a session in its name',
    vehicle:
      'is not harmed: the next key was agreed on by X25519, and the one before opens nothing',
    code: 'SERVER_NOT_AUTHENTIC',
  },
  async () => {
    const { world, client } = await overheard();
    await client.rotate();
    const thief = await world.client({ storage: new SimulatedDisk().open() });
    const got = await world.ask(thief);
    return 'kind' in got ? got.code : 'believed';
  },
);
attack(
  {
    name: 'sealed message: eavesdrop',
    has: HAS,
    does: 'reads what device and backend say to each other',
    vehicle: 'shows its serial number, the path, and how long its messages are',
    code: 'none',
  },
  async () => {
    const { world } = await overheard();
    const key = toHex(world.device.encryption.publicKey);
    const seen = world.transport.passed.flatMap(({ request, answer }) => [
      request.body,
      answer?.body ?? new Uint8Array(),
    ]);
    return seen.some((bytes) => Buffer.from(bytes).includes(key)) ? 'read' : 'none';
  },
);

function changed(bytes: Uint8Array, at: number): Uint8Array {
  const other = Uint8Array.from(bytes);
  other[at]! ^= 0x40;
  return other;
}

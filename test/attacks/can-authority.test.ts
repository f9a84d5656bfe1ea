// The table of attacks: what a node without keys may send into sessions that the TMU has opened.

import { expect } from 'vitest';
import { concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import { speakerKey } from '../../src/trust/authority.ts';
import { AttackedEcu, nrcOf } from '../support/attack-ecu.ts';
import { factoryKey, factoryVehicle, SERIALS } from '../support/attack-factory.ts';
import { attacksOn } from '../support/attack-table.ts';
import { AttackedVehicle } from '../support/attack-vehicle.ts';
import { checkRequest, digestOf, type EcuBench, type Order } from '../support/ecu-bench.ts';
import { plainOf } from '../support/secured-message.ts';

const attack = attacksOn('CAN bus');

const UNLOCKED = 'a node on the bus, while the TMU has the ECU unlocked';

/** 3.0.0 is in EDT: it waits, or runs on trial. */
async function updating(until: 'staged' | 'trial') {
  const ecu = await AttackedEcu.start('EDT');
  const { bench } = ecu;
  const { image } = ecu.release(ecu.honest, '3.0.0');
  await ecu.unlock();
  expect(await bench.sendFile('metadata.json', await ecu.bundle())).toBe('77');
  await bench.transfer(image);
  expect(await bench.ask(checkRequest(image))).toBe('7101020200');
  if (until === 'trial') {
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('3.0.0');
    await ecu.unlock();
  }
  return { ecu, bench, sha256: toHex(digestOf(image)) };
}

/** What decides: the boot record, and the counter that nothing lowers. */
function decided(bench: EcuBench): unknown {
  const counters = Buffer.from(bench.storage.contents('counters')!).toString().split('\n')[0]!;
  const record = toHex(bench.storage.contents('boot-record')!);
  return { record, security: JSON.parse(counters).security };
}

const INJECTED = [
  ['activation', 'activate', 'staged', 'sends 31 01 0210 with the image that waits'],
  ['confirmation', 'confirm', 'trial', 'sends 31 01 0211 with the commitment that anybody reads'],
  ['commit', 'commit', 'trial', 'sends 31 01 0213, which nothing takes back'],
  ['rollback', 'rollback', 'trial', 'sends 31 01 0212, so that the ECU goes back alone'],
  [
    'rollback of what was confirmed',
    'rollback-confirmed',
    'trial',
    'sends 31 01 0212 with its flag',
  ],
] as const satisfies readonly (readonly [string, Order, 'staged' | 'trial', string])[];

for (const [what, order, until, does] of INJECTED) {
  attack(
    {
      name: `injected ${what}`,
      has: UNLOCKED,
      does,
      vehicle: 'asks for the authority of the message itself, which no open level gives',
      code: 'NRC 38',
    },
    async () => {
      const { ecu, bench } = await updating(until);
      if (what.endsWith('confirmed')) await bench.expectOrder('confirm');
      const before = decided(bench);
      const request = await bench.orderOf(order);
      const answers = [
        await bench.ask(request),
        await bench.ask(`310102${toHex(request.subarray(3, 4))}`),
      ];
      expect(new Set(answers)).toEqual(new Set(['7F3138']));
      // Nor in service 84, with a MAC that is his.
      const forged = await bench.seal(request, { key: new Uint8Array(32) });
      expect(await bench.ask(forged)).toBe('7F843A');
      expect(decided(bench)).toEqual(before);
      // The TMU does it whenever it wants.
      if (order !== 'commit') expect(await bench.order(order)).toMatch(/^71/);
      await bench.order('rollback-confirmed');
      await bench.reset();
      await ecu.recovers();
      return nrcOf(answers[0]!);
    },
  );
}

attack(
  {
    name: 'order replayed',
    has: 'a node on the bus, and every message of the TMU to this ECU',
    does: 'sends them again: at once, after the reset, and after the way back',
    vehicle: 'takes no number twice, and has another challenge in each life',
    code: 'NRC 3A',
  },
  async () => {
    const { ecu, bench, sha256 } = await updating('staged');
    const recorded = [await bench.seal(await bench.orderOf('activate'))];
    expect(await bench.ask(recorded[0]!)).toMatch(/^C4/);
    await bench.reset();
    recorded.push(await bench.seal(await bench.orderOf('confirm')));
    const confirmed = await bench.ask(recorded[1]!);
    expect(plainOf(confirmed)).toMatch(/^71010211/);
    await bench.expectOrder('rollback-confirmed');
    const answers: string[] = [];
    const replay = async () => {
      const before = decided(bench);
      for (const message of recorded) answers.push(await bench.ask(message));
      expect(decided(bench)).toEqual(before);
    };
    await replay();
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    await replay();
    await bench.crash();
    await replay();
    expect(new Set(answers)).toEqual(new Set(['7F843A']));
    expect(await bench.ask('22FD02')).toBe(`62FD02${sha256.toUpperCase()}`);
    await ecu.recovers();
    return nrcOf(answers[0]!);
  },
);

attack(
  {
    name: 'order carried to another ECU',
    has: 'a node on the bus, and an order of the TMU to INV',
    does: 'sends it to EDT, and one that the TMU made for the challenge of EDT',
    vehicle: 'shares another key with each of its ECUs',
    code: 'NRC 3A',
  },
  async () => {
    const { bench } = await updating('trial');
    const inv = await AttackedEcu.start('INV');
    const { challenge } = await bench.challenge();
    const order = await bench.orderOf('confirm');
    const before = decided(bench);
    const answers = [
      await bench.ask(await inv.bench.seal(order)),
      await bench.ask(await inv.bench.seal(order, { challenge, counter: 1 })),
    ];
    expect(new Set(answers)).toEqual(new Set(['7F843A']));
    expect(decided(bench)).toEqual(before);
    return nrcOf(answers[0]!);
  },
);

attack(
  {
    name: 'reset injection during a trial',
    has: 'a node on the bus',
    does: 'sends ECUReset 200 times to use up the trial boots, and so to tear the vehicle apart',
    vehicle: 'counts only boots that ended by a crash or by power, and goes on with its trial',
    code: 'none',
    open: 'He can delay the confirmation, as a jammer can; between two of his resets the TMU gets its word in.',
  },
  async () => {
    const { ecu, bench } = await updating('trial');
    const before = decided(bench);
    const { operations } = bench.storage;
    for (let count = 0; count < 200; count++) {
      await bench.ask(['1101', '1103', '1181'][count % 3]!, { limitMs: 50 });
      await bench.clock.advance(count % 5 === 0 ? 3000 : 200);
    }
    expect(bench.storage.operations).toBe(operations);
    expect(decided(bench)).toEqual(before);
    await bench.clock.advance(2000);
    expect(await bench.text('F195')).toBe('3.0.0');
    expect(await bench.order('confirm')).toBe('7101021100');
    expect(await bench.order('commit')).toBe('7101021300');
    await ecu.recovers();
    return 'none';
  },
);

attack(
  {
    name: 'VIN written after provisioning',
    has: 'a node on the bus, and the key of SecurityAccess',
    does: 'writes another VIN, and the key of a TMU of his own',
    vehicle: 'takes both from its factory only',
    code: 'NRC 33',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    const { bench } = ecu;
    await ecu.unlock();
    const vin = concatBytes(fromHex('2EF190'), Buffer.from('1CANXATTACK999999'));
    const key = concatBytes(fromHex('2EFD16'), fromHex('40'.repeat(32)));
    const before = [await bench.text('F190'), await bench.ask('22FD16')];
    const answers = [await bench.ask(vin), await bench.ask(key)];
    // The TMU itself may not, and he does not speak for the factory.
    answers.push(await bench.secured(vin), await bench.secured(key));
    expect(new Set(answers)).toEqual(new Set(['7F2E33']));
    const { encryptionKey } = (await factoryVehicle()).EDT;
    const own = speakerKey('factory', fromHex('40'.repeat(32)), encryptionKey)!;
    expect(await bench.secured(vin, { role: 'factory', key: own })).toBe('7F843A');
    expect(await bench.secured(vin, { role: 'factory' })).toBe('7F843A');
    expect([await bench.text('F190'), await bench.ask('22FD16')]).toEqual(before);
    const right = speakerKey('factory', factoryKey, encryptionKey)!;
    expect(await bench.secured(vin, { role: 'factory', key: right })).toBe('6EF190');
    expect(await bench.text('F190')).toBe('1CANXATTACK999999');
    expect(await bench.text('F18C')).toBe(SERIALS.EDT);
    return nrcOf(answers[0]!);
  },
);

attack(
  {
    name: 'attack made forgotten',
    has: 'a node on the bus, and the key of SecurityAccess',
    does: 'reads the version report until the ECU takes it for told, and says that it has arrived',
    vehicle: 'tells it in each report until its TMU says that the Director has one',
    code: 'NRC 38',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    await ecu.unlock();
    expect(await ecu.bench.sendFile('metadata.json', fromHex('7b7d'))).toBe('7F3772');
    for (let read = 0; read < 50; read++) await ecu.bench.ask('22FD22', { functional: false });
    const { counter, attack: noted } = await ecu.report();
    const word = concatBytes(fromHex('2EFD23'), fromHex(counter.toString(16).padStart(16, '0')));
    await ecu.unlock();
    const answer = await ecu.bench.ask(word);
    expect(noted).not.toBe('');
    expect((await ecu.report()).attack).toBe(noted);
    return nrcOf(answer);
  },
);

attack(
  {
    name: 'forged confirmation',
    has: 'a node that keeps the orders of the TMU from EDT, and answers in its place',
    does: 'says that EDT has confirmed, so that INV is committed while EDT falls back',
    vehicle: 'believes no answer without the MAC of the ECU, and takes back every ECU',
    code: 'none',
  },
  async () => {
    const w = await AttackedVehicle.start();
    for (const ecu of ['EDT', 'INV'] as const) w.release(w.honest, ecu, '3.0.0');
    const before = w.state();
    const edt = w.ecu('EDT');
    let swallowed = 0;
    edt.loses = (request) => {
      const lost = request.startsWith('84') && plainOf(request).startsWith('31010211');
      if (lost) {
        swallowed++;
        const forged = fromHex(`c40028010010${request.slice(12, 16)}7101021100${'11'.repeat(32)}`);
        w.clock.after('forged', 2, () => edt.inject(forged));
      }
      return lost;
    };
    const result = await w.once();
    expect(swallowed).toBeGreaterThan(0);
    expect(result.outcome, result.reason).toBe('ROLLBACK_COMPLETED');
    expect(w.state().running).toEqual(before.running);
    for (const name of ['EDT', 'INV'] as const) {
      expect(w.ecu(name).events.filter(({ kind }) => kind === 'commit')).toEqual([]);
    }
    await w.recovers('EDT', '4.0.0');
    return 'none';
  },
);

attack(
  {
    name: 'confirmation injected into a campaign',
    has: 'a node on the bus that sees and sends everything, without any key',
    does: 'confirms and commits EDT whenever a request of the TMU passes, and keeps INV from its trial',
    vehicle: 'does none of it in EDT, and takes back every ECU',
    code: 'none',
  },
  async () => {
    const w = await AttackedVehicle.start();
    for (const ecu of ['EDT', 'INV'] as const) w.release(w.honest, ecu, '3.0.0');
    const before = w.state();
    w.ecu('INV').loses = (request) => plainOf(request).startsWith('31030211');
    let sent = 0;
    const injected = ['31010211', '31010213', `31010213${'ca'.repeat(16)}${'00'.repeat(16)}`];
    w.ecu('EDT').loses = (request) => {
      // Right behind the question for its self test, and behind every one for what it knows of the campaign.
      if (!/^(31030211|22FD25|22FD00)/.test(plainOf(request))) return false;
      injected.forEach((evil, index) => {
        w.clock.after('injected', 12 + index, () => w.ecu('EDT').request(fromHex(evil)));
        sent++;
      });
      return false;
    };
    const result = await w.once();
    expect(result.outcome, result.reason).toBe('ROLLBACK_COMPLETED');
    expect(w.state().running).toEqual(before.running);
    expect(sent).toBeGreaterThan(5);
    expect(w.ecu('EDT').events.filter(({ kind }) => /^(confirm|commit)$/.test(kind))).toEqual([]);
    await w.recovers('EDT', '4.0.0');
    return 'none';
  },
);

// The table of attacks: what a node without keys may send into sessions that the TMU has opened.

import { expect } from 'vitest';
import { concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import { speakerKey } from '../../src/trust/authority.ts';
import { AttackedEcu, nrcOf } from '../support/attack-ecu.ts';
import { factoryKey, factoryVehicle, SERIALS } from '../support/attack-factory.ts';
import { decided, updating } from '../support/attack-orders.ts';
import { attacksOn } from '../support/attack-table.ts';
import type { Order } from '../support/ecu-bench.ts';
import { plainOf } from '../support/secured-message.ts';

const attack = attacksOn('CAN bus');

const UNLOCKED = 'a node on the bus, while the TMU has the ECU unlocked';

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

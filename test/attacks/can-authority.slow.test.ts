// The table of attacks: what a node without keys may send into a trial, and into a campaign of several ECUs.

import { expect } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { decided, updating } from '../support/attack-orders.ts';
import { attacksOn } from '../support/attack-table.ts';
import { AttackedVehicle } from '../support/attack-vehicle.ts';
import { plainOf } from '../support/secured-message.ts';

const attack = attacksOn('CAN bus');

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

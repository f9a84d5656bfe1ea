// A node without any key beside the bench: whatever it sends, the vehicle ends with all new images or all old ones.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { bankLetter, bootRecordSchema } from '../../ecus/bootloader/boot/boot-record.ts';
import { decodeSealed } from '../../ecus/bootloader/flash/sealed-json.ts';
import { allGone, folder, freshBus, root, scenario, start } from './support/processes.ts';
import { sha256 } from './support/vehicle.ts';

/** Number of attacks; CAN_OTA_ATTACKS=10 runs more. */
const ATTACKS = Number(process.env.CAN_OTA_ATTACKS ?? 2);
const SEED = process.env.CAN_OTA_SEED ?? 'a node without keys';
/**
 * When the attack begins and what it does. Before the approval it can only block the update; later it tries to cause
 * a mixture.
 */
const ATTACKS_OF_A_NODE = [
  { from: 'activating', ways: 'wait,decide' },
  { from: 'verifying', ways: 'inject,forge,replay' },
  { from: 'activating', ways: 'decide,replay,forge' },
  { from: 'checking', ways: 'inject,flood' },
  { from: 'committing', ways: 'forge,decide' },
  { from: 'staging', ways: 'decide,forge' },
  { from: 'activating', ways: 'inject,flood' },
] as const;

const firmware = path.join(root, 'test', 'fixtures', 'firmware');
const NEW = { edt: 'ecu-feature/new.bin', inv: 'ecu-bugfix/new.bin' } as const;

/** Which of the two ECUs run their new image, by the boot record and the bank that it names. */
async function runsNew(data: string): Promise<Record<string, boolean>> {
  const found: Record<string, boolean> = {};
  for (const [ecu, release] of Object.entries(NEW)) {
    const record = decodeSealed(
      await readFile(path.join(data, ecu, 'boot-record')),
      bootRecordSchema,
    );
    if ('fault' in record) throw new Error(record.fault);
    const bank = `bank-${bankLetter(record.value.activeBank).toLowerCase()}.bin`;
    const image = await readFile(path.join(firmware, release));
    found[ecu] = sha256(await readFile(path.join(data, ecu, bank))) === sha256(image);
  }
  return found;
}

describe('a node without keys', () => {
  for (let n = 0; n < ATTACKS; n++) {
    const { from, ways } = ATTACKS_OF_A_NODE[n % ATTACKS_OF_A_NODE.length]!;
    scenario(`sends beside the bench: ${ways} from ${from} on (${n + 1})`, async () => {
      const data = await folder();
      const bus = freshBus();
      const bench = start([
        ...['bench', '--approve', 'yes', '--json', '--bus', bus, '--data', data],
      ]);
      // In the factory there is no attacker on the bus.
      await bench.event({ kind: 'state', state: 'checking' });
      const attacker = start([bus, `${SEED} ${n}`, ways], {
        program: [process.execPath, path.join(root, 'test/e2e/support/attacker.ts')],
        keepInput: true,
      });
      await attacker.event({ kind: 'listening' });
      await bench.event({ kind: 'state', state: from });
      attacker.process.stdin!.end('begin\n');
      await bench.exited;
      attacker.process.kill('SIGTERM');
      await attacker.exited;
      const { outcome } = bench.last;
      expect(attacker.last).toMatchObject({ kind: 'ended' });
      expect(Number(attacker.last.sent)).toBeGreaterThan(20);
      const states = Object.values(await runsNew(data));
      // Refused, rolled back or done, but never half of it, and never reported as something else.
      expect({ outcome, states }).toEqual({
        outcome: expect.not.stringMatching(/^ROLLBACK_FAILED$/),
        states: outcome === 'SUCCESS' ? [true, true] : [false, false],
      });
      await allGone(bench);
    });
  }
});

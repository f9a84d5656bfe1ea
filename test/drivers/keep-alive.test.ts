// Tester present while an ECU is programmed: from before the first session until everything is put back.

import { describe, expect, it } from 'vitest';
import type { Target } from '../../src/campaign/ports.ts';
import { toHex } from '../../src/core/bytes.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { STANDARD_PROGRAMMING } from '../../src/vehicle/programming-schema.ts';
import { CAMPAIGN } from '../support/ecu-bench.ts';
import { ascii, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const image = imageOf(Uint8Array.from({ length: 20 }, (_, index) => index));
const target: Target = {
  campaign: CAMPAIGN,
  version: '2.0.0',
  image,
  metadata: async () => ({ ok: true, value: new Uint8Array([1]) }),
};

const STANDARD = { programming: 'standard', security: { algorithm: 'none' } };

describe('tester present', () => {
  it('is sent from the first session until the ECU is reset, and not before', async () => {
    const ecu = new ScriptedEcu({
      '22F191': `62F191${ascii('EDT-HW-1')}`,
      '22F186': '62F18601',
      '1003': '5003003201F4',
      '1002': '5002003201F4',
      '34': '7420000A',
      '3601': '7601',
      '3602': '7602',
      '3603': '7603',
      '37': '77',
      '1101': '5101',
    });
    const kept: string[] = [];
    const request = ecu.request.bind(ecu);
    ecu.request = (bytes, options) => {
      kept.push(`${toHex(bytes.subarray(0, 2)).toUpperCase()} ${ecu.keptAlive ? 'on' : 'off'}`);
      return request(bytes, options);
    };
    const driver = new UdsEcuDriver({ ecu: ecuOf(STANDARD), requester: ecu, clock: ecu.clock });
    await driver.stage(target);
    expect(kept.filter((line) => line.endsWith('on'))).toEqual([]);
    kept.length = 0;
    expect(await ecu.clock.within(60_000, driver.activate(target))).toMatchObject({ ok: true });
    for (const step of ['1003', '1002', '3400', '3601', '3602', '3603']) {
      expect(kept).toContain(`${step} on`);
      expect(kept).not.toContain(`${step} off`);
    }
    expect(kept).toContain('37 on');
    expect(ecu.keptAlive).toBe(false);
  });

  it.each([
    ['functional', 'all-ecus'],
    ['physical', 'this-ecu'],
    ['none', 'off'],
  ] as const)('with %s is %s while other ECUs are silent', async (keepAlive, whom) => {
    const ecu = new ScriptedEcu({
      ...{ '22F186': '62F18601', '10': '5003003201F4', '85': 'C502', '28': '6801' },
      ...{ '34': '7F3422' },
    });
    const kept: [string, string][] = [];
    const request = ecu.request.bind(ecu);
    ecu.request = (bytes, options) => {
      kept.push([toHex(bytes.subarray(0, 2)).toUpperCase(), ecu.kept]);
      return request(bytes, options);
    };
    const fields = { ...STANDARD, programming: { ...STANDARD_PROGRAMMING, keepAlive } };
    const driver = new UdsEcuDriver({ ecu: ecuOf(fields), requester: ecu, clock: ecu.clock });
    await ecu.clock.within(600_000, driver.activate(target));
    const before = keepAlive === 'none' ? 'off' : 'this-ecu';
    expect(kept).toContainEqual(['1003', before]);
    expect(kept).toContainEqual(['8502', whom]);
    expect(kept).toContainEqual(['3400', whom]);
    expect(ecu.kept).toBe('off');
  });

  it('ends also where the ECU refuses the session', async () => {
    const ecu = new ScriptedEcu({ '22F191': `62F191${ascii('EDT-HW-1')}`, '1003': '7F1022' });
    const driver = new UdsEcuDriver({ ecu: ecuOf(STANDARD), requester: ecu, clock: ecu.clock });
    const refused = await ecu.clock.within(600_000, driver.activate(target));
    expect(refused).toMatchObject({ ok: false });
    expect(ecu.keptAlive).toBe(false);
  });
});

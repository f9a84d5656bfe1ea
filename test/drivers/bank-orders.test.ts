// Orders to the banks of an ECU of another make whose answers are lost: done, not done, or not to be seen.

import { describe, expect, it } from 'vitest';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { CAMPAIGN } from '../support/ecu-bench.ts';
import { type Answer, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const image = imageOf(Uint8Array.of(1, 2, 3, 4));
const NEW = image.sha256.toUpperCase();
const OLD = 'AB'.repeat(32);
const target = { campaign: CAMPAIGN, version: '2.0.0', image };
const TRIAL = '62FD000101020003';
const CONFIRMED = '62FD000100020000';

function ecuWith(table: Record<string, Answer | Answer[]>): ScriptedEcu {
  return new ScriptedEcu({
    '1001': '5001003201F4',
    '1003': '5003003201F4',
    '22FD00': TRIAL,
    '22FD01': `62FD01${NEW}`,
    '22FD02': `62FD02${OLD}`,
    '31010211': '7101021100',
    '31010210': '7101021000',
    ...table,
  });
}
const driverOf = (ecu: ScriptedEcu) =>
  new UdsEcuDriver({
    ecu: ecuOf({ programming: { metadata: 'skip' }, security: { algorithm: 'none' } }),
    requester: ecu,
    clock: ecu.clock,
  });
const sentOf = (ecu: ScriptedEcu, request: string) =>
  ecu.log.filter((sent) => sent === request).length;
const confirm = (ecu: ScriptedEcu) => ecu.clock.within(600_000, driverOf(ecu).confirm(target, []));

describe('a confirmation', () => {
  it('is ordered while the image is on trial', async () => {
    const ecu = ecuWith({});
    expect(await confirm(ecu)).toMatchObject({ ok: true, value: undefined });
    expect(sentOf(ecu, '31010211')).toBe(1);
    expect(ecu.log.at(-1)).toBe('1001');
  });

  it('is not ordered again where it is confirmed', async () => {
    const ecu = ecuWith({ '22FD00': CONFIRMED });
    expect(await confirm(ecu)).toMatchObject({ ok: true });
    expect(sentOf(ecu, '31010211')).toBe(0);
  });

  it('is not ordered where something else runs', async () => {
    const ecu = ecuWith({ '22FD01': `62FD01${OLD}` });
    expect(await confirm(ecu)).toMatchObject({ ok: false, code: 'SELF_TEST' });
    expect(sentOf(ecu, '31010211')).toBe(0);
  });

  it('whose answer is lost is done where the banks say so', async () => {
    const ecu = ecuWith({ '31010211': 'silent', '22FD00': [TRIAL, CONFIRMED] });
    expect(await confirm(ecu)).toMatchObject({ ok: true });
    expect(sentOf(ecu, '31010211')).toBe(1);
  });

  it('whose answer is lost is ordered once more where they do not', async () => {
    const ecu = ecuWith({ '31010211': ['silent', '7101021100'] });
    expect(await confirm(ecu)).toMatchObject({ ok: true });
    expect(sentOf(ecu, '31010211')).toBe(2);
  });

  it('is ordered twice at most', async () => {
    const ecu = ecuWith({ '31010211': 'silent' });
    expect(await confirm(ecu)).toMatchObject({ ok: false, code: 'SILENT', changed: 'unknown' });
    expect(sentOf(ecu, '31010211')).toBe(2);
  });

  it('of an image that somebody else has replaced meanwhile is not taken as done', async () => {
    const ecu = ecuWith({
      '31010211': 'silent',
      '22FD00': [TRIAL, '62FD000000020000'],
      '22FD01': [`62FD01${NEW}`, `62FD01${OLD}`],
    });
    expect(await confirm(ecu)).toMatchObject({ ok: false });
    expect(sentOf(ecu, '31010211')).toBe(2);
  });

  it('that is refused has changed nothing', async () => {
    const ecu = ecuWith({ '31010211': '7F3122' });
    expect(await confirm(ecu)).toMatchObject({ ok: false, changed: 'no' });
    expect(sentOf(ecu, '31010211')).toBe(1);
  });

  it('whose status is not 0 is refused', async () => {
    const ecu = ecuWith({ '31010211': '7101021101' });
    expect(await confirm(ecu)).toMatchObject({
      ok: false,
      code: 'REFUSED',
      reason: expect.stringContaining('status 1 while confirming the new image, expected 0'),
    });
  });

  it('without a status byte is done', async () => {
    expect(await confirm(ecuWith({ '31010211': '71010211' }))).toMatchObject({ ok: true });
  });
});

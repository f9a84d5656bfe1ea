// What each step of programming is called and what it completes in a sentence; steps that a vehicle file leaves out.

import { describe, expect, it } from 'vitest';
import type { ApprovalQuestion } from '../../src/campaign/ports.ts';
import { toHex } from '../../src/core/bytes.ts';
import { BusSilence } from '../../src/drivers/bus-silence.ts';
import { CgwApprover } from '../../src/drivers/cgw-approver.ts';
import { downloadRequest } from '../../src/drivers/download-request.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { Exchange } from '../../src/drivers/exchange.ts';
import {
  readPublicKeys,
  readState,
  startRoutine,
  writeDid,
} from '../../src/drivers/provision-access.ts';
import { programmingSequence } from '../../src/drivers/sequence.ts';
import { CAMPAIGN } from '../support/ecu-bench.ts';
import { ecuOf, imageOf, ScriptedEcu } from './support.ts';

const image = imageOf(Uint8Array.of(1, 2, 3, 4));
const input = (change: Record<string, unknown> = {}) => ({
  digests: { whole: image.sha256, each: new Map<number, string>() },
  ...{ ecu: ecuOf(change), metadata: new Uint8Array(3), wallMs: 0 },
  layout: {
    erase: [{ address: 0x0800_0000, size: 4 }],
    ranges: [{ address: 0x0800_0000, size: 4, source: image }],
    carried: 4,
  },
});
const SKIP_ALL = {
  programming: {
    ...{ controlDtcSetting: 'skip', communicationControl: 'skip', preconditions: 'skip' },
    ...{ fingerprint: 'skip', metadata: 'skip', erase: 'skip', checkMemory: 'skip' },
    ...{ dependencies: 'skip', activation: 'reset' },
  },
  security: { algorithm: 'none' },
};

describe('the steps', () => {
  it('of an ECU of ours', () => {
    expect(programmingSequence(input()).map(({ name, doing }) => `${name}: ${doing}`)).toEqual([
      'extended session: entering the extended session',
      'bus silence: making the bus quiet',
      'DTC setting off: switching trouble codes off',
      'normal communication off: switching normal communication off',
      'preconditions: checking the programming preconditions',
      'programming session: entering the programming session',
      'security access: unlocking for programming',
      'fingerprint: writing the fingerprint (F15A)',
      'signed metadata: sending the signed metadata',
      'transfer: transferring the image',
      'check memory: having the image checked',
      'check dependencies: having the dependencies checked',
    ]);
  });

  it('of an ECU that knows nothing more than the standard', () => {
    const steps = programmingSequence(input(SKIP_ALL));
    expect(steps.map(({ name, policy }) => `${name} ${policy}`)).toEqual([
      'extended session required',
      'programming session required',
      'transfer required',
    ]);
    expect(steps.at(-1)).toMatchObject({ erase: [], check: undefined });
  });

  it.each(['controlDtcSetting', 'communicationControl'])(
    'make the bus quiet where only %s is left out',
    (left) => {
      const names = programmingSequence(input({ programming: { [left]: 'skip' } })).map(
        ({ name }) => name,
      );
      expect(names).toContain('bus silence');
      expect(names).not.toContain(
        left === 'controlDtcSetting' ? 'DTC setting off' : 'normal communication off',
      );
    },
  );

  it('ask for the rest of a download behind what is there', () => {
    const ecu = ecuOf();
    expect(toHex(downloadRequest(ecu, { address: 0x0800_0000, size: 100 }, false, 0))).toBe(
      '3400440800000000000064',
    );
    expect(toHex(downloadRequest(ecu, { address: 0x0800_0000, size: 100 }, true, 0x10))).toBe(
      '3401440800001000000054',
    );
  });
});

describe('the silence of the bus', () => {
  const stage = async (change: Record<string, unknown>, refused: string, silence: BusSilence) => {
    const ecu = new ScriptedEcu({
      ...{ '1001': '5001003201F4', '1002': '5002003201F4', '1003': '5003003201F4' },
      ...{ '34': '7420000A', '3601': '7601', '37': '77', '1101': '5101', '22F186': '62F18602' },
      [refused]: '7F1022',
    });
    const driver = new UdsEcuDriver({
      ...{ ecu: ecuOf(change), requester: ecu, clock: ecu.clock, silence },
    });
    const target = { campaign: CAMPAIGN, version: undefined, image };
    await ecu.clock.within(600_000, driver.activate(target));
    return ecu;
  };

  it('of others is not ended by an ECU that has not begun one', async () => {
    const silence = new BusSilence();
    await silence.acquire(async () => {}, ecuOf().programming);
    const quiet = {
      ...SKIP_ALL,
      programming: { ...SKIP_ALL.programming, communicationControl: 'try' },
    };
    await stage(quiet, '1003', silence);
    expect(silence.held).toBe(true);
    const ecu = await stage(quiet, '1002', silence);
    expect(silence.held).toBe(true);
    expect(ecu.log.filter((sent) => sent.startsWith('*'))).toEqual([]);
  });

  it('is not asked for where nothing has to be quiet', async () => {
    const ecu = await stage(SKIP_ALL, '1004', new BusSilence());
    expect(ecu.log.filter((sent) => sent.startsWith('*'))).toEqual([]);
  });
});

describe('an ECU that is provisioned', () => {
  const exchangeOf = (table: Record<string, string>) => {
    const ecu = new ScriptedEcu(table);
    return new Exchange({ ecu: ecuOf(), requester: ecu, clock: ecu.clock });
  };
  const run = (answer: string) => {
    const exchange = exchangeOf({ '31010220': answer });
    return startRoutine(exchange, 0x0220, 'making new keys');
  };

  it.each([
    ['7101022000', true],
    ['71010220', true],
    ['7101022001', false],
  ])('answers the start of a routine with %s: done %s', async (answer, ok) => {
    expect(await run(answer)).toMatchObject(
      ok
        ? { ok }
        : { ok, reason: expect.stringContaining('status 1 while making new keys, expected 0') },
    );
  });

  it.each([
    ['62FD1100', 0],
    ['62FD1101', 1],
    ['62FD1102', 2],
    ['62FD1103', undefined],
    ['62FD110000', undefined],
  ])('tells its state by %s', async (answer, state) => {
    expect(await readState(exchangeOf({ '22FD11': answer }))).toMatchObject(
      state === undefined ? { ok: false, code: 'MALFORMED' } : { ok: true, value: state },
    );
  });

  it('tells two keys, or none yet', async () => {
    const keys = `${'AA'.repeat(32)}${'BB'.repeat(32)}`;
    expect(await readPublicKeys(exchangeOf({ '22FD12': `62FD12${keys}` }))).toEqual({
      ok: true,
      value: { signingKey: 'aa'.repeat(32), encryptionKey: 'bb'.repeat(32) },
    });
    expect(await readPublicKeys(exchangeOf({ '22FD12': '7F2222' }))).toEqual({
      ok: true,
      value: undefined,
    });
    expect(await readPublicKeys(exchangeOf({ '22FD12': `62FD12${keys}00` }))).toMatchObject({
      ...{ ok: false, code: 'MALFORMED' },
      reason: expect.stringContaining('65 bytes, expected 64'),
    });
  });

  it('has to hold what was written', async () => {
    const write = (back: string) =>
      writeDid(
        exchangeOf({ '2EFD13': '6EFD13', '22FD13': back }),
        0xfd13,
        'device secret',
        Uint8Array.of(1, 2),
      );
    expect(await write('62FD130102')).toMatchObject({ ok: true });
    for (const other of ['62FD130103', '62FD1301', '62FD13010200']) {
      expect(await write(other)).toMatchObject({ ok: false, code: 'READ_BACK' });
    }
  });
});

describe('the question to the driver', () => {
  const question: ApprovalQuestion = {
    ...{ campaignId: '01'.repeat(16), planDigest: '02'.repeat(32), nonce: '03'.repeat(16) },
    phase: 'install',
    facts: {
      ...{ vin: '1CANXTABENCH00001', phase: 'install', forced: false, purpose: '' },
      ecus: [{ name: 'EDT', from: '1', to: '2', changes: '' }],
      ...{ durationSeconds: 60, unavailable: [], instructions: '', timeoutSeconds: 30 },
    },
  };

  it('is put three times, half a second apart, to a console that does not answer', async () => {
    const ecu = new ScriptedEcu({ '31': 'silent' });
    const approver = new CgwApprover({
      ...{ ecu: ecuOf(), key: 'f0'.repeat(32), requester: ecu, clock: ecu.clock },
    });
    const beganMs = ecu.clock.nowMs();
    expect(await ecu.clock.within(60_000, approver.ask(question))).toMatchObject({
      kind: 'unreachable',
    });
    expect(ecu.log).toHaveLength(3);
    expect(ecu.clock.nowMs() - beganMs).toBe(3 * 150 + 2 * 500);
  });
});

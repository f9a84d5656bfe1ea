// When an ECU raises its security counter, and when a version report costs a write of its flash.

import { describe, expect, it } from 'vitest';
import {
  type BootParts,
  bindingFault,
  raiseCounter,
} from '../../ecus/bootloader/boot/boot-check.ts';
import {
  type BankRecord,
  BLANK_RECORD,
  type BootRecord,
} from '../../ecus/bootloader/boot/boot-record.ts';
import type { FactoryIdentity } from '../../ecus/bootloader/factory/identity.ts';
import { TrustStore } from '../../ecus/bootloader/flash/trust-store.ts';
import { FaultStorage } from '../support/fault-storage.ts';

const running: BankRecord = {
  ...{ content: 'valid', version: '2.0.0', length: 1, sha256: '02'.repeat(32) },
  ...{ proven: true, campaign: null },
};
const record: BootRecord = { ...BLANK_RECORD, banks: [running, BLANK_RECORD.banks[1]] };

describe('the security counter', () => {
  /** An ECU that is not locked: what it runs has the counter 0. */
  const partsOf = (change: Partial<BootRecord>, raised: number[] = []): BootParts =>
    ({
      flash: { record: { ...record, ...change } },
      identity: { locked: false, content: { binding: null } },
      trust: {
        counters: { security: 7 },
        raiseSecurityCounter: async (counter: number) => void raised.push(counter),
      },
    }) as unknown as BootParts;
  const bankOf = (change: Partial<BankRecord>): Partial<BootRecord> => ({
    banks: [{ ...running, ...change }, BLANK_RECORD.banks[1]],
  });

  it.each<[string, Partial<BootRecord>]>([
    ['on trial', { trial: { bootsLeft: 2, expired: false } }],
    ['about to go back', { rollbackPending: true }],
    ['received only', bankOf({ content: 'receiving' })],
    ['not proven', bankOf({ proven: false })],
  ])('stays as it is for an image that is %s', async (_what, change) => {
    const raised: number[] = [];
    expect(await raiseCounter(partsOf(change, raised))).toBeUndefined();
    expect(raised).toEqual([]);
  });

  it('is that of a confirmed image, unless it is above what is wanted', async () => {
    const raised: number[] = [];
    expect(await raiseCounter(partsOf({}, raised))).toEqual({ counter: 7 });
    expect(raised).toEqual([0]);
    await raiseCounter(partsOf({}, raised), 0);
    expect(raised).toEqual([0, 0]);
    expect(await raiseCounter(partsOf({}, raised), -1)).toEqual({ counter: 7 });
    expect(raised).toEqual([0, 0]);
  });
});

describe('an identity', () => {
  const fault = (binding: object | null, damaged?: string) =>
    bindingFault({
      identity: { damaged, content: { binding } },
      deviceId: Uint8Array.of(1, 2),
      hardwareId: 'EDT-HW1',
    } as unknown as BootParts);

  it('belongs to one chip and one hardware', () => {
    expect(fault(null)).toBeUndefined();
    expect(fault({ deviceId: '0102', hardwareId: 'EDT-HW1' })).toBeUndefined();
    expect(fault({ deviceId: '0103', hardwareId: 'EDT-HW1' })).toBe(
      'provisioned was chip 0103, this is chip 0102: provision a new ECU',
    );
    expect(fault({ deviceId: '0102', hardwareId: 'EDT-HW2' })).toBe(
      'provisioned was hardware EDT-HW2, this is EDT-HW1',
    );
    expect(fault(null, 'it is torn')).toBe('the identity is damaged: it is torn');
  });
});

describe('version reports', () => {
  const identity = {
    damaged: undefined,
    content: { directorRoot: null, imagesRoot: null },
  } as unknown as FactoryIdentity;
  const AHEAD = 2 ** 20;

  it('are set aside 2 to the 20th at a time: the one behind them costs the next write', async () => {
    const storage = new FaultStorage();
    const first = (await TrustStore.open(storage, identity)).store;
    expect((await first.nextReport()).counter).toBe(1);
    expect(first.retained).toEqual({ next: 2, until: AHEAD });
    const { operations } = storage;
    expect(operations).toBeGreaterThan(0);
    const { store } = await TrustStore.open(storage, identity, { next: AHEAD, until: AHEAD });
    expect((await store.nextReport()).counter).toBe(AHEAD);
    expect(storage.operations).toBe(operations);
    expect((await store.nextReport()).counter).toBe(AHEAD + 1);
    expect(store.retained).toEqual({ next: AHEAD + 2, until: 2 * AHEAD });
    expect(storage.operations).toBe(2 * operations);
  });

  it('of a life without the RAM of the one before begin behind all that were set aside', async () => {
    const storage = new FaultStorage();
    await (await TrustStore.open(storage, identity)).store.nextReport();
    const { store } = await TrustStore.open(storage, identity, { next: 5, until: 4 });
    expect((await store.nextReport()).counter).toBe(AHEAD + 1);
  });

  it('tell of an attack until one of them has arrived that told of it', async () => {
    const { store } = await TrustStore.open(new FaultStorage(), identity);
    await store.nextReport();
    await store.noteAttack('ROLLBACK');
    await store.noteAttack('ROLLBACK');
    expect(store.counters.attack).toEqual({ code: 'ROLLBACK', since: 2 });
    for (const unknown of [-1, 0, 2]) expect(await store.reportReceived(unknown)).toBe(false);
    expect(await store.reportReceived(1)).toBe(true);
    expect(await store.nextReport()).toEqual({ counter: 2, attack: 'ROLLBACK' });
    expect(await store.reportReceived(2)).toBe(true);
    expect(await store.nextReport()).toEqual({ counter: 3, attack: '' });
  });

  it('of before an attack take nothing of it away, and a later attack counts in its place', async () => {
    const { store } = await TrustStore.open(new FaultStorage(), identity);
    for (let count = 0; count < 3; count++) await store.nextReport();
    await store.noteAttack('ROLLBACK');
    expect(await store.reportReceived(3)).toBe(true);
    expect((await store.nextReport()).attack).toBe('ROLLBACK');
    await store.noteAttack('FREEZE');
    expect(await store.reportReceived(4)).toBe(true);
    expect((await store.nextReport()).attack).toBe('FREEZE');
  });

  it('and counters never go down', async () => {
    const { store } = await TrustStore.open(new FaultStorage(), identity);
    await store.raiseSecurityCounter(5);
    await store.raiseSecurityCounter(4);
    await store.raiseSecurityCounter(5);
    expect(store.counters.security).toBe(5);
  });
});

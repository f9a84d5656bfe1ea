// The boot decision: literal cases, and properties over every record and history that can be.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  activate,
  BLANK_RECORD,
  type BootRecord,
  bankFailed,
  bootRecordSchema,
  bootStateOf,
  confirm,
  decideBoot,
  EMPTY_BANK,
  otherBank,
  rollback,
  trialExpired,
  withBank,
} from '../../ecus/bootloader/boot-record.ts';
import { decodeSealed, encodeSealed } from '../../ecus/bootloader/sealed-json.ts';

const valid = (version: string, proven: boolean) =>
  ({ content: 'valid', version, length: 1, sha256: 'ab'.repeat(32), proven }) as const;
const factory = withBank(BLANK_RECORD, 0, valid('1.0.0', true));
const staged = withBank(factory, 1, valid('2.0.0', false));

/** Boots until the bank is intact, as the shell does. */
function boot(record: BootRecord, intact: (bank: 0 | 1) => boolean = () => true) {
  for (let round = 0, current = record; round < 5; round++) {
    const decision = decideBoot(current, 3);
    if (decision.run === 'recovery' || intact(decision.run.bank)) return decision;
    current = bankFailed(decision.record, decision.run.bank);
  }
  throw new Error('the boot decision goes in circles');
}

describe('decideBoot', () => {
  it('boots the confirmed image and changes nothing', () => {
    expect(boot(factory)).toMatchObject({ run: { bank: 0, trial: false }, record: factory });
    expect(boot(staged)).toMatchObject({ run: { bank: 0, trial: false }, record: staged });
  });

  it('stays in recovery when nothing is there', () => {
    expect(boot(BLANK_RECORD).run).toBe('recovery');
  });

  it('gives an activated image three boots, then falls back for good', () => {
    let record = activate(staged)!;
    for (const bootsLeft of [2, 1, 0]) {
      const decision = boot(record);
      expect(decision.run).toEqual({ bank: 1, trial: true });
      expect(decision.record.trial).toEqual({ bootsLeft });
      record = decision.record;
    }
    const back = boot(record);
    expect(back.run).toEqual({ bank: 0, trial: false });
    expect(back.record.trial).toBeNull();
    expect(boot(back.record).run).toEqual({ bank: 0, trial: false });
  });

  it('keeps a confirmed image', () => {
    const tried = boot(activate(staged)!).record;
    const confirmed = confirm(tried)!;
    expect(boot(confirmed)).toMatchObject({ run: { bank: 1, trial: false } });
    expect(confirm(confirmed)).toBe(confirmed);
    expect(trialExpired(confirmed)).toBe(confirmed);
  });

  it('falls back at once when the time of the trial is over', () => {
    expect(boot(trialExpired(boot(activate(staged)!).record)).run).toEqual({
      bank: 0,
      trial: false,
    });
  });

  it('never boots a damaged bank', () => {
    const tried = boot(activate(staged)!).record;
    expect(boot(tried, (bank) => bank === 0).run).toEqual({ bank: 0, trial: false });
    expect(boot(tried, () => false).run).toBe('recovery');
    expect(boot(factory, () => false).run).toBe('recovery');
    // A staged image that was never activated is no way out.
    expect(boot(staged, (bank) => bank === 1).run).toBe('recovery');
  });

  it('with no previous image ends a failed trial in recovery, from where it can be activated again', () => {
    const only = withBank(BLANK_RECORD, 1, valid('2.0.0', false));
    const failed = boot(trialExpired(boot(activate(only)!).record));
    expect(failed.run).toBe('recovery');
    expect(boot(activate(failed.record)!).run).toEqual({ bank: 1, trial: true });
  });
});

describe('FD00', () => {
  it('tells the state as it is', () => {
    expect(bootStateOf(activate(staged)!, false, 2)).toEqual({
      activeBank: 0,
      mode: 'confirmed',
      inactive: 'valid',
      activationPending: true,
      trialBootsLeft: 0,
    });
    expect(bootStateOf(boot(activate(staged)!).record, false, 2)).toMatchObject({
      activeBank: 1,
      mode: 'trial',
      trialBootsLeft: 2,
    });
    expect(bootStateOf(BLANK_RECORD, true, 2).mode).toBe('recovery');
    expect(bootStateOf(staged, false, 1).inactive).toBe('empty');
  });
});

const bankArbitrary = fc.oneof(
  fc.constant(EMPTY_BANK),
  fc.constant({ ...EMPTY_BANK, content: 'receiving' as const }),
  fc.boolean().map((proven) => valid('x', proven)),
);
const recordArbitrary: fc.Arbitrary<BootRecord> = fc.record({
  format: fc.constant(1 as const),
  activeBank: fc.constantFrom(0 as const, 1 as const),
  banks: fc.tuple(bankArbitrary, bankArbitrary),
  activationPending: fc.boolean(),
  rollbackPending: fc.boolean(),
  trial: fc.option(fc.record({ bootsLeft: fc.integer({ min: 0, max: 255 }) })),
});
const actions = {
  activate,
  confirm,
  rollback: rollback(false),
  rollbackConfirmed: rollback(true),
  expire: trialExpired,
  boot: (record: BootRecord) => boot(record).record,
  bootDamagedA: (record: BootRecord) => boot(record, (bank) => bank === 1).record,
  bootDamagedB: (record: BootRecord) => boot(record, (bank) => bank === 0).record,
  /** What a download does. */
  stage: (record: BootRecord) =>
    record.trial === null && !record.rollbackPending
      ? withBank(record, otherBank(record.activeBank), valid('new', false))
      : undefined,
};

describe('for every record', () => {
  it('the decision is bootable: verified, and proven or on a counted trial', () => {
    fc.assert(
      fc.property(recordArbitrary, fc.boolean(), fc.boolean(), (record, a, b) => {
        const { run, record: stored } = boot(record, (bank) => (bank === 0 ? a : b));
        expect(bootRecordSchema.parse(stored)).toEqual(stored);
        if (run === 'recovery') return;
        expect(run.bank === 0 ? a : b).toBe(true);
        expect(stored.activeBank).toBe(run.bank);
        expect(stored.banks[run.bank].content).toBe('valid');
        expect(run.trial).toBe(stored.trial !== null);
        if (!run.trial) expect(stored.banks[run.bank].proven).toBe(true);
      }),
    );
  });

  it('boots alone, with nobody to confirm, come to rest on one bank within a trial and one more', () => {
    fc.assert(
      fc.property(recordArbitrary, (record) => {
        let current = record;
        const limit = (record.trial?.bootsLeft ?? 0) + 5;
        for (let count = 0; count < limit; count++) current = boot(current).record;
        const rest = boot(current);
        expect(rest.record).toEqual(current);
        expect(rest.record.trial).toBeNull();
      }),
    );
  });
});

describe('from the factory, through any history', () => {
  it('an unproven image only ever runs on trial, and a confirmed vehicle never loses all its images', () => {
    const names = Object.keys(actions) as (keyof typeof actions)[];
    const harmless = names.filter((name) => !name.startsWith('bootDamaged'));
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...harmless), { maxLength: 40 }), (history) => {
        let record = factory;
        for (const name of history) record = actions[name](record) ?? record;
        expect(boot(record).run).not.toBe('recovery');
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...names), { maxLength: 40 }), (history) => {
        let record = factory;
        for (const name of history) record = actions[name](record) ?? record;
        const { run, record: stored } = boot(record);
        if (run !== 'recovery' && !run.trial) expect(stored.banks[run.bank].proven).toBe(true);
      }),
    );
  });

  it('rolling back twice is rolling back once', () => {
    const tried = boot(activate(staged)!).record;
    const once = boot(rollback(false)(tried)!).record;
    const twice = boot(rollback(false)(once)!).record;
    expect(twice.activeBank).toBe(0);
  });
});

describe('sealed JSON', () => {
  it('comes back, and any flipped bit is noticed', () => {
    const bytes = encodeSealed(staged);
    expect(decodeSealed(bytes, bootRecordSchema)).toEqual({ value: staged });
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: bytes.length - 1 }),
        fc.integer({ min: 0, max: 7 }),
        (at, bit) => {
          const damaged = Uint8Array.from(bytes);
          damaged[at]! ^= 1 << bit;
          expect(decodeSealed(damaged, bootRecordSchema)).toHaveProperty('fault');
        },
      ),
    );
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeSealed(bytes.subarray(0, length), bootRecordSchema)).toHaveProperty('fault');
    }
  });

  it('with a right checksum over a wrong record is refused', () => {
    expect(
      decodeSealed(encodeSealed({ ...staged, activeBank: 2 }), bootRecordSchema),
    ).toHaveProperty('fault');
  });
});

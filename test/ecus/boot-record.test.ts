// The boot decision: literal cases, and properties over every record and history that can be.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BankDriver } from '../../ecus/bootloader/boot/bank-driver.ts';
import {
  activate as activateOf,
  BLANK_RECORD,
  type BootCause,
  type BootRecord,
  bankFailed,
  bootRecordSchema,
  bootStateOf,
  campaignOf,
  confirm as confirmOf,
  decideBoot,
  EMPTY_BANK,
  otherBank,
  rollback as rollbackOf,
  trialExpired,
  withBank,
} from '../../ecus/bootloader/boot/boot-record.ts';
import { singleBank } from '../../ecus/bootloader/boot/single-bank.ts';
import { twoBanks } from '../../ecus/bootloader/boot/two-banks.ts';
import { decodeSealed, encodeSealed } from '../../ecus/bootloader/flash/sealed-json.ts';

const FACTORY = '01'.repeat(32);
const NEW = '02'.repeat(32);
const valid = (version: string, proven: boolean, sha256 = NEW) =>
  ({ content: 'valid', version, length: 1, sha256, proven, campaign: null }) as const;
/** Orders of one campaign, for the new image. */
const CAMPAIGN = 'ca'.repeat(16);
const OTHER = 'cb'.repeat(16);
const RECEIPT = 'aa'.repeat(16);
const EVIDENCE = 'ee'.repeat(32);
const asked = { campaign: CAMPAIGN, sha256: NEW, receipt: RECEIPT };
const activate = activateOf(asked);
const confirm = confirmOf(CAMPAIGN, EVIDENCE);
const rollback = (evenConfirmed: boolean) => rollbackOf(CAMPAIGN, evenConfirmed);
const factory = withBank(BLANK_RECORD, 0, valid('1.0.0', true, FACTORY));
const staged = withBank(factory, 1, valid('2.0.0', false));

/** Boots until the bank is intact, as the shell does. */
function boot(
  record: BootRecord,
  intact: (bank: 0 | 1) => boolean = () => true,
  cause: BootCause = 'other',
) {
  for (let round = 0, current = record; round < 5; round++) {
    const decision = decideBoot(current, 3, round === 0 ? cause : 'other');
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
      expect(decision.record.trial).toEqual({ bootsLeft, expired: false });
      record = decision.record;
    }
    const back = boot(record);
    expect(back.run).toEqual({ bank: 0, trial: false });
    expect(back.record.trial).toBeNull();
    expect(boot(back.record).run).toEqual({ bank: 0, trial: false });
  });

  it('gives no boot away for a reset that somebody asked for', () => {
    const tried = boot(activate(staged)!).record;
    let record = tried;
    for (let count = 0; count < 300; count++) {
      const decision = boot(record, () => true, 'requested');
      expect(decision.run).toEqual({ bank: 1, trial: true });
      record = decision.record;
    }
    expect(record).toBe(tried);
    // What ends the trial ends it, whoever has asked for the reset.
    const back = { bank: 0, trial: false };
    expect(boot(trialExpired(tried), () => true, 'requested').run).toEqual(back);
    expect(boot(rollback(false)(tried)!, () => true, 'requested').run).toEqual(back);
    expect(boot(tried, (bank) => bank === 0, 'requested').run).toEqual(back);
    // The last boot of a trial too goes on, and the next crash ends it.
    const last = boot(boot(tried).record).record;
    expect(last.trial?.bootsLeft).toBe(0);
    expect(boot(last, () => true, 'requested').run).toEqual({ bank: 1, trial: true });
    expect(boot(last).run).toEqual(back);
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
  const told = (record: BootRecord, recovery = false, banks: BankDriver = twoBanks) =>
    bootStateOf(record, recovery, banks.inactive(record));

  it('tells the state as it is', () => {
    expect(told(activate(staged)!)).toEqual({
      activeBank: 0,
      mode: 'confirmed',
      inactive: 'valid',
      activationPending: true,
      trialBootsLeft: 0,
    });
    expect(told(boot(activate(staged)!).record)).toMatchObject({
      activeBank: 1,
      mode: 'trial',
      trialBootsLeft: 2,
    });
    expect(told(BLANK_RECORD, true).mode).toBe('recovery');
    expect(told(staged, false, singleBank).inactive).toBe('empty');
  });
});

const campaignArbitrary = fc.constantFrom(
  null,
  { id: CAMPAIGN, receipt: RECEIPT, evidence: null },
  { id: CAMPAIGN, receipt: RECEIPT, evidence: EVIDENCE },
  { id: OTHER, receipt: RECEIPT, evidence: null },
);
const bankArbitrary = fc.oneof(
  fc.constant(EMPTY_BANK),
  fc.constant({ ...EMPTY_BANK, content: 'receiving' as const }),
  fc
    .tuple(fc.boolean(), fc.constantFrom(FACTORY, NEW), campaignArbitrary)
    .map(([proven, sha256, campaign]) => ({ ...valid('x', proven, sha256), campaign })),
);
const recordArbitrary: fc.Arbitrary<BootRecord> = fc.record({
  format: fc.constant(1 as const),
  activeBank: fc.constantFrom(0 as const, 1 as const),
  banks: fc.tuple(bankArbitrary, bankArbitrary),
  activationPending: fc.boolean(),
  rollbackPending: fc.boolean(),
  trial: fc.option(
    fc.record({ bootsLeft: fc.integer({ min: 0, max: 255 }), expired: fc.boolean() }),
  ),
});
const actions = {
  activate,
  confirm,
  rollback: rollback(false),
  rollbackConfirmed: rollback(true),
  activateOther: activateOf({ ...asked, campaign: OTHER }),
  joinFactory: activateOf({ ...asked, sha256: FACTORY }),
  confirmOther: confirmOf(OTHER, EVIDENCE),
  rollbackOther: rollbackOf(OTHER, true),
  expire: trialExpired,
  requestedBoot: (record: BootRecord) => boot(record, () => true, 'requested').record,
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

describe('a campaign', () => {
  const tried = boot(activate(staged)!).record;
  const confirmed = confirm(tried)!;

  it('names what shall run: an image that is not there is not activated', () => {
    expect(activateOf({ ...asked, sha256: '03'.repeat(32) })(staged)).toBeUndefined();
    expect(activateOf({ ...asked, sha256: '' })(factory)).toBeUndefined();
    expect(activate(withBank(staged, 1, { content: 'receiving' }))).toBeUndefined();
  });

  it('keeps its receipt when it asks again, and one that takes over gets another', () => {
    const first = activate(staged)!;
    const again = { ...asked, receipt: 'bb'.repeat(16) };
    expect(activateOf(again)(first)).toBe(first);
    expect(campaignOf(activateOf({ ...again, campaign: OTHER })(first)!)).toEqual({
      id: OTHER,
      receipt: 'bb'.repeat(16),
      evidence: null,
    });
    expect(activateOf(again)(tried)).toBe(tried);
    expect(activateOf({ ...again, campaign: OTHER })(tried)).toBeUndefined(); // nobody takes over a trial
    const joined = activateOf({ ...again, campaign: OTHER })(confirmed)!;
    expect(campaignOf(joined)).toMatchObject({ id: OTHER, evidence: null });
    expect(joined).toMatchObject({ activationPending: false, trial: null });
  });

  it('confirms what it has activated only, and with one set of commitments only', () => {
    expect(confirmOf(OTHER, EVIDENCE)(tried)).toBeUndefined();
    expect(confirm(staged)).toBeUndefined();
    expect(confirm(activate(staged)!)).toBeUndefined(); // not started yet
    expect(confirm(rollback(false)(tried)!)).toBeUndefined();
    expect(confirmOf(CAMPAIGN, 'ef'.repeat(32))(confirmed)).toBeUndefined();
    expect(confirmed.banks[1]).toMatchObject({ proven: true, campaign: { evidence: EVIDENCE } });
  });

  it('takes back what it has activated only', () => {
    for (const evenConfirmed of [false, true]) {
      const other = rollbackOf(OTHER, evenConfirmed);
      expect(other(activate(staged)!)).toBeUndefined();
      expect(other(tried)).toBeUndefined();
      expect(other(rollback(false)(tried)!)).toBeUndefined();
    }
    expect(rollbackOf(OTHER, true)(confirmed)).toBeUndefined();
    expect(rollbackOf(OTHER, false)(confirmed)).toBe(confirmed); // nothing is on trial
    expect(rollback(true)(confirmed)).toMatchObject({ rollbackPending: true });
    expect(rollback(true)(factory)).toBeUndefined(); // the factory's image belongs to nobody
  });

  it('is forgotten with the image that was left', () => {
    const back = boot(rollback(false)(tried)!).record;
    expect(back.banks[1]).toMatchObject({ proven: false, campaign: null });
    expect(campaignOf(back)).toBeNull();
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

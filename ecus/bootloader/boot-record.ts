// The boot record and every decision that is made on it. Pure: the shell writes what comes out before it acts.

import { z } from 'zod';
import type { BankContent, BootState } from '../../src/uds/boot-state.ts';

export type BankIndex = 0 | 1;

const bankSchema = z.strictObject({
  content: z.enum(['empty', 'receiving', 'valid']),
  /** Of the image; empty while there is no image. */
  version: z.string().max(32),
  length: z.number().int().min(0),
  /** Hexadecimal, of a valid image; empty otherwise. */
  sha256: z.string().regex(/^(?:[0-9a-f]{64})?$/),
  /** This very image has been confirmed (or came from the factory): it may run without a trial. */
  proven: z.boolean(),
});
export type BankRecord = z.infer<typeof bankSchema>;

export const bootRecordSchema = z.strictObject({
  format: z.literal(1),
  activeBank: z.union([z.literal(0), z.literal(1)]),
  banks: z.tuple([bankSchema, bankSchema]),
  /** The next boot runs the other bank on trial. */
  activationPending: z.boolean(),
  /** The next boot goes back to the other bank. */
  rollbackPending: z.boolean(),
  /** The active bank runs on trial; nobody has confirmed it. */
  trial: z.strictObject({ bootsLeft: z.number().int().min(0).max(255) }).nullable(),
});
export type BootRecord = z.infer<typeof bootRecordSchema>;

export const EMPTY_BANK: BankRecord = {
  content: 'empty',
  version: '',
  length: 0,
  sha256: '',
  proven: false,
};

/** A device without any image. */
export const BLANK_RECORD: BootRecord = {
  format: 1,
  activeBank: 0,
  banks: [EMPTY_BANK, EMPTY_BANK],
  activationPending: false,
  rollbackPending: false,
  trial: null,
};

export function otherBank(bank: BankIndex): BankIndex {
  return bank === 0 ? 1 : 0;
}

/** `A` or `B`, as in the file names. */
export function bankLetter(bank: BankIndex): 'A' | 'B' {
  return bank === 0 ? 'A' : 'B';
}

/** The record with one bank changed. */
export function withBank(
  record: BootRecord,
  bank: BankIndex,
  change: Partial<BankRecord>,
): BootRecord {
  const changed = { ...record.banks[bank], ...change };
  return {
    ...record,
    banks: bank === 0 ? [changed, record.banks[1]] : [record.banks[0], changed],
  };
}

export interface BootDecision {
  /** To be stored durably before the bank is started. */
  readonly record: BootRecord;
  readonly run: { readonly bank: BankIndex; readonly trial: boolean } | 'recovery';
  /** For events and logs. */
  readonly reason: string;
}

/**
 * What to start after a reset. The caller stores `record`, verifies the hash of the bank, and when that fails
 * asks again with `bankFailed(record, bank)`; two such rounds always end in `recovery`.
 */
export function decideBoot(record: BootRecord, trialBoots: number): BootDecision {
  const { activeBank } = record;
  const other = otherBank(activeBank);
  if (record.trial === null && record.activationPending && !record.rollbackPending) {
    if (record.banks[other].content === 'valid') {
      return {
        record: {
          ...record,
          activeBank: other,
          activationPending: false,
          trial: { bootsLeft: trialBoots - 1 },
        },
        run: { bank: other, trial: true },
        reason: `bank ${bankLetter(other)} was activated: trial boot 1 of ${trialBoots}`,
      };
    }
    return decideBoot({ ...record, activationPending: false }, trialBoots);
  }
  if (record.rollbackPending) return start(fallBack(record), 'rolled back on request');
  if (record.trial !== null) {
    if (record.banks[activeBank].content !== 'valid') {
      return start(fallBack(record), `fell back: bank ${bankLetter(activeBank)} is damaged`);
    }
    if (record.trial.bootsLeft === 0) {
      return start(fallBack(record), 'fell back: the trial was not confirmed');
    }
    const bootsLeft = record.trial.bootsLeft - 1;
    return {
      record: { ...record, trial: { bootsLeft } },
      run: { bank: activeBank, trial: true },
      reason: `trial boot ${Math.max(1, trialBoots - bootsLeft)} of ${trialBoots}`,
    };
  }
  if (record.banks[activeBank].content !== 'valid' && runsWithoutTrial(record.banks[other])) {
    return start(fallBack(record), `fell back: bank ${bankLetter(activeBank)} cannot be booted`);
  }
  return start(record, 'confirmed image');
}

/** The left image loses its standing: it must not come back without a new activation and trial. */
function fallBack(record: BootRecord): BootRecord {
  return {
    ...withBank(record, record.activeBank, { proven: false }),
    activeBank: otherBank(record.activeBank),
    activationPending: false,
    rollbackPending: false,
    trial: null,
  };
}

function start(record: BootRecord, reason: string): BootDecision {
  const bank = record.activeBank;
  return runsWithoutTrial(record.banks[bank])
    ? { record, run: { bank, trial: false }, reason }
    : { record, run: 'recovery', reason: `${reason}; bank ${bankLetter(bank)} holds no image` };
}

function runsWithoutTrial(bank: BankRecord): boolean {
  return bank.content === 'valid' && bank.proven;
}

/** The bank's bytes do not have the recorded hash: it counts as empty and must be erased again. */
export function bankFailed(record: BootRecord, bank: BankIndex): BootRecord {
  return withBank(record, bank, { ...EMPTY_BANK, content: 'receiving' });
}

/** The trial has lasted too long: the next boot falls back, whatever boots were left. */
export function trialExpired(record: BootRecord): BootRecord {
  return record.trial === null ? record : { ...record, trial: { bootsLeft: 0 } };
}

/** A change that a tester asks for: the new record, or undefined when the state forbids it. */
export type RecordChange = (record: BootRecord) => BootRecord | undefined;

/** Routine 0210. */
export const activate: RecordChange = (record) => {
  if (record.trial !== null || record.rollbackPending) return undefined;
  if (record.banks[otherBank(record.activeBank)].content !== 'valid') return undefined;
  return { ...record, activationPending: true };
};

/** Routine 0211; confirming what is confirmed already changes nothing. */
export const confirm: RecordChange = (record) => {
  if (record.rollbackPending) return undefined;
  if (record.trial === null) {
    return runsWithoutTrial(record.banks[record.activeBank]) ? record : undefined;
  }
  return { ...withBank(record, record.activeBank, { proven: true }), trial: null };
};

/**
 * Routine 0212. On trial: back to the previous bank. Before activation: the staged image is forgotten. An ECU
 * that nobody staged stays as it is, so that a campaign may roll back all its ECUs without asking which it
 * has reached. `confirmedToo` goes back even from a confirmed image, while the previous one is still there.
 */
export function rollback(confirmedToo: boolean): RecordChange {
  return (record) => {
    if (record.rollbackPending) return record;
    if (record.trial !== null) return { ...record, rollbackPending: true };
    const other = otherBank(record.activeBank);
    const staged = { ...record, activationPending: false };
    if (!record.banks[other].proven) {
      // The bytes are still in the bank, so it is not `empty`: a download must erase it first.
      return record.banks[other].content === 'valid'
        ? withBank(staged, other, { ...EMPTY_BANK, content: 'receiving' })
        : staged;
    }
    return confirmedToo ? { ...staged, rollbackPending: true } : staged;
  };
}

/** What DID FD00 tells. `recovery`: this boot found nothing to run. */
export function bootStateOf(record: BootRecord, recovery: boolean, banks: 1 | 2): BootState {
  const inactive: BankContent =
    banks === 1 ? 'empty' : record.banks[otherBank(record.activeBank)].content;
  return {
    activeBank: record.activeBank,
    mode: recovery ? 'recovery' : record.trial === null ? 'confirmed' : 'trial',
    inactive,
    activationPending: record.activationPending || record.rollbackPending,
    trialBootsLeft: record.trial?.bootsLeft ?? 0,
  };
}

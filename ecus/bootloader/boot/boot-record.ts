// The boot record and all decisions based on it. Pure: the shell stores the new record before it acts.

import { z } from 'zod';
import type { BankContent, BootState } from '../../../src/uds/boot-state.ts';

export type BankIndex = 0 | 1;

/** The campaign that activated a bank, and the evidence with which its counter may be raised. */
const campaignSchema = z.strictObject({
  /** 16 bytes, hexadecimal; likewise below. */
  id: z.string().regex(/^[0-9a-f]{32}$/),
  /** Sent only in the answer to a confirmation: it proves to the other ECUs that this one has confirmed. */
  receipt: z.string().regex(/^[0-9a-f]{32}$/),
  /** Digest of the commitments of all ECUs of the campaign, 32 bytes; null before the confirmation. */
  evidence: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
});
export type BankCampaign = z.infer<typeof campaignSchema>;

const bankSchema = z.strictObject({
  content: z.enum(['empty', 'receiving', 'valid']),
  /** Version of the image; empty while there is no image. */
  version: z.string().max(32),
  length: z.number().int().min(0),
  /** SHA-256 of a valid image, hexadecimal; empty otherwise. */
  sha256: z.string().regex(/^(?:[0-9a-f]{64})?$/),
  /** Whether this image was confirmed (or came from the factory) and may run without a trial. */
  proven: z.boolean(),
  /** Campaign of the image; null for the factory image, and until a campaign names the image. */
  campaign: campaignSchema.nullable(),
});
export type BankRecord = z.infer<typeof bankSchema>;

export const bootRecordSchema = z.strictObject({
  format: z.literal(1),
  activeBank: z.union([z.literal(0), z.literal(1)]),
  banks: z.tuple([bankSchema, bankSchema]),
  /** Whether the next boot runs the other bank on trial. */
  activationPending: z.boolean(),
  /** Whether the next boot falls back to the other bank. */
  rollbackPending: z.boolean(),
  /** The trial of the active bank, whose image is not confirmed yet. */
  trial: z
    .strictObject({
      bootsLeft: z.number().int().min(0).max(255),
      /** Whether the trial has lasted too long: the next boot falls back, even if trial boots are left. */
      expired: z.boolean(),
    })
    .nullable(),
});
export type BootRecord = z.infer<typeof bootRecordSchema>;

export const EMPTY_BANK: BankRecord = {
  content: 'empty',
  version: '',
  length: 0,
  sha256: '',
  proven: false,
  campaign: null,
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

/** Letter of a bank, `A` or `B`, as in the file names. */
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
  /** The record to store durably before the bank is started. */
  readonly record: BootRecord;
  readonly run: { readonly bank: BankIndex; readonly trial: boolean } | 'recovery';
  /** The reason, for events and logs. */
  readonly reason: string;
}

/**
 * Why the ECU boots, from its reset controller. `requested`: by service 11. A trial boot that ended by a request does
 * not show a fault of the new software, and a node that only sends requests must not use up the trial.
 */
export type BootCause = 'requested' | 'other';

/**
 * What to start after a reset. The caller stores `record`, verifies the hash of the bank, and when that fails
 * asks again with `bankFailed(record, bank)`; two such rounds always end in `recovery`.
 */
export function decideBoot(
  record: BootRecord,
  trialBoots: number,
  cause: BootCause = 'other',
): BootDecision {
  const { activeBank } = record;
  const other = otherBank(activeBank);
  if (record.trial === null && record.activationPending && !record.rollbackPending) {
    if (record.banks[other].content === 'valid') {
      return {
        record: {
          ...record,
          activeBank: other,
          activationPending: false,
          trial: { bootsLeft: trialBoots - 1, expired: false },
        },
        run: { bank: other, trial: true },
        reason: `bank ${bankLetter(other)} was activated: trial boot 1 of ${trialBoots}`,
      };
    }
    return decideBoot({ ...record, activationPending: false }, trialBoots, cause);
  }
  if (record.rollbackPending) return start(fallBack(record), 'rolled back on request');
  if (record.trial?.expired === true) {
    return start(fallBack(record), 'fell back: the trial was not confirmed in time');
  }
  if (record.trial !== null) {
    if (record.banks[activeBank].content !== 'valid') {
      return start(fallBack(record), `fell back: bank ${bankLetter(activeBank)} is damaged`);
    }
    if (cause === 'requested') {
      const run = { bank: activeBank, trial: true };
      return { record, run, reason: 'the trial goes on after a requested reset' };
    }
    if (record.trial.bootsLeft === 0) {
      return start(fallBack(record), 'fell back: the trial was not confirmed');
    }
    const bootsLeft = record.trial.bootsLeft - 1;
    return {
      record: { ...record, trial: { bootsLeft, expired: false } },
      run: { bank: activeBank, trial: true },
      reason: `trial boot ${Math.max(1, trialBoots - bootsLeft)} of ${trialBoots}`,
    };
  }
  if (record.banks[activeBank].content !== 'valid' && runsWithoutTrial(record.banks[other])) {
    return start(fallBack(record), `fell back: bank ${bankLetter(activeBank)} cannot be booted`);
  }
  return start(record, 'confirmed image');
}

/** Falls back to the other bank. The image that was left must not run again without a new activation and trial. */
function fallBack(record: BootRecord): BootRecord {
  return {
    ...withBank(record, record.activeBank, { proven: false, campaign: null }),
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

/** The trial has lasted too long: the next boot falls back, even if trial boots are left. */
export function trialExpired(record: BootRecord): BootRecord {
  return record.trial === null ? record : { ...record, trial: { ...record.trial, expired: true } };
}

/** A change that a tester asks for: the new record, or undefined when the state forbids it. */
export type RecordChange = (record: BootRecord) => BootRecord | undefined;

/** The input of routine 0210, hexadecimal. `receipt`: new random bytes of the ECU. */
export interface Activation {
  readonly campaign: string;
  readonly sha256: string;
  readonly receipt: string;
}

/**
 * Routine 0210. The digest names the image to run. An image in the other bank is tried by the next boot. An image that
 * runs already (single bank, or a second campaign) only becomes part of the campaign.
 */
export function activate({ campaign, sha256, receipt }: Activation): RecordChange {
  return (record) => {
    const { activeBank } = record;
    const other = otherBank(activeBank);
    if (record.rollbackPending) return undefined;
    const isNamed = (bank: BankIndex): boolean =>
      record.banks[bank].content === 'valid' && record.banks[bank].sha256 === sha256;
    const joined = { id: campaign, receipt, evidence: null };
    if (isNamed(activeBank) && !record.activationPending) {
      if (record.banks[activeBank].campaign?.id === campaign) return record;
      return record.trial === null ? withBank(record, activeBank, { campaign: joined }) : undefined;
    }
    if (record.trial !== null || !isNamed(other)) return undefined;
    if (record.activationPending && record.banks[other].campaign?.id === campaign) return record;
    return { ...withBank(record, other, { campaign: joined }), activationPending: true };
  };
}

/**
 * Routine 0211, for the campaign that activated the image, with the digest of all commitments. A repeated confirmation
 * changes nothing.
 */
export function confirm(campaign: string, evidence: string): RecordChange {
  return (record) => {
    const { activeBank, trial } = record;
    const running = record.banks[activeBank];
    if (record.rollbackPending || record.activationPending) return undefined;
    if (running.campaign?.id !== campaign) return undefined;
    if (running.campaign.evidence !== null) {
      return running.campaign.evidence === evidence ? record : undefined;
    }
    if (trial === null && !runsWithoutTrial(running)) return undefined;
    const confirmed = { ...running.campaign, evidence };
    return {
      ...withBank(record, activeBank, { proven: true, campaign: confirmed }),
      trial: null,
    };
  };
}

/**
 * Routine 0212. On trial: falls back to the previous bank. Before activation: discards the staged image. An ECU without
 * a staged image is not changed, so that a campaign can roll back all its ECUs without asking which it has reached.
 * `evenConfirmed` also rolls back a confirmed image, while the previous one still exists. A campaign cannot undo the
 * activation of another campaign.
 */
export function rollback(campaign: string, evenConfirmed: boolean): RecordChange {
  return (record) => {
    if (!mayUndo(record, campaign, evenConfirmed)) return undefined;
    if (record.rollbackPending) return record;
    if (record.trial !== null) return { ...record, rollbackPending: true };
    const other = otherBank(record.activeBank);
    const staged = record.activationPending ? { ...record, activationPending: false } : record;
    if (!record.banks[other].proven) {
      // The bytes are still in the bank, so it is not `empty`: a download must erase it first.
      return record.banks[other].content === 'valid'
        ? withBank(staged, other, { ...EMPTY_BANK, content: 'receiving' })
        : staged;
    }
    return evenConfirmed ? { ...staged, rollbackPending: true } : staged;
  };
}

function mayUndo(record: BootRecord, campaign: string, evenConfirmed: boolean): boolean {
  const concerned = record.activationPending
    ? record.banks[otherBank(record.activeBank)]
    : record.trial !== null || record.rollbackPending || evenConfirmed
      ? record.banks[record.activeBank]
      : undefined;
  return concerned === undefined || concerned.campaign?.id === campaign;
}

/** The campaign that activated the image which runs, or runs next. */
export function campaignOf(record: BootRecord): BankCampaign | null {
  const { activeBank, activationPending } = record;
  return record.banks[activationPending ? otherBank(activeBank) : activeBank].campaign;
}

/**
 * The value of DID FD00. `recovery`: this boot found no image to run. `beside`: the bank beside the active one;
 * undefined where there is none, which is reported as empty.
 */
export function bootStateOf(
  record: BootRecord,
  recovery: boolean,
  beside: BankIndex | undefined,
): BootState {
  const inactive: BankContent = beside === undefined ? 'empty' : record.banks[beside].content;
  return {
    activeBank: record.activeBank,
    mode: recovery ? 'recovery' : record.trial === null ? 'confirmed' : 'trial',
    inactive,
    activationPending: record.activationPending || record.rollbackPending,
    trialBootsLeft: record.trial?.bootsLeft ?? 0,
  };
}

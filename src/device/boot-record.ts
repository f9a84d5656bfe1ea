// The boot record of a device with two banks, and all decisions based on it. Pure: the shell stores the record first.

import { z } from 'zod';

export type Bank = 0 | 1;

const bankSchema = z.strictObject({
  /** `writing`: the bank holds no image or a part of one. */
  content: z.enum(['empty', 'writing', 'valid']),
  /** Version of the image; empty where there is none. */
  version: z.string().max(32),
  /** Release counter of the image; 0 for the factory image. */
  counter: z.number().int().min(0),
  /** Length of the image in bytes. */
  length: z.number().int().min(0),
  /** SHA-256 of a valid image, hexadecimal; empty otherwise. */
  sha256: z.string().regex(/^(?:[0-9a-f]{64})?$/),
  /** Whether the image was confirmed or is the factory image, and may run without a trial. */
  proven: z.boolean(),
  /** The signed package, unchanged and checked again before each boot; null for the factory image. */
  signed: z.string().max(16_384).nullable(),
});
export type DeviceBankRecord = Readonly<z.infer<typeof bankSchema>>;

export const bootRecordSchema = z.strictObject({
  format: z.literal(1),
  active: z.union([z.literal(0), z.literal(1)]),
  banks: z.tuple([bankSchema, bankSchema]),
  /** Whether the next boot tries the other bank. */
  activation: z.boolean(),
  /** The trial of the active bank, which is not confirmed yet. */
  trial: z.strictObject({ bootsLeft: z.number().int().min(0).max(255) }).nullable(),
  /** The highest confirmed release counter; an image with a lower one is neither installed nor booted. */
  counter: z.number().int().min(0),
  /** The image from which the device last fell back. */
  left: z.strictObject({ sha256: z.string().max(64), reason: z.string().max(500) }).nullable(),
});
export type DeviceBootRecord = Readonly<z.infer<typeof bootRecordSchema>>;

/** Number of boots in which new software must be confirmed. */
export const TRIAL_BOOTS = 3;

const EMPTY: DeviceBankRecord = {
  content: 'empty',
  version: '',
  counter: 0,
  length: 0,
  sha256: '',
  proven: false,
  signed: null,
};

const BLANK_RECORD: DeviceBootRecord = {
  format: 1,
  active: 0,
  banks: [EMPTY, EMPTY],
  activation: false,
  trial: null,
  counter: 0,
  left: null,
};

export function otherBank(bank: Bank): Bank {
  return bank === 0 ? 1 : 0;
}

export function bankLetter(bank: Bank): 'A' | 'B' {
  return bank === 0 ? 'A' : 'B';
}

export type DeviceImageFacts = Pick<
  DeviceBankRecord,
  'version' | 'counter' | 'length' | 'sha256' | 'signed'
>;

/** The record after the factory has written an image to bank A. */
export function installed(facts: DeviceImageFacts): DeviceBootRecord {
  return withBank(BLANK_RECORD, 0, { ...facts, content: 'valid', proven: true });
}

/** The record before the other bank is written. The running bank stays unchanged. */
export function writing(record: DeviceBootRecord): DeviceBootRecord {
  const spoilt = withBank(record, otherBank(record.active), { ...EMPTY, content: 'writing' });
  return { ...spoilt, activation: false, left: null };
}

/** The record for a verified image in the other bank, which the next boot tries. */
export function activated(record: DeviceBootRecord, facts: DeviceImageFacts): DeviceBootRecord {
  const filled = withBank(record, otherBank(record.active), {
    ...facts,
    content: 'valid',
    proven: false,
  });
  return { ...filled, activation: true };
}

/** The record after a successful trial; from then on no older image runs. */
export function confirmed(record: DeviceBootRecord): DeviceBootRecord {
  const counter = Math.max(record.counter, record.banks[record.active].counter);
  return { ...withBank(record, record.active, { proven: true }), trial: null, counter };
}

/** The record after a fall back to the previous bank; the image of the other bank never runs again. */
export function fellBack(record: DeviceBootRecord, reason: string): DeviceBootRecord {
  const { active, banks } = record;
  return {
    ...withBank(record, active, { ...EMPTY, content: 'writing' }),
    active: otherBank(active),
    activation: false,
    trial: null,
    left: { sha256: banks[active].sha256, reason: reason.slice(0, 500) },
  };
}

export interface DeviceBootDecision {
  /** The record to store before the bank is started. */
  readonly record: DeviceBootRecord;
  readonly run: { readonly bank: Bank; readonly trial: boolean } | 'recovery';
  /** The reason, for events and logs. */
  readonly reason: string;
}

/** Decides what to start. The caller checks the bank, and calls again with `fellBack` where it must not run. */
export function decideBoot(record: DeviceBootRecord): DeviceBootDecision {
  const { active } = record;
  if (record.trial === null && record.activation) {
    const bank = otherBank(active);
    return {
      record: {
        ...record,
        active: bank,
        activation: false,
        trial: { bootsLeft: TRIAL_BOOTS - 1 },
      },
      run: { bank, trial: true },
      reason: `bank ${bankLetter(bank)} is new: trial boot 1 of ${TRIAL_BOOTS}`,
    };
  }
  if (record.trial !== null) {
    const { bootsLeft } = record.trial;
    if (bootsLeft === 0) {
      const reason = `not confirmed in ${TRIAL_BOOTS} boots`;
      return confirmedBoot(fellBack(record, reason), `bank ${bankLetter(active)}: ${reason}`);
    }
    return {
      record: { ...record, trial: { bootsLeft: bootsLeft - 1 } },
      run: { bank: active, trial: true },
      reason: `trial boot ${TRIAL_BOOTS - bootsLeft + 1} of ${TRIAL_BOOTS}`,
    };
  }
  return confirmedBoot(record, 'confirmed image');
}

function confirmedBoot(record: DeviceBootRecord, reason: string): DeviceBootDecision {
  const { content, proven } = record.banks[record.active];
  return content === 'valid' && proven
    ? { record, run: { bank: record.active, trial: false }, reason }
    : { record, run: 'recovery', reason: `${reason}; no bank holds an image that may run` };
}

function withBank(
  record: DeviceBootRecord,
  bank: Bank,
  change: Partial<DeviceBankRecord>,
): DeviceBootRecord {
  const changed = { ...record.banks[bank], ...change };
  return {
    ...record,
    banks: bank === 0 ? [changed, record.banks[1]] : [record.banks[0], changed],
  };
}

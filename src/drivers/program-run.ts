// The shared data of the steps of one programming sequence.

import type { DriverHooks } from '../campaign/ports.ts';
import { present } from '../core/present.ts';
import type { CalledProgram } from '../image/called-program.ts';
import type { ImageSource } from '../image/image-source.ts';
import { Nrc, nrcText } from '../uds/nrc.ts';
import * as transferData from '../uds/services/transfer-data.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import type { BusSilence } from './bus-silence.ts';
import type { ChangeFact } from './change-fact.ts';
import { type Exchange, type Exchanged, isNotKnown, type Refusal } from './exchange.ts';
import type { Layout } from './layout.ts';
import type { ProgrammingStep } from './sequence.ts';

export interface ProgramOptions {
  readonly exchange: Exchange;
  readonly silence: BusSilence;
  /** The bytes to transfer. */
  readonly image: ImageSource;
  /** The plain image that the ECU must hold in the end: `image` itself, or the content of the encrypted blob. */
  readonly plain: { readonly length: number; readonly sha256: string };
  readonly encrypted: boolean;
  /** The metadata bundle that the ECU verifies before the erase; undefined: none is sent. */
  readonly metadata: Uint8Array | undefined;
  /** `first-image.json` for an ECU of ours that is not locked; `metadata` is undefined then. */
  readonly firstImage?: Uint8Array;
  readonly runCommand: KeyCommand | undefined;
  /** For an ECU that is programmed by a program in its RAM. */
  readonly secondBootLoader?: CalledProgram | undefined;
  readonly hooks: DriverHooks;
  /** Warnings for the result, such as skipped steps. */
  readonly warnings: string[];
  /** Records whether the ECU was changed. */
  readonly fact: ChangeFact;
  /** Whether the bank holds this image, verified before: it may stay when the ECU accepts it with this metadata. */
  readonly held?: boolean;
  /** Runs in the programming session, before the bus is restored (the reset of a single-bank ECU). */
  readonly andThen?: () => Promise<Exchanged<unknown>>;
}

export interface Run extends ProgramOptions {
  readonly layout: Layout;
  /** Over all that was sent, in its order. */
  crc32: number;
  /** Duration of the transfer, set by the download step. */
  transferMs: number;
  /** Bytes that need no transfer; all of them where the ECU already holds the image. */
  spared: number;
  /** Whether the memory check has passed. */
  checked: boolean;
}

/** Whether the ECU does not know a step that may be left out, or knows it in another form. */
export function isSkipped(step: ProgrammingStep, failed: Refusal, run: Run): boolean {
  if (step.policy !== 'try') return false;
  if (!isNotKnown(failed) && failed.nrc !== Nrc.incorrectMessageLengthOrInvalidFormat) return false;
  run.warnings.push(
    `${run.exchange.ecu.name}: ${step.name} skipped, the ECU answered ${nrcText(present(failed.nrc, 'the code of the negative response'))}`,
  );
  return true;
}

/** The longest write unit that is assumed for an ECU that does not declare one, in bytes. */
const LONGEST_WRITE_UNIT = 1024;

/**
 * The length of a TransferData message: the smaller of the ECU's offer and the limit of the vehicle file. Where the limit
 * shortens the offer, the data stay a multiple of the power of two that divides the offered data: the ECU may write in such
 * units.
 */
export function blockLength(exchange: Exchange, offered: number): number {
  const { programming, memory } = exchange.ecu;
  const limit = programming.maxBlockLength;
  const bytes = Math.min(offered, limit) - transferData.HEADER_LENGTH;
  const unit = Math.max(
    memory.writeUnit,
    offered > limit ? powerOfTwoIn(offered - transferData.HEADER_LENGTH, bytes) : 1,
  );
  // A block that is shorter than the write unit cannot be rounded.
  const whole = bytes >= unit ? bytes - (bytes % unit) : bytes;
  return whole + transferData.HEADER_LENGTH;
}

/** The largest power of two that divides `offered` and is at most `most` and the longest write unit. */
function powerOfTwoIn(offered: number, most: number): number {
  let unit = 1;
  while (unit * 2 <= Math.min(most, LONGEST_WRITE_UNIT) && offered % (unit * 2) === 0) unit *= 2;
  return unit;
}

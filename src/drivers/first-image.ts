// Programs the first image of an ECU of ours in the factory: before the lock, without signatures, and reads it back.

import type { DriverHooks } from '../campaign/ports.ts';
import { fromHex } from '../core/bytes.ts';
import { defined } from '../core/optional.ts';
import type { ImageSource } from '../image/image-source.ts';
import {
  CAMPAIGN_BYTES,
  encodeActivateOption,
  encodeEvidenceOption,
} from '../uds/campaign-record.ts';
import { encodeFirstImage } from '../uds/first-image.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import { Did, Routine, Session } from '../uds/sid.ts';
import {
  askSelfTest,
  type Banks,
  leaveSession,
  readBanks,
  readCampaignRecord,
  reset,
  short,
} from './activation.ts';
import { notRestarted, resetAndAwait } from './bank-order.ts';
import { BusSilence } from './bus-silence.ts';
import { ChangeFact } from './change-fact.ts';
import { Exchange, type Exchanged, type ExchangeOptions, failure } from './exchange.ts';
import { readDigest, readVersion } from './identification.ts';
import { program } from './programmer.ts';
import { awaitSoftware } from './restart.ts';
import { enterSession } from './unlock.ts';

/** An image and the version that the ECU must report for it. */
export interface FirstImage {
  readonly version: string;
  readonly image: ImageSource;
}

export interface FirstImageReport {
  /** `kept`: the ECU already ran the image. */
  readonly status: 'programmed' | 'kept';
  readonly version: string;
  /** SHA-256 computed by the ECU, hexadecimal. */
  readonly sha256: string;
  /** Bytes carried over the bus. */
  readonly bytes: number;
  readonly transferMs: number;
}

/** Number of tries; each continues where the last one ended. */
const TRIES = 3;
const DONE = { ok: true, value: undefined } as const;
const NO_TRANSFER = { bytes: 0, transferMs: 0 };

/**
 * Programs the image, starts it, and compares the digest and version that the ECU reports. It can be repeated after an
 * interruption at any instant. A locked ECU refuses it.
 */
export async function programFirstImage(
  options: ExchangeOptions,
  first: FirstImage,
  hooks: DriverHooks = {},
): Promise<Exchanged<FirstImageReport>> {
  for (let tries = 1; ; tries++) {
    const done = await new Attempt(options, first, hooks).run();
    const isOver = done.ok || !done.transient || done.code === 'INTERRUPTED' || tries === TRIES;
    if (isOver || hooks.signal?.aborted === true) return done;
  }
}

/** Compares the digest and version that the ECU reports with those of the image. Changes nothing. */
export async function checkFirstImage(
  exchange: Exchange,
  { image, version }: FirstImage,
  signal?: AbortSignal,
): Promise<Exchanged<void>> {
  const digest = await readDigest(exchange, Did.activeBankDigest, signal);
  if (!digest.ok) return digest;
  if (digest.value !== image.sha256) {
    return failure(
      'DIGEST_MISMATCH',
      `${exchange.peer}: runs ${digest.value === undefined ? 'nothing' : short(digest.value)}, ` +
        `expected its first image ${short(image.sha256)}`,
    );
  }
  const told = await readVersion(exchange, signal);
  if (!told.ok) return told;
  if (told.value === version) return DONE;
  return failure(
    'VERSION_MISMATCH',
    `${exchange.peer}: says version ${JSON.stringify(told.value ?? null)} of its first image, expected ` +
      `${JSON.stringify(version)}: name that version behind the file (ECU=FILE@VERSION)`,
  );
}

class Attempt {
  readonly #exchange: Exchange;
  readonly #first: FirstImage;
  readonly #hooks: DriverHooks;

  constructor(options: ExchangeOptions, first: FirstImage, hooks: DriverHooks) {
    // Before the lock an ECU of ours needs no key.
    const ecu = { ...options.ecu, security: { algorithm: 'none' } as const };
    this.#exchange = new Exchange({ ...options, ecu, authority: undefined });
    this.#first = first;
    this.#hooks = hooks;
  }

  run(): Promise<Exchanged<FirstImageReport>> {
    return this.#exchange.ecu.programming.activation === 'bank'
      ? this.#runTwoBanks()
      : this.#runSingleBank();
  }

  async #runTwoBanks(): Promise<Exchanged<FirstImageReport>> {
    const exchange = this.#exchange;
    const { signal } = this.#hooks;
    const { sha256 } = this.#first.image;
    const banks = await readBanks(exchange, signal);
    if (!banks.ok) return banks;
    const { active, inactive, state } = banks.value;
    if (active === sha256) {
      if (state.mode === 'confirmed' && !state.activationPending) return this.#checked();
      return this.#confirmed(NO_TRANSFER);
    }
    if (state.mode === 'trial') {
      return failure(
        'PRECONDITION',
        `${exchange.peer} runs another image on trial: wait until it falls back (10 minutes), or restart it three times`,
      );
    }
    const written = await this.#program(inactive === sha256);
    if (!written.ok) return written;
    const switched = await this.#switch();
    return switched.ok ? this.#confirmed(written.value) : switched;
  }

  async #runSingleBank(): Promise<Exchanged<FirstImageReport>> {
    const exchange = this.#exchange;
    const { signal } = this.#hooks;
    const { image, version } = this.#first;
    const digest = await readDigest(exchange, Did.activeBankDigest, signal);
    if (!digest.ok) return digest;
    const told = await readVersion(exchange, signal);
    if (!told.ok) return told;
    if (digest.value === image.sha256 && told.value === version) return this.#checked();
    const written = await this.#program(false, () => reset(exchange, signal));
    if (!written.ok) return written;
    const before = { version: told.value, sha256: digest.value };
    const awaited = { version, sha256: image.sha256, tells: before, stale: before };
    const back = await awaitSoftware(exchange, awaited, signal);
    return back.ok ? this.#checked(written.value) : back;
  }

  #program(held: boolean, andThen?: () => Promise<Exchanged<unknown>>) {
    const { image, version } = this.#first;
    const { length, sha256 } = image;
    return program({
      exchange: this.#exchange,
      silence: new BusSilence(),
      image,
      plain: { length, sha256 },
      encrypted: false,
      metadata: undefined,
      firstImage: encodeFirstImage({ version, length, sha256 }),
      runCommand: undefined,
      hooks: this.#hooks,
      warnings: [],
      fact: new ChangeFact(),
      held,
      ...defined({ andThen }),
    });
  }

  async #switch(): Promise<Exchanged<unknown>> {
    const exchange = this.#exchange;
    const { signal } = this.#hooks;
    const { sha256 } = this.#first.image;
    const digest = fromHex(sha256);
    const option = encodeActivateOption({
      campaign: digest.subarray(0, CAMPAIGN_BYTES),
      sha256: digest,
    });
    const asked = await this.#order(Routine.activateBank, option, 'activating its first image');
    if (!asked.ok) return asked;
    const late = (banks: Banks) =>
      notRestarted(exchange, banks) ??
      failure('SELF_TEST', `${exchange.peer} does not start its first image ${short(sha256)}`);
    return resetAndAwait(exchange, ({ active }) => active === sha256, late, signal);
  }

  /** Confirms and commits. In a campaign of one ECU its own commitment is the whole evidence. */
  async #confirmed(
    transfer: Pick<FirstImageReport, 'bytes' | 'transferMs'>,
  ): Promise<Exchanged<FirstImageReport>> {
    const exchange = this.#exchange;
    const { signal } = this.#hooks;
    const selfTest = await askSelfTest(exchange, signal);
    if (!selfTest.ok) return selfTest;
    if (selfTest.value !== 'passed') {
      return failure('SELF_TEST', `${exchange.peer}: its first image does not pass its self test`);
    }
    const record = await readCampaignRecord(exchange, signal);
    if (!record.ok) return record;
    if (record.value === undefined || record.value.state === 'none') {
      return failure('NOT_STAGED', `${exchange.peer}: does not know that its image was activated`);
    }
    const { campaign, commitment } = record.value;
    const option = encodeEvidenceOption({ campaign, evidence: [commitment] });
    const asked = await this.#order(Routine.confirmBank, option, 'confirming its first image');
    if (!asked.ok) return asked;
    await leaveSession(exchange);
    return this.#checked(transfer);
  }

  /** Sends an order in the extended session, where an ECU that is not locked takes orders without authority. */
  async #order(routine: number, option: Uint8Array, doing: string): Promise<Exchanged<void>> {
    const exchange = this.#exchange;
    const { signal } = this.#hooks;
    const entered = await enterSession(exchange, Session.extended, signal);
    if (!entered.ok) return entered;
    const start = routineControl.RoutineControlType.startRoutine;
    const request = routineControl.encodeRequest(start, routine, option);
    const answer = await exchange.askFor(request, doing, routineControl.decodeResponse, signal);
    if (!answer.ok) return answer;
    const [status = 0] = answer.value.data;
    if (status === 0) return DONE;
    return failure('REFUSED', `${exchange.peer}: status ${status} while ${doing}, expected 0`);
  }

  async #checked(
    transfer?: Pick<FirstImageReport, 'bytes' | 'transferMs'>,
  ): Promise<Exchanged<FirstImageReport>> {
    const right = await checkFirstImage(this.#exchange, this.#first, this.#hooks.signal);
    if (!right.ok) return right;
    const { version, image } = this.#first;
    const { bytes, transferMs } = transfer ?? NO_TRANSFER;
    const status = transfer === undefined ? 'kept' : 'programmed';
    return { ok: true, value: { status, version, sha256: image.sha256, bytes, transferMs } };
  }
}

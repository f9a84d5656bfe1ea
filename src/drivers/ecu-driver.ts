// One ECU over UDS: identify, stage, activate, verify, confirm, roll back. Every method asks first what the ECU holds.

import type {
  DriverHooks,
  DriverResult,
  EcuDriver,
  EcuIdentity,
  EcuReport,
  HealthChecks,
  RollbackOrder,
  Target,
  TransferReport,
} from '../campaign/ports.ts';
import { asciiBytes, concatBytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import type { UdsRequester } from '../uds/reply.ts';
import { Did, Routine } from '../uds/sid.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import {
  awaitBack,
  awaitBoot,
  type Banks,
  bankRoutine,
  readBanks,
  reset,
  selfTestPassed,
} from './activation.ts';
import type { Advice } from './advice.ts';
import { BusSilence } from './bus-silence.ts';
import { Exchange, type Exchanged, failure, isNotKnown } from './exchange.ts';
import { checkTroubleCodes, readTroubleCodes, watchHeartbeat } from './health-check.ts';
import { identifyEcu, readDigest, readHardwareId, readVersion } from './identification.ts';
import type { ProgramOptions } from './program-run.ts';
import { program } from './programmer.ts';
import type { KeyCommand } from './security-key.ts';
import { metadataFor, readVersionReport } from './trust-exchange.ts';

export interface UdsEcuDriverOptions {
  readonly ecu: VehicleEcu;
  readonly requester: UdsRequester;
  readonly clock: Clock;
  /** Shared by the ECUs behind one functional address; own one when missing. */
  readonly silence?: BusSilence;
  /** For `security.algorithm: command`. */
  readonly runCommand?: KeyCommand;
  readonly logger?: Logger;
  /** What a person can do about a failure; that of a vehicle file unless given. */
  readonly advice?: Advice;
}

const NOTHING: TransferReport = { bytes: 0, transferMs: 0 };
const DONE = { ok: true, value: undefined } as const;
const NO_OPTION = new Uint8Array();
/** Option record of 0212: go back although the image is confirmed. */
const EVEN_CONFIRMED = Uint8Array.of(1);

export class UdsEcuDriver implements EcuDriver {
  readonly #exchange: Exchange;
  readonly #silence: BusSilence;
  readonly #runCommand: KeyCommand | undefined;
  readonly #logger: Logger;

  constructor(options: UdsEcuDriverOptions) {
    this.#exchange = new Exchange(options);
    this.#silence = options.silence ?? new BusSilence();
    this.#runCommand = options.runCommand;
    this.#logger = options.logger ?? silentLogger;
  }

  get #ecu(): VehicleEcu {
    return this.#exchange.ecu;
  }

  get #twoBanks(): boolean {
    return this.#ecu.programming.activation === 'bank';
  }

  async identify(signal?: AbortSignal): Promise<DriverResult<EcuIdentity>> {
    return this.#result(await identifyEcu(this.#exchange, signal), []);
  }

  async stage(target: Target, hooks: DriverHooks = {}): Promise<DriverResult<TransferReport>> {
    const warnings: string[] = [];
    return this.#result(await this.#stage(target, hooks, warnings), warnings);
  }

  async #stage(
    target: Target,
    hooks: DriverHooks,
    warnings: string[],
  ): Promise<Exchanged<TransferReport>> {
    const fits = this.#checkImage(target);
    if (!fits.ok) return fits;
    const right = await this.#checkHardware(hooks.signal);
    if (!right.ok) return right;
    // A single bank has no place beside the running image: it is written by `activate`.
    if (!this.#twoBanks) return this.#withTroubleCodes(NOTHING, hooks.signal);
    const banks = await readBanks(this.#exchange, hooks.signal);
    if (!banks.ok) return banks;
    const { sha256 } = wanted(target);
    const held = banks.value.inactive === sha256;
    if (banks.value.active === sha256 || (held && target.metadata === undefined)) {
      hooks.progress?.({ sent: target.image.length, total: target.image.length });
      // Codes of the new software would be no measure for the new software.
      return banks.value.active === sha256
        ? { ok: true, value: NOTHING }
        : this.#withTroubleCodes(NOTHING, hooks.signal);
    }
    if (banks.value.state.mode === 'trial') {
      return failure(
        'PRECONDITION',
        `${this.#exchange.peer} still runs another image on trial: confirm it or roll it back first; ` +
          'without either it falls back by itself',
      );
    }
    const before = await this.#withTroubleCodes(NOTHING, hooks.signal);
    if (!before.ok) return before;
    const { dtcs } = before.value;
    const written = await this.#program(target, hooks, warnings, { held });
    return !written.ok || dtcs === undefined
      ? written
      : { ok: true, value: { ...written.value, dtcs } };
  }

  /** What fails already is not the fault of the update. */
  async #withTroubleCodes(
    report: TransferReport,
    signal?: AbortSignal,
  ): Promise<Exchanged<TransferReport>> {
    if (this.#ecu.programming.identify === 'skip') return { ok: true, value: report };
    const dtcs = await readTroubleCodes(this.#exchange, signal);
    if (!dtcs.ok) return dtcs;
    return {
      ok: true,
      value: dtcs.value === undefined ? report : { ...report, dtcs: dtcs.value },
    };
  }

  async activate(target: Target, hooks: DriverHooks = {}): Promise<DriverResult<TransferReport>> {
    const warnings: string[] = [];
    const done = this.#twoBanks
      ? await this.#activateBank(target, hooks.signal)
      : await this.#writeSingleBank(target, hooks, warnings);
    return this.#result(done, warnings);
  }

  async #activateBank(target: Target, signal?: AbortSignal): Promise<Exchanged<TransferReport>> {
    const before = await readBanks(this.#exchange, signal);
    if (!before.ok) return before;
    const { sha256 } = wanted(target);
    if (before.value.active === sha256) return { ok: true, value: NOTHING };
    if (before.value.inactive !== sha256) {
      return failure(
        'NOT_STAGED',
        `${this.#exchange.peer} does not hold the image ${short(sha256)} in its inactive bank: stage it again`,
      );
    }
    if (!before.value.state.activationPending) {
      const asked = await bankRoutine(
        this.#exchange,
        Routine.activateBank,
        'activating the new image',
        NO_OPTION,
        this.#runCommand,
        signal,
      );
      if (!asked.ok) return asked;
    }
    const back = await this.#resetAndWait(signal);
    if (!back.ok) return back;
    const after = await readBanks(this.#exchange, signal);
    if (!after.ok) return after;
    if (after.value.active === sha256) return { ok: true, value: NOTHING };
    return failure(
      'SELF_TEST',
      `${this.#exchange.peer} did not start the new image ${short(sha256)}: ${describeBanks(after.value)}`,
    );
  }

  /** The reset runs the new image at once. */
  async #writeSingleBank(
    target: Target,
    hooks: DriverHooks,
    warnings: string[],
  ): Promise<Exchanged<TransferReport>> {
    const fits = this.#checkImage(target);
    if (!fits.ok) return fits;
    const digest = await readDigest(this.#exchange, Did.activeBankDigest, hooks.signal);
    if (!digest.ok) return digest;
    if (digest.value === wanted(target).sha256) return { ok: true, value: NOTHING };
    const right = await this.#checkHardware(hooks.signal);
    if (!right.ok) return right;
    const written = await this.#program(target, hooks, warnings, {
      andThen: () => reset(this.#exchange, hooks.signal),
    });
    if (!written.ok) return written;
    const back = await awaitBack(this.#exchange, hooks.signal);
    return back.ok ? written : back;
  }

  async verify(
    target: Target,
    checks: HealthChecks,
    signal?: AbortSignal,
  ): Promise<DriverResult<EcuReport>> {
    const warnings: string[] = [];
    const report = await this.#verify(target, warnings, signal);
    if (!report.ok) return this.#result(report, warnings);
    const healthy = await this.#checkHealth(checks, warnings, signal);
    return this.#result(healthy.ok ? report : healthy, warnings);
  }

  /** The codes last: what a new image stores while it is being watched counts too. */
  async #checkHealth(
    { knownDtcs, heartbeatMs }: HealthChecks,
    warnings: string[],
    signal?: AbortSignal,
  ): Promise<Exchanged<void>> {
    const watched = await watchHeartbeat(this.#exchange, heartbeatMs, warnings, signal);
    if (!watched.ok || knownDtcs === undefined) return watched;
    return checkTroubleCodes(this.#exchange, knownDtcs, warnings, signal);
  }

  async #verify(
    target: Target,
    warnings: string[],
    signal?: AbortSignal,
  ): Promise<Exchanged<EcuReport>> {
    const report = await this.#report(signal);
    if (!report.ok) return report;
    const { version, sha256 } = report.value;
    const { peer } = this.#exchange;
    if (this.#twoBanks) {
      const banks = await readBanks(this.#exchange, signal);
      if (!banks.ok) return banks;
      if (banks.value.state.mode === 'recovery') {
        return failure('SELF_TEST', `${peer}: ${describeBanks(banks.value)}`);
      }
      if (sha256 === undefined) {
        return failure('DIGEST_MISMATCH', `${peer} does not tell the digest of its active bank`);
      }
    }
    const { sha256: expected } = wanted(target);
    if (sha256 !== undefined && sha256 !== expected) {
      return failure(
        'DIGEST_MISMATCH',
        `${peer} runs an image with SHA-256 ${sha256}, expected ${expected}`,
      );
    }
    if (this.#twoBanks) {
      const passed = await this.#checkSelfTest(signal);
      if (!passed.ok) return passed;
    }
    if (target.version !== undefined && version !== target.version) {
      if (version === undefined && this.#ecu.programming.identify !== 'required') {
        warnings.push(`${this.#ecu.name}: it does not tell its version`);
      } else {
        return failure(
          'VERSION_MISMATCH',
          `${peer} reports version ${JSON.stringify(version ?? null)}, expected ${JSON.stringify(target.version)}`,
        );
      }
    }
    if (sha256 === undefined)
      warnings.push(`${this.#ecu.name}: ${this.#compared(target, version)}`);
    return report;
  }

  /** How far an ECU without a digest could be compared with the image. */
  #compared(target: Target, version: string | undefined): string {
    if (this.#ecu.programming.identify === 'skip') {
      return 'it was not asked what it runs, nothing was compared with the image';
    }
    const isCompared = target.version !== undefined && version !== undefined;
    return `it cannot tell the digest of its image, ${isCompared ? 'only its version was' : 'nothing was'} compared`;
  }

  /** No ECU of a campaign may be confirmed while another one has failed its self test: it is asked beforehand. */
  async #checkSelfTest(signal?: AbortSignal): Promise<Exchanged<void>> {
    const tested = await selfTestPassed(this.#exchange, this.#runCommand, signal);
    if (!tested.ok) return tested;
    await this.#leaveSession();
    return tested.value
      ? { ok: true, value: undefined }
      : failure(
          'SELF_TEST',
          `${this.#exchange.peer}: the new image runs, its self test did not pass`,
        );
  }

  async confirm(target: Target, signal?: AbortSignal): Promise<DriverResult<void>> {
    return this.#result(await this.#confirm(target, signal), []);
  }

  async #confirm(target: Target, signal?: AbortSignal): Promise<Exchanged<void>> {
    if (!this.#twoBanks) {
      // Nothing ends there: what a single bank runs is either the new image or none.
      if (this.#ecu.programming.metadata === 'skip') return DONE;
      const confirmed = await this.#askFor(Routine.confirmBank, 'confirming the new image', signal);
      return isNotKnown(confirmed) ? DONE : explainConfirmation(confirmed);
    }
    const banks = await readBanks(this.#exchange, signal);
    if (!banks.ok) return banks;
    const { sha256 } = wanted(target);
    if (banks.value.active !== sha256) {
      return failure(
        'SELF_TEST',
        `${this.#exchange.peer} does not run ${short(sha256)} any more: ${describeBanks(banks.value)}`,
      );
    }
    if (banks.value.state.mode === 'confirmed') return DONE;
    return explainConfirmation(
      await this.#askFor(Routine.confirmBank, 'confirming the new image', signal),
    );
  }

  /**
   * From now on the ECU starts nothing older: there is no way back any more. An ECU without a security counter has
   * nothing to do.
   */
  async commit(target: Target, signal?: AbortSignal): Promise<DriverResult<void>> {
    return this.#result(await this.#commit(target, signal), []);
  }

  async #commit(target: Target, signal?: AbortSignal): Promise<Exchanged<void>> {
    if (this.#ecu.programming.metadata === 'skip') return DONE;
    const active = await readDigest(this.#exchange, Did.activeBankDigest, signal);
    if (!active.ok) return active;
    const { sha256 } = wanted(target);
    // The counter of another image is nothing that this release has to decide.
    if (active.value !== undefined && active.value !== sha256) {
      return failure(
        'REFUSED',
        `${this.#exchange.peer} runs ${short(active.value)} and not ${short(sha256)}: its security counter stays`,
      );
    }
    const raised = await this.#askFor(
      Routine.commitCounter,
      'raising its security counter',
      signal,
    );
    return isNotKnown(raised) ? DONE : raised;
  }

  async #askFor(routine: number, doing: string, signal?: AbortSignal): Promise<Exchanged<void>> {
    const done = await bankRoutine(
      this.#exchange,
      routine,
      doing,
      NO_OPTION,
      this.#runCommand,
      signal,
    );
    if (done.ok) await this.#leaveSession();
    return done;
  }

  async rollback(order: RollbackOrder, hooks: DriverHooks = {}): Promise<DriverResult<EcuReport>> {
    const warnings: string[] = [];
    const done = this.#twoBanks
      ? await this.#rollBackBank(order, hooks.signal)
      : await this.#restoreSingleBank(order, hooks, warnings);
    return this.#result(done, warnings);
  }

  async #rollBackBank(
    { target }: RollbackOrder,
    signal?: AbortSignal,
  ): Promise<Exchanged<EcuReport>> {
    const before = await readBanks(this.#exchange, signal);
    if (!before.ok) return before;
    const { sha256 } = wanted(target);
    const { active, inactive, state } = before.value;
    const switched = active === sha256;
    // A switch may be pending: towards the new image (not wanted), or back already (a repeated rollback).
    const pendingBack = switched && state.activationPending;
    if (switched || inactive === sha256 || state.activationPending) {
      if (!pendingBack) {
        const asked = await bankRoutine(
          this.#exchange,
          Routine.rollbackBank,
          'rolling back',
          switched && state.mode === 'confirmed' ? EVEN_CONFIRMED : NO_OPTION,
          this.#runCommand,
          signal,
        );
        if (!asked.ok) return asked;
      }
      if (switched) {
        const back = await this.#resetAndWait(signal);
        if (!back.ok) return back;
      } else {
        await this.#leaveSession();
      }
    }
    const report = await this.#report(signal);
    if (!report.ok || report.value.sha256 !== sha256) return report;
    return failure(
      'REFUSED',
      `${this.#exchange.peer} still runs ${short(sha256)} after its rollback: its previous bank cannot be booted`,
    );
  }

  /** The previous image is written again, where the running one is not the old one already. */
  async #restoreSingleBank(
    { target, previous, touched }: RollbackOrder,
    hooks: DriverHooks,
    warnings: string[],
  ): Promise<Exchanged<EcuReport>> {
    if (!touched) return this.#report(hooks.signal);
    const now = await this.#report(hooks.signal);
    if (previous.image === undefined) {
      if (!now.ok) return now;
      // What still runs from RAM may be erased in its bank: only what comes up again is there.
      const restarted = await this.#resetAndWait(hooks.signal);
      if (!restarted.ok) return restarted;
      const up = await this.#report(hooks.signal);
      if (!up.ok) return up;
      const { version, sha256 } = up.value;
      const isNew =
        sha256 === undefined ? version !== previous.version : sha256 === wanted(target).sha256;
      if (!isNew && version !== undefined && version === previous.version) return up;
      return failure(
        'NO_PREVIOUS_IMAGE',
        `${this.#exchange.peer} has one bank and runs ${version ?? 'nothing that it can name'}; its previous image` +
          `${previous.version === undefined ? '' : ` ${previous.version}`} is not kept here: ${this.#exchange.advise('no-previous-image')}`,
      );
    }
    if (now.ok && now.value.sha256 === (previous.plain ?? previous.image).sha256) return now;
    const written = await this.#program({ ...previous, image: previous.image }, hooks, warnings, {
      andThen: () => reset(this.#exchange, hooks.signal),
    });
    if (!written.ok) return written;
    const back = await awaitBack(this.#exchange, hooks.signal);
    return back.ok ? this.#report(hooks.signal) : back;
  }

  async versionReport(signal?: AbortSignal): Promise<DriverResult<Uint8Array | undefined>> {
    if (this.#ecu.programming.metadata === 'skip') {
      return { ok: true, value: undefined, warnings: [] };
    }
    return this.#result(await readVersionReport(this.#exchange, signal), []);
  }

  async #report(signal?: AbortSignal): Promise<Exchanged<EcuReport>> {
    if (this.#ecu.programming.identify === 'skip') {
      return { ok: true, value: { version: undefined, sha256: undefined } };
    }
    const version = await readVersion(this.#exchange, signal);
    if (!version.ok) return version;
    const sha256 = await readDigest(this.#exchange, Did.activeBankDigest, signal);
    if (!sha256.ok) return sha256;
    return { ok: true, value: { version: version.value, sha256: sha256.value } };
  }

  #checkImage(target: Target): Exchanged<void> {
    const { bankSize } = this.#ecu.memory;
    const image = wanted(target);
    if (image.length === 0) {
      return failure('IMAGE_INVALID', `the image for ${this.#ecu.name} is empty`);
    }
    if (image.length > bankSize) {
      return failure(
        'IMAGE_TOO_LARGE',
        `the image for ${this.#ecu.name} has ${image.length} bytes, its bank holds ${bankSize}: ` +
          'use a smaller image or correct memory.bankSize in the vehicle file',
      );
    }
    return { ok: true, value: undefined };
  }

  async #checkHardware(signal?: AbortSignal): Promise<Exchanged<void>> {
    const { identify } = this.#ecu.programming;
    if (identify === 'skip') return { ok: true, value: undefined };
    const hardwareId = await readHardwareId(this.#exchange, signal);
    if (!hardwareId.ok) return hardwareId;
    if (hardwareId.value === undefined && identify === 'try') return { ok: true, value: undefined };
    if (hardwareId.value === this.#ecu.hardwareId) return { ok: true, value: undefined };
    return failure(
      'WRONG_HARDWARE',
      `${this.#exchange.peer} says hardware id ${JSON.stringify(hardwareId.value ?? null)} (DID F191), the vehicle file ` +
        `expects ${JSON.stringify(this.#ecu.hardwareId)}: nothing was erased; correct the vehicle file or fit the right ECU`,
    );
  }

  async #program(
    target: Target,
    hooks: DriverHooks,
    warnings: string[],
    how: Pick<ProgramOptions, 'andThen' | 'held'>,
  ): Promise<Exchanged<TransferReport>> {
    // Before the sequence: the network may take its time while the bus still works as always.
    const metadata = await metadataFor(this.#exchange, target, hooks.signal);
    if (!metadata.ok) return metadata;
    return program({
      exchange: this.#exchange,
      silence: this.#silence,
      image: target.image,
      plain: wanted(target),
      encrypted: target.encryption !== undefined,
      metadata: metadata.value,
      fingerprint: fingerprintOf(this.#exchange.clock.wallMs()),
      runCommand: this.#runCommand,
      hooks,
      warnings,
      ...how,
    });
  }

  async #resetAndWait(signal?: AbortSignal): Promise<Exchanged<void>> {
    const asked = await reset(this.#exchange, signal);
    return asked.ok ? awaitBoot(this.#exchange, signal) : asked;
  }

  /** Back to the default session without waiting for S3; an ECU that does not answer gets there by itself. */
  async #leaveSession(): Promise<void> {
    await this.#exchange.ask(Uint8Array.of(0x10, 0x01), 'leaving the extended session');
  }

  #result<T>(done: Exchanged<T>, warnings: readonly string[]): DriverResult<T> {
    for (const warning of warnings) this.#logger.warn({ ecu: this.#ecu.name }, warning);
    if (done.ok) return { ...done, warnings };
    this.#logger.warn({ ecu: this.#ecu.name, code: done.code }, done.reason);
    const { ok, code, reason, transient, attack } = done;
    return { ok, code, reason, transient, ...(attack === undefined ? {} : { attack }) };
  }
}

/** 22 to a confirmation means one thing only. */
function explainConfirmation(confirmed: Exchanged<void>): Exchanged<void> {
  return confirmed.ok || confirmed.code !== 'PRECONDITION'
    ? confirmed
    : failure('SELF_TEST', `${confirmed.reason}; its self test did not pass`);
}

/** What the ECU must end up with. */
function wanted({ plain, image }: Target): { readonly length: number; readonly sha256: string } {
  return plain ?? image;
}

function short(sha256: string): string {
  return `${sha256.slice(0, 12)}...`;
}

function describeBanks({ state, active }: Banks): string {
  if (state.mode === 'recovery') return 'it is in recovery, no bank can be booted';
  return `it runs ${active === undefined ? 'an image without digest' : short(active)} (${state.mode}, bank ${state.activeBank})`;
}

/** DID F15A: date of programming as three BCD bytes (year, month, day), then the name of the tester. */
export function fingerprintOf(wallMs: number): Uint8Array {
  const date = new Date(wallMs);
  const bcd = (value: number): number => Math.floor(value / 10) * 16 + (value % 10);
  return concatBytes(
    Uint8Array.of(
      bcd(date.getUTCFullYear() % 100),
      bcd(date.getUTCMonth() + 1),
      bcd(date.getUTCDate()),
    ),
    asciiBytes('can-ota'),
  );
}

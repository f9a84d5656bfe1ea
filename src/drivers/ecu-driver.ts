// One ECU over UDS: identify, stage, activate, verify, confirm, roll back. Every method asks first what the ECU holds.

import { worse } from '../campaign/changes.ts';
import type {
  Changed,
  DriverHooks,
  DriverResult,
  EcuDriver,
  EcuIdentity,
  EcuReport,
  HealthChecks,
  RollbackOrder,
  RollbackReport,
  Target,
  TransferReport,
} from '../campaign/ports.ts';
import { asciiBytes, concatBytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { UNKNOWN_VERSION } from '../core/version-order.ts';
import type { UdsRequester } from '../uds/reply.ts';
import { Did, Routine, Session } from '../uds/sid.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import { type Banks, bankRoutine, describeBanks, readBanks, reset, short } from './activation.ts';
import type { Advice } from './advice.ts';
import { BusSilence } from './bus-silence.ts';
import { ChangeFact } from './change-fact.ts';
import {
  Exchange,
  type Exchanged,
  failure,
  isNotKnown,
  type Refusal,
  wasLost,
} from './exchange.ts';
import { checkTroubleCodes, readTroubleCodes, watchHeartbeat } from './health-check.ts';
import { identifyEcu, readDid, readDigest, readHardwareId } from './identification.ts';
import type { ProgramOptions } from './program-run.ts';
import { program } from './programmer.ts';
import { awaitBanks, awaitSoftware } from './restart.ts';
import type { KeyCommand } from './security-key.ts';
import { metadataFor, readVersionReport } from './trust-exchange.ts';
import { readReport, verifyRunning } from './verification.ts';

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

const NOT_TOLD: EcuReport = { version: undefined, sha256: undefined };
/** Times that a bank routine is sent whose answer is lost and which was not carried out. */
const ORDER_TRIES = 2;
const DONE = { ok: true, value: undefined } as const;
const NO_OPTION = new Uint8Array();
/** Option record of 0212: go back although the image is confirmed. */
const EVEN_CONFIRMED = Uint8Array.of(1);

interface BankOrder {
  readonly routine: number;
  readonly doing: string;
  readonly option?: Uint8Array;
  /** A reset follows, which ends the session anyway. */
  readonly staysInSession?: boolean;
}

export class UdsEcuDriver implements EcuDriver {
  readonly #exchange: Exchange;
  readonly #silence: BusSilence;
  readonly #runCommand: KeyCommand | undefined;
  readonly #logger: Logger;
  /** By the digest of the target: what was changed for it in the life of this driver. */
  readonly #changes = new Map<string, Changed>();
  /** The last that it told of its software when it was identified. */
  #told: EcuReport | undefined;
  #toldSelfTest = false;

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
    const identity = await identifyEcu(this.#exchange, signal);
    if (identity.ok) this.#learn(identity.value);
    return this.#result(identity, [], 'no');
  }

  async stage(target: Target, hooks: DriverHooks = {}): Promise<DriverResult<TransferReport>> {
    const warnings: string[] = [];
    const fact = new ChangeFact();
    const done = await this.#stage(target, hooks, warnings, fact);
    const changed = this.#remember(target, fact);
    return this.#result(withChange(done, changed), warnings, changed);
  }

  async #stage(
    target: Target,
    hooks: DriverHooks,
    warnings: string[],
    fact: ChangeFact,
  ): Promise<Exchanged<TransferReport>> {
    const fits = this.#checkImage(target);
    if (!fits.ok) return fits;
    const right = await this.#checkHardware(hooks.signal);
    if (!right.ok) return right;
    // A single bank has no place beside the running image: it is written by `activate`.
    if (!this.#twoBanks) {
      const known = await this.#learnBefore(target, hooks.signal);
      return known.ok ? this.#withTroubleCodes(nothing('no', false), hooks.signal) : known;
    }
    const banks = await readBanks(this.#exchange, hooks.signal);
    if (!banks.ok) return banks;
    const { sha256 } = wanted(target);
    const held = banks.value.inactive === sha256;
    if (banks.value.active === sha256 || (held && target.metadata === undefined)) {
      hooks.progress?.({ sent: target.image.length, total: target.image.length });
      // Who made it run this is not known; what it holds beside is forgotten on the way back.
      fact.join(held ? 'yes' : 'unknown');
      const report = nothing(fact.value, true);
      // Codes of the new software would be no measure for the new software.
      return banks.value.active === sha256
        ? { ok: true, value: report }
        : this.#withTroubleCodes(report, hooks.signal);
    }
    if (banks.value.state.mode === 'trial') {
      return failure(
        'PRECONDITION',
        `${this.#exchange.peer} still runs another image on trial: confirm it or roll it back first; ` +
          'without either it falls back by itself',
      );
    }
    const before = await this.#withTroubleCodes(nothing('no', false), hooks.signal);
    if (!before.ok) return before;
    const { dtcs } = before.value;
    const written = await this.#program(target, hooks, warnings, fact, { held });
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
    const fact = new ChangeFact();
    const done = this.#twoBanks
      ? await this.#activateBank(target, fact, hooks.signal)
      : await this.#writeSingleBank(target, hooks, warnings, fact);
    const changed = this.#remember(target, fact);
    return this.#result(withChange(done, changed), warnings, changed);
  }

  async #activateBank(
    target: Target,
    fact: ChangeFact,
    signal?: AbortSignal,
  ): Promise<Exchanged<TransferReport>> {
    const { peer } = this.#exchange;
    const before = await readBanks(this.#exchange, signal);
    if (!before.ok) return before;
    const { sha256 } = wanted(target);
    if (before.value.active === sha256) {
      fact.join('unknown');
      return { ok: true, value: nothing('unknown', true) };
    }
    if (before.value.inactive !== sha256) {
      return failure(
        'NOT_STAGED',
        `${peer} does not hold the image ${short(sha256)} in its inactive bank: stage it again`,
      );
    }
    if (before.value.state.activationPending) {
      fact.join('yes');
    } else {
      const asked = await this.#order(
        {
          routine: Routine.activateBank,
          doing: 'activating the new image',
          staysInSession: true,
        },
        ({ state }) => state.activationPending,
        fact,
        signal,
      );
      if (!asked.ok) return asked;
    }
    const back = await this.#resetAndAwait(
      ({ active }) => active === sha256,
      (banks) =>
        this.#notRestarted(banks) ??
        failure(
          'SELF_TEST',
          `${peer} did not start the new image ${short(sha256)} within ${this.#ecu.timing.resetMs} ms after its reset ` +
            `(timing.resetMs): ${describeBanks(banks)}`,
        ),
      signal,
    );
    return back.ok ? { ok: true, value: nothing(fact.value, false) } : back;
  }

  /** The reset runs the new image at once. */
  async #writeSingleBank(
    target: Target,
    hooks: DriverHooks,
    warnings: string[],
    fact: ChangeFact,
  ): Promise<Exchanged<TransferReport>> {
    const fits = this.#checkImage(target);
    if (!fits.ok) return fits;
    const { sha256 } = wanted(target);
    const digest = await readDigest(this.#exchange, Did.activeBankDigest, hooks.signal);
    if (!digest.ok) return digest;
    if (digest.value === sha256) {
      fact.join('unknown');
      return { ok: true, value: nothing('unknown', true) };
    }
    const written = await this.#program(target, hooks, warnings, fact, {
      andThen: () => reset(this.#exchange, hooks.signal),
    });
    if (!written.ok) return written;
    const before = this.#before(target) ?? NOT_TOLD;
    const back = await awaitSoftware(
      this.#exchange,
      { version: target.version, sha256, tells: before, stale: before },
      hooks.signal,
    );
    if (!back.ok) return back;
    if (back.value === 'unseen') warnings.push(this.#unseen());
    return written;
  }

  async verify(
    target: Target,
    checks: HealthChecks,
    signal?: AbortSignal,
  ): Promise<DriverResult<EcuReport>> {
    const warnings: string[] = [];
    const report = await verifyRunning({
      exchange: this.#exchange,
      runCommand: this.#runCommand,
      target,
      sha256: wanted(target).sha256,
      before: this.#before(target),
      toldSelfTest: this.#toldSelfTest,
      onSelfTest: () => {
        this.#toldSelfTest = true;
      },
      warnings,
      signal,
    });
    if (!report.ok) return this.#result(report, warnings, 'no');
    const healthy = await this.#checkHealth(checks, warnings, signal);
    return this.#result(healthy.ok ? report : healthy, warnings, 'no');
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

  async confirm(target: Target, signal?: AbortSignal): Promise<DriverResult<void>> {
    const fact = new ChangeFact();
    return this.#result(await this.#confirm(target, fact, signal), [], fact.value);
  }

  async #confirm(target: Target, fact: ChangeFact, signal?: AbortSignal): Promise<Exchanged<void>> {
    const order = { routine: Routine.confirmBank, doing: 'confirming the new image' };
    if (!this.#twoBanks) {
      // Nothing ends there: what a single bank runs is either the new image or none.
      if (this.#ecu.programming.metadata === 'skip') return DONE;
      const confirmed = await this.#order(order, undefined, fact, signal);
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
    const isDone = ({ active, state }: Banks) => active === sha256 && state.mode === 'confirmed';
    return explainConfirmation(await this.#order(order, isDone, fact, signal));
  }

  /**
   * From now on the ECU starts nothing older: there is no way back any more. An ECU without a security counter has
   * nothing to do.
   */
  async commit(target: Target, signal?: AbortSignal): Promise<DriverResult<void>> {
    const fact = new ChangeFact();
    return this.#result(await this.#commit(target, fact, signal), [], fact.value);
  }

  async #commit(target: Target, fact: ChangeFact, signal?: AbortSignal): Promise<Exchanged<void>> {
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
    const order = { routine: Routine.commitCounter, doing: 'raising its security counter' };
    const raised = await this.#order(order, undefined, fact, signal);
    return isNotKnown(raised) ? DONE : raised;
  }

  /**
   * A bank routine. When its answer is lost the banks are looked at: it is done, or it is sent once more. Nothing is
   * repeated where nothing shows that it is done.
   */
  async #order(
    order: BankOrder,
    isDone: ((banks: Banks) => boolean) | undefined,
    fact: ChangeFact,
    signal?: AbortSignal,
  ): Promise<Exchanged<void>> {
    for (let tries = 1; ; tries++) {
      const { routine, doing, option = NO_OPTION } = order;
      const asked = await bankRoutine(
        this.#exchange,
        routine,
        doing,
        option,
        this.#runCommand,
        fact,
        signal,
      );
      if (asked.ok && !order.staysInSession) await this.#leaveSession();
      if (asked.ok || !wasLost(asked) || isDone === undefined || tries >= ORDER_TRIES) return asked;
      const banks = await readBanks(this.#exchange, signal);
      if (!banks.ok) return asked;
      if (isDone(banks.value)) {
        fact.join('yes');
        return DONE;
      }
    }
  }

  async rollback(
    order: RollbackOrder,
    hooks: DriverHooks = {},
  ): Promise<DriverResult<RollbackReport>> {
    const warnings: string[] = [];
    const fact = new ChangeFact();
    const { sha256 } = wanted(order.target);
    const remembered = this.#changes.get(sha256);
    const changed =
      order.changed === undefined
        ? (remembered ?? 'unknown')
        : worse(order.changed, remembered ?? 'no');
    const done =
      changed === 'no'
        ? await this.#leaveAlone(warnings, hooks.signal)
        : this.#twoBanks
          ? await this.#rollBackBank(order, changed, fact, hooks.signal)
          : await this.#restoreSingleBank(order, changed, hooks, warnings, fact);
    if (done.ok) this.#changes.delete(sha256);
    return this.#result(done, warnings, fact.value);
  }

  /** Nothing was changed: it is only asked what it runs, and an ECU that does not answer is none the worse for it. */
  async #leaveAlone(warnings: string[], signal?: AbortSignal): Promise<Exchanged<RollbackReport>> {
    const report = await readReport(this.#exchange, signal);
    if (report.ok) return { ok: true, value: { ...report.value, unchanged: true } };
    if (report.code === 'INTERRUPTED') return report;
    warnings.push(`nothing was changed in ${this.#ecu.name}, but: ${report.reason}`);
    return { ok: true, value: { ...NOT_TOLD, unchanged: true } };
  }

  async #rollBackBank(
    { target }: RollbackOrder,
    changed: Changed,
    fact: ChangeFact,
    signal?: AbortSignal,
  ): Promise<Exchanged<RollbackReport>> {
    const before = await readBanks(this.#exchange, signal);
    if (!before.ok) return before;
    const { sha256 } = wanted(target);
    const { active, inactive, state } = before.value;
    const switched = active === sha256;
    // A switch may be pending: towards the new image (not wanted), or back already (a repeated rollback).
    const pendingBack = switched && state.activationPending;
    const isInvolved = switched || inactive === sha256 || state.activationPending;
    if (isInvolved && !pendingBack) {
      const asked = await this.#order(
        {
          routine: Routine.rollbackBank,
          doing: 'rolling back',
          option: switched && state.mode === 'confirmed' ? EVEN_CONFIRMED : NO_OPTION,
          staysInSession: switched,
        },
        (banks) =>
          switched
            ? banks.active !== sha256 || banks.state.activationPending
            : banks.inactive !== sha256 && !banks.state.activationPending,
        // What only stood beside the running image changes nothing that runs.
        switched || state.activationPending ? fact : new ChangeFact(),
        signal,
      );
      if (!asked.ok) return asked;
    }
    if (switched) {
      const back = await this.#resetAndAwait(
        (banks) =>
          banks.active !== undefined && banks.active !== sha256 && !banks.state.activationPending,
        (banks) =>
          this.#notRestarted(banks) ??
          failure(
            'REFUSED',
            `${this.#exchange.peer} does not run again what it ran before, its previous bank cannot be booted: ` +
              describeBanks(banks),
          ),
        signal,
      );
      if (!back.ok) return back;
    }
    const report = await readReport(this.#exchange, signal);
    if (!report.ok) return report;
    const unchanged = !isInvolved && changed !== 'yes' && state.inactive !== 'receiving';
    return { ok: true, value: { ...report.value, unchanged } };
  }

  /** The previous image is written again, where the running one is not the old one already. */
  async #restoreSingleBank(
    { target, previous }: RollbackOrder,
    changed: Changed,
    hooks: DriverHooks,
    warnings: string[],
    fact: ChangeFact,
  ): Promise<Exchanged<RollbackReport>> {
    const { signal } = hooks;
    const now = await readReport(this.#exchange, signal);
    const old = oldReport(previous);
    // The digest of a kept image is no word of the ECU.
    const tells = { version: old.version, sha256: previous.sha256 };
    if (changed === 'unknown') {
      // It is asked before anything is done: what still is as it was is left alone.
      const isOld = now.ok ? await this.#runsStill(now.value, old, tells, signal) : now;
      if (!isOld.ok) return isOld;
      if (now.ok && isOld.value) return { ok: true, value: { ...now.value, unchanged: true } };
    }
    const awaited = {
      ...old,
      tells,
      stale: { version: target.version, sha256: wanted(target).sha256 },
    };
    if (previous.image === undefined) {
      if (!now.ok) return now;
      // What still runs from RAM may be erased in its bank: only what comes up again is there.
      const restarted = await reset(this.#exchange, signal);
      if (!restarted.ok) return restarted;
      const up = await awaitSoftware(this.#exchange, awaited, signal);
      if (!up.ok && !isWrongSoftware(up)) return up;
      const report = await readReport(this.#exchange, signal);
      if (!report.ok) return report;
      const { version } = report.value;
      if (up.ok && version !== undefined && version === old.version) {
        return { ok: true, value: { ...report.value, unchanged: false } };
      }
      return failure(
        'NO_PREVIOUS_IMAGE',
        `${this.#exchange.peer} has one bank and runs ${version ?? 'nothing that it can name'}; its previous image` +
          `${old.version === undefined ? '' : ` ${old.version}`} is not kept here: ${this.#exchange.advise('no-previous-image')}`,
      );
    }
    if (now.ok && now.value.sha256 !== undefined && now.value.sha256 === old.sha256) {
      return { ok: true, value: { ...now.value, unchanged: false } };
    }
    const written = await this.#program(
      { ...previous, image: previous.image },
      hooks,
      warnings,
      fact,
      {
        andThen: () => reset(this.#exchange, signal),
      },
    );
    if (!written.ok) return written;
    const back = await awaitSoftware(this.#exchange, awaited, signal);
    if (!back.ok) return back;
    if (back.value === 'unseen') warnings.push(this.#unseen());
    const report = await readReport(this.#exchange, signal);
    return report.ok ? { ok: true, value: { ...report.value, unchanged: false } } : report;
  }

  /** It told a digest before: only that counts. Otherwise its version, where it is not in its bootloader. */
  async #runsStill(
    now: EcuReport,
    old: EcuReport,
    tells: EcuReport,
    signal?: AbortSignal,
  ): Promise<Exchanged<boolean>> {
    if (now.sha256 !== undefined && old.sha256 !== undefined) {
      return { ok: true, value: now.sha256 === old.sha256 };
    }
    if (this.#before({ from: tells })?.sha256 !== undefined && now.sha256 === undefined) {
      return { ok: true, value: false };
    }
    if (now.version === undefined || now.version !== old.version) return { ok: true, value: false };
    const session = await readDid(
      this.#exchange,
      Did.activeDiagnosticSession,
      'asking for its session',
      signal,
    );
    if (!session.ok) return session;
    return { ok: true, value: session.value?.[0] !== Session.programming };
  }

  async versionReport(signal?: AbortSignal): Promise<DriverResult<Uint8Array | undefined>> {
    if (this.#ecu.programming.metadata === 'skip') {
      return { ok: true, value: undefined, warnings: [] };
    }
    return this.#result(await readVersionReport(this.#exchange, signal), [], 'no');
  }

  /** What the ECU says of the software that it runs at present, for the time when it runs another one. */
  #learn({ version, sha256 }: EcuReport): void {
    this.#told = { version: version ?? this.#told?.version, sha256: sha256 ?? this.#told?.sha256 };
  }

  async #learnBefore(target: Target, signal?: AbortSignal): Promise<Exchanged<void>> {
    if (this.#before(target) !== undefined) return DONE;
    const report = await readReport(this.#exchange, signal);
    if (report.ok) this.#learn(report.value);
    return report.ok ? DONE : report;
  }

  #before({ from }: Pick<Target, 'from'>): EcuReport | undefined {
    const told = this.#told;
    if (from === undefined || told === undefined) return from ?? told;
    return { version: from.version ?? told.version, sha256: from.sha256 ?? told.sha256 };
  }

  /** For a caller that has no journal. */
  #remember(target: Target, fact: ChangeFact): Changed {
    const { sha256 } = wanted(target);
    this.#changes.set(sha256, worse(this.#changes.get(sha256) ?? 'no', fact.value));
    return fact.value;
  }

  #unseen(): string {
    return (
      `${this.#ecu.name}: it answers in its default session again after its reset; ` +
      'nothing that it tells shows which software it runs'
    );
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
    fact: ChangeFact,
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
      fact,
      ...how,
    });
  }

  async #resetAndAwait(
    isThere: (banks: Banks) => boolean,
    late: (banks: Banks) => Refusal,
    signal?: AbortSignal,
  ): Promise<Exchanged<unknown>> {
    const asked = await reset(this.#exchange, signal);
    return asked.ok ? awaitBanks(this.#exchange, isThere, late, signal) : asked;
  }

  /** The switch that was asked for is still to come: the reset has not happened, another one may help. */
  #notRestarted({ state }: Banks): Refusal | undefined {
    if (!state.activationPending) return undefined;
    const { resetMs } = this.#ecu.timing;
    const text = `${this.#exchange.peer} has not restarted within ${resetMs} ms (${this.#exchange.field('timing.resetMs')})`;
    return failure('SILENT', `${text}: its switch to the other bank is still pending`, true);
  }

  /** Back to the default session without waiting for S3; an ECU that does not answer gets there by itself. */
  async #leaveSession(): Promise<void> {
    await this.#exchange.ask(Uint8Array.of(0x10, 0x01), 'leaving the extended session');
  }

  #result<T>(done: Exchanged<T>, warnings: readonly string[], changed: Changed): DriverResult<T> {
    for (const warning of warnings) this.#logger.warn({ ecu: this.#ecu.name }, warning);
    if (done.ok) return { ...done, warnings };
    this.#logger.warn({ ecu: this.#ecu.name, code: done.code }, done.reason);
    const { ok, code, reason, transient, attack } = done;
    return { ok, code, reason, transient, changed, ...(attack === undefined ? {} : { attack }) };
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

/** A refusal that came before anything was changed says so. */
function withChange<T>(done: Exchanged<T>, changed: Changed): Exchanged<T> {
  return done.ok || done.nrc === undefined || changed !== 'no'
    ? done
    : { ...done, reason: `${done.reason}; nothing was changed in it` };
}

/** A report of what was done without carrying anything. */
function nothing(changed: Changed, held: boolean): TransferReport {
  return { bytes: 0, transferMs: 0, changed, held };
}

/** What the ECU tells when it runs again what it ran before. */
function oldReport({ version, sha256, plain, image }: RollbackOrder['previous']): EcuReport {
  return {
    version: version === UNKNOWN_VERSION ? undefined : version,
    sha256: sha256 ?? (plain ?? image)?.sha256,
  };
}

/** It came up, with something else. */
function isWrongSoftware({ code }: Refusal): boolean {
  return code === 'VERSION_MISMATCH' || code === 'DIGEST_MISMATCH' || code === 'SELF_TEST';
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

// The driver of one ECU over UDS: identify, stage, activate, verify, confirm, roll back. Each first reads the state.

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
import { fromHex, toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import type { LoadProgram } from '../image/called-program.ts';
import {
  EVIDENCE_BYTES,
  encodeActivateOption,
  encodeEvidenceOption,
} from '../uds/campaign-record.ts';
import type { UdsRequester } from '../uds/reply.ts';
import { Did, Routine } from '../uds/sid.ts';
import { memoryRoom, roomField } from '../vehicle/memory.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import {
  authentic,
  type BankRoutine,
  type Banks,
  describeBanks,
  isOurs,
  readBanks,
  readCampaignRecord,
  reset,
  short,
} from './activation.ts';
import type { Advice } from './advice.ts';
import { type BankAccess, notRestarted, orderBank, resetAndAwait } from './bank-order.ts';
import { BusSilence } from './bus-silence.ts';
import { ChangeFact } from './change-fact.ts';
import { Exchange, type Exchanged, failure, type Refusal } from './exchange.ts';
import { checkTroubleCodes, readTroubleCodes, watchHeartbeat } from './health-check.ts';
import { identifyEcu, readDigest, readHardwareId } from './identification.ts';
import { wanted } from './image-reader.ts';
import { encryptedOf, layOut } from './layout.ts';
import type { ProgramOptions } from './program-run.ts';
import { program } from './programmer.ts';
import { awaitSoftware } from './restart.ts';
import {
  isWrongSoftware,
  leaveAlone,
  restoreSingleBank,
  rollBackBank,
  unseenText,
} from './rollback.ts';
import { loadSecondBootLoader } from './second-boot-loader.ts';
import type { OrderAuthority } from './secured-requester.ts';
import { metadataFor, readVersionReport, tellReportReceived } from './trust-exchange.ts';
import { namingUnprovisioned } from './unprovisioned.ts';
import { isOf, readReport, verifyRunning } from './verification.ts';

export interface UdsEcuDriverOptions {
  readonly ecu: VehicleEcu;
  readonly requester: UdsRequester;
  readonly clock: Clock;
  /** Silence shared by the ECUs behind one functional address; missing: the driver makes one for itself. */
  readonly silence?: BusSilence;
  /** Authority with which an ECU of ours takes orders. */
  readonly authority?: OrderAuthority | undefined;
  /** Loads the file of `programming.secondBootLoader`; `call` replaces the start address of the file. Throws InputError. */
  readonly secondBootLoader?: LoadProgram;
  /** For `security.algorithm: command` and `module`. */
  readonly runCommand?: KeyCommand;
  readonly logger?: Logger;
  /** What a person can do about a failure; missing: the advice for a vehicle file. */
  readonly advice?: Advice;
}

const NOT_TOLD: EcuReport = { version: undefined, sha256: undefined };
const DONE = { ok: true, value: undefined } as const;

export class UdsEcuDriver implements EcuDriver {
  readonly #exchange: Exchange;
  readonly #silence: BusSilence;
  readonly #runCommand: KeyCommand | undefined;
  readonly #secondBootLoader: LoadProgram | undefined;
  readonly #logger: Logger;
  /** What this driver has changed, by the digest of the target. */
  readonly #changes = new Map<string, Changed>();
  /** The ECU's last report of its software at an identification. */
  #told: EcuReport | undefined;
  #toldSelfTest = false;

  constructor(options: UdsEcuDriverOptions) {
    this.#exchange = new Exchange(options);
    this.#silence = options.silence ?? new BusSilence();
    this.#runCommand = options.runCommand;
    this.#secondBootLoader = options.secondBootLoader;
    this.#logger = options.logger ?? silentLogger;
  }

  get #ecu(): VehicleEcu {
    return this.#exchange.ecu;
  }

  get #access(): BankAccess {
    return { exchange: this.#exchange, runCommand: this.#runCommand };
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
    const fact = new ChangeFact(hooks.changing);
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
    // A single bank has no place beside the running image; `activate` writes it.
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
      // It is not known who activated a running image; a rollback discards an image in the other bank.
      fact.join(held ? 'yes' : 'unknown');
      const report = nothing(fact.value, true);
      // Codes of the new software cannot serve as the comparison for the new software.
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

  /** Adds the trouble codes that fail before the update; they are not counted against it. */
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
    const fact = new ChangeFact(hooks.changing);
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
    if (before.value.active === sha256) return this.#runsAlready(target, fact, signal);
    if (before.value.inactive !== sha256) {
      return failure(
        'NOT_STAGED',
        `${peer} does not hold the image ${short(sha256)} in its inactive bank: stage it again`,
      );
    }
    // An ECU of ours gets the order even when a switch is pending, because an earlier campaign may have ordered it.
    if (before.value.state.activationPending && !isOurs(this.#ecu)) {
      if (!(await fact.begin()))
        return failure('INTERRUPTED', `${peer}: stopped before its reset`, true);
      fact.join('yes');
    } else {
      const asked = await orderBank(
        this.#access,
        { ...activation(target, 'activating the new image'), staysInSession: true },
        ({ state }) => state.activationPending,
        fact,
        signal,
      );
      if (!asked.ok) return asked;
    }
    const back = await resetAndAwait(
      this.#exchange,
      ({ active }) => active === sha256,
      (banks) =>
        notRestarted(this.#exchange, banks) ??
        failure(
          'SELF_TEST',
          `${peer} did not start the new image ${short(sha256)} within ${this.#ecu.timing.resetMs} ms after its reset ` +
            `(timing.resetMs): ${describeBanks(banks)}`,
        ),
      signal,
    );
    return back.ok ? { ok: true, value: nothing(fact.value, false) } : back;
  }

  /** The ECU already runs the image, and it is not known since when. An ECU of ours joins this campaign. */
  async #runsAlready(
    target: Target,
    fact: ChangeFact,
    signal?: AbortSignal,
  ): Promise<Exchanged<TransferReport>> {
    fact.join('unknown');
    const joined = await this.#join(target, signal);
    return joined.ok ? { ok: true, value: nothing('unknown', true) } : joined;
  }

  /** Makes the running image a part of the campaign; an ECU of another make has no campaigns. */
  async #join(target: Target, signal?: AbortSignal): Promise<Exchanged<void>> {
    if (!isOurs(this.#ecu)) return DONE;
    const record = await readCampaignRecord(this.#exchange, signal);
    if (!record.ok) return record;
    if (record.value !== undefined && isOf(record.value, target.campaign)) return DONE;
    const order = activation(target, 'telling it the campaign of its image');
    // The order does not change the running software.
    const asked = await orderBank(this.#access, order, undefined, new ChangeFact(), signal);
    return asked.ok ? DONE : asked;
  }

  /** Writes the image of a single-bank ECU and resets it, which starts the new image at once. */
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
    if (digest.value === sha256) return this.#runsAlready(target, fact, hooks.signal);
    let isHeard = true;
    const restart = async (): Promise<Exchanged<unknown>> => {
      const asked = await reset(this.#exchange, hooks.signal);
      if (asked.ok) isHeard = asked.value;
      return asked;
    };
    const written = await this.#program(target, hooks, warnings, fact, { andThen: restart });
    if (!written.ok) return written;
    const before = this.#before(target) ?? NOT_TOLD;
    const awaited = { version: target.version, sha256, tells: before, stale: before };
    let back = await awaitSoftware(this.#exchange, awaited, hooks.signal);
    // The reset request may have been lost. An ECU that does not report its session shows this only by its old
    // software.
    if (!back.ok && !isHeard && isWrongSoftware(back)) {
      const again = await restart();
      if (!again.ok) return again;
      back = await awaitSoftware(this.#exchange, awaited, hooks.signal);
    }
    if (!back.ok) return back;
    if (back.value === 'unseen') warnings.push(unseenText(this.#exchange));
    const joined = await this.#join(target, hooks.signal);
    return joined.ok ? written : joined;
  }

  async verify(
    target: Target,
    checks: HealthChecks,
    signal?: AbortSignal,
  ): Promise<DriverResult<EcuReport>> {
    const warnings: string[] = [];
    const report = await verifyRunning({
      exchange: this.#exchange,
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

  /** Watches the heartbeat first and reads the trouble codes last, so that codes stored during the watch count too. */
  async #checkHealth(
    { knownDtcs, heartbeatMs }: HealthChecks,
    warnings: string[],
    signal?: AbortSignal,
  ): Promise<Exchanged<void>> {
    const watched = await watchHeartbeat(this.#exchange, heartbeatMs, warnings, signal);
    if (!watched.ok || knownDtcs === undefined) return watched;
    return checkTroubleCodes(this.#exchange, knownDtcs, warnings, signal);
  }

  async confirm(
    target: Target,
    commitments: readonly string[],
    signal?: AbortSignal,
  ): Promise<DriverResult<string | undefined>> {
    const fact = new ChangeFact();
    const confirmed = await this.#confirm(target, commitments, fact, signal);
    return this.#result(confirmed, [], fact.value);
  }

  async #confirm(
    target: Target,
    commitments: readonly string[],
    fact: ChangeFact,
    signal?: AbortSignal,
  ): Promise<Exchanged<string | undefined>> {
    const order = {
      routine: Routine.confirmBank,
      doing: 'confirming the new image',
      option: evidenceOption(target, commitments),
    };
    // A single bank of another make has no trial to end: it runs the new image or none.
    if (!this.#twoBanks && !isOurs(this.#ecu)) return DONE;
    if (!this.#twoBanks) return this.#askToConfirm(order, undefined, fact, signal);
    const banks = await readBanks(this.#exchange, signal);
    if (!banks.ok) return banks;
    const { sha256 } = wanted(target);
    if (banks.value.active !== sha256) {
      return failure(
        'SELF_TEST',
        `${this.#exchange.peer} does not run ${short(sha256)} any more: ${describeBanks(banks.value)}`,
      );
    }
    // An ECU of ours is asked again, because its answer holds the receipt.
    if (banks.value.state.mode === 'confirmed' && !isOurs(this.#ecu)) return DONE;
    const isDone = ({ active, state }: Banks) => active === sha256 && state.mode === 'confirmed';
    return this.#askToConfirm(order, isDone, fact, signal);
  }

  /** Sends the confirmation; the value is the receipt of an ECU of ours. */
  async #askToConfirm(
    order: BankRoutine,
    isDone: ((banks: Banks) => boolean) | undefined,
    fact: ChangeFact,
    signal?: AbortSignal,
  ): Promise<Exchanged<string | undefined>> {
    const confirmed = await orderBank(this.#access, order, isDone, fact, signal);
    if (!confirmed.ok) return explainConfirmation(confirmed);
    if (!isOurs(this.#ecu)) return DONE;
    if (confirmed.value.length === EVIDENCE_BYTES) {
      return { ok: true, value: toHex(confirmed.value) };
    }
    return failure(
      'MALFORMED',
      `${this.#exchange.peer}: a receipt of ${confirmed.value.length} bytes while ${order.doing}, expected ${EVIDENCE_BYTES}`,
    );
  }

  /**
   * Raises the security counter: from then on the ECU starts no older image, and no rollback is possible. Does nothing
   * for an ECU without a security counter.
   */
  async commit(
    target: Target,
    receipts: readonly string[],
    signal?: AbortSignal,
  ): Promise<DriverResult<void>> {
    const fact = new ChangeFact();
    return this.#result(await this.#commit(target, receipts, fact, signal), [], fact.value);
  }

  async #commit(
    target: Target,
    receipts: readonly string[],
    fact: ChangeFact,
    signal?: AbortSignal,
  ): Promise<Exchanged<void>> {
    if (!isOurs(this.#ecu)) return DONE;
    const asked = authentic(this.#exchange);
    const active = await readDigest(asked, Did.activeBankDigest, signal);
    if (!active.ok) return active;
    const { sha256 } = wanted(target);
    // This release must not raise the counter for another image.
    if (active.value !== undefined && active.value !== sha256) {
      return failure(
        'REFUSED',
        `${this.#exchange.peer} runs ${short(active.value)} and not ${short(sha256)}: its security counter stays`,
      );
    }
    const order = {
      routine: Routine.commitCounter,
      doing: 'raising its security counter',
      option: evidenceOption(target, receipts),
    };
    const raised = await orderBank(this.#access, order, undefined, fact, signal);
    return raised.ok ? DONE : raised;
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
        ? await leaveAlone(this.#exchange, warnings, hooks.signal)
        : this.#twoBanks
          ? await rollBackBank(this.#access, order, changed, fact, hooks.signal)
          : await restoreSingleBank(
              {
                exchange: this.#exchange,
                program: (target) =>
                  this.#program(target, hooks, warnings, fact, {
                    andThen: () => reset(this.#exchange, hooks.signal),
                  }),
                before: (from) => this.#before({ from }),
              },
              order,
              changed,
              warnings,
              hooks.signal,
            );
    if (done.ok) this.#changes.delete(sha256);
    return this.#result(done, warnings, fact.value);
  }

  async versionReport(signal?: AbortSignal): Promise<DriverResult<Uint8Array | undefined>> {
    if (!isOurs(this.#ecu)) return { ok: true, value: undefined, warnings: [] };
    return this.#result(await readVersionReport(this.#exchange, signal), [], 'no');
  }

  async reportReceived(counter: number, signal?: AbortSignal): Promise<DriverResult<void>> {
    if (!isOurs(this.#ecu)) return { ok: true, value: undefined, warnings: [] };
    return this.#result(await tellReportReceived(this.#exchange, counter, signal), [], 'no');
  }

  /** Remembers the report of the running software, to compare it with the report of the next one. */
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

  /** Remembers the change for a caller that has no journal. */
  #remember(target: Target, fact: ChangeFact): Changed {
    const { sha256 } = wanted(target);
    this.#changes.set(sha256, worse(this.#changes.get(sha256) ?? 'no', fact.value));
    return fact.value;
  }

  #checkImage(target: Target): Exchanged<void> {
    const { memory } = this.#ecu;
    const room = memoryRoom(memory);
    const image = wanted(target);
    if (image.length === 0) {
      return failure('IMAGE_INVALID', `the image for ${this.#ecu.name} is empty`);
    }
    if (image.length - (target.image.map?.dataOffset ?? 0) > room) {
      return failure(
        'IMAGE_TOO_LARGE',
        `the image for ${this.#ecu.name} has ${image.length} bytes, its bank holds ${room}: ` +
          `use a smaller image or correct ${roomField(memory)} in the vehicle file`,
      );
    }
    const laidOut = layOut(this.#ecu, target.image, encryptedOf(target));
    return laidOut.ok ? DONE : laidOut;
  }

  async #checkHardware(signal?: AbortSignal): Promise<Exchanged<void>> {
    const { identify } = this.#ecu.programming;
    if (identify === 'skip') return { ok: true, value: undefined };
    const ask = () => readHardwareId(this.#exchange, signal);
    let hardwareId = await ask();
    // The answer could be one to another tester.
    const told = hardwareId.ok ? hardwareId.value : undefined;
    if (told !== undefined && told !== this.#ecu.hardwareId) hardwareId = await ask();
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
    // Fetch the metadata before the sequence, while the bus still works normally: the network can be slow.
    const loader = await loadSecondBootLoader(this.#exchange, this.#secondBootLoader);
    if (!loader.ok) return loader;
    const metadata = await metadataFor(this.#exchange, target, hooks.signal);
    if (!metadata.ok) return metadata;
    return program({
      exchange: this.#exchange,
      silence: this.#silence,
      image: target.image,
      plain: wanted(target),
      encrypted: target.encryption !== undefined,
      metadata: metadata.value,
      runCommand: this.#runCommand,
      secondBootLoader: loader.value,
      hooks,
      warnings,
      fact,
      ...how,
    });
  }

  async #result<T>(
    done: Exchanged<T>,
    warnings: readonly string[],
    changed: Changed,
  ): Promise<DriverResult<T>> {
    for (const warning of warnings) this.#logger.warn({ ecu: this.#ecu.name }, warning);
    if (done.ok) return { ...done, warnings };
    const { ok, code, reason, transient, attack } = await namingUnprovisioned(this.#exchange, done);
    this.#logger.warn({ ecu: this.#ecu.name, code }, reason);
    return { ok, code, reason, transient, changed, ...defined({ attack }) };
  }
}

/** NRC 22 to a confirmation always means a failed self test. */
function explainConfirmation(confirmed: Refusal): Refusal {
  return confirmed.code !== 'PRECONDITION'
    ? confirmed
    : failure('SELF_TEST', `${confirmed.reason}; its self test did not pass`);
}

function activation(target: Target, doing: string): BankRoutine {
  const option = encodeActivateOption({
    campaign: fromHex(target.campaign),
    sha256: fromHex(wanted(target).sha256),
  });
  return { routine: Routine.activateBank, doing, option };
}

function evidenceOption({ campaign }: Target, evidence: readonly string[]): Uint8Array {
  return encodeEvidenceOption({ campaign: fromHex(campaign), evidence: evidence.map(fromHex) });
}

/** Adds the change to a result; the reason of a refusal that changed nothing says so. */
function withChange<T>(done: Exchanged<T>, changed: Changed): Exchanged<T> {
  return done.ok || done.nrc === undefined || changed !== 'no'
    ? done
    : { ...done, reason: `${done.reason}; nothing was changed in it` };
}

/** A report without a transfer. */
function nothing(changed: Changed, held: boolean): TransferReport {
  return { bytes: 0, transferMs: 0, changed, held };
}

// A campaign of one ECU without a backend: a person supplies the image and approves it by the command.

import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { assertNever } from '../core/errors.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { MemoryStorage } from '../core/memory-storage.ts';
import { defined } from '../core/optional.ts';
import { itemAt } from '../core/present.ts';
import type { Random } from '../core/random.ts';
import { UNKNOWN_VERSION } from '../core/version-order.ts';
import { commandsOf } from './commands.ts';
import { type EcuStepCommand, performEcuStep, type StepReport } from './ecu-step.ts';
import type { CampaignEvent, EventOf } from './event.ts';
import { type Plan, planDigest } from './plan.ts';
import type {
  Changed,
  DriverErrorCode,
  DriverFailure,
  DriverHooks,
  EcuDriver,
  EcuIdentity,
  EcuReport,
  EcuStep,
  Failed,
  HealthChecks,
  Target,
} from './ports.ts';
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from './retry-policy.ts';
import { CampaignRunner, type Note } from './runner.ts';
import type { CampaignCommand, CampaignConfig, CampaignResult, CampaignState } from './state.ts';

export interface SingleOptions extends DriverHooks {
  readonly driver: EcuDriver;
  readonly ecu: { readonly name: string; readonly hardwareId: string };
  /** Whether activation writes the image. */
  readonly hasOneBank: boolean;
  readonly target: Omit<Target, 'campaign' | 'from'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  /** Retry limits that differ from those of a bench. */
  readonly retry?: Partial<RetryPolicy>;
  /** Time that the new software must answer without a restart before it is confirmed; 0 by default. */
  readonly heartbeatMs?: number;
  /** Whether new trouble codes fail the update; true by default. */
  readonly compareTroubleCodes?: boolean;
  readonly onStep?: (step: SingleStep) => void;
}

/** Progress of a step of the ECU; a failure has the pause before the next try. */
export type SingleStep = {
  readonly step: EcuStep;
  /** With `roll-back`: whether there is something to roll back. */
  readonly changed: Changed;
  /** Number of failed tries before this one. */
  readonly tries: number;
} & (
  | { readonly status: 'begun' }
  | { readonly status: 'done'; readonly event: CampaignEvent }
  | { readonly status: 'retry'; readonly failure: Failed; readonly delayMs: number }
);

/** What the ECU holds after a failure. It is taken only from answers that the ECU gave after the failure. */
export type EcuContent =
  /** No request that can change the ECU was sent, or the ECU refused all of them. */
  | { readonly kind: 'unchanged' }
  /** The ECU reports the version or the digest from before the update. */
  | { readonly kind: 'as-before'; readonly version: string | undefined }
  /** The ECU reports another version or digest. */
  | { readonly kind: 'other'; readonly report: EcuReport }
  /** The only bank was written in part, and there is no image to restore it. */
  | { readonly kind: 'unfinished'; readonly reason: string }
  /** The ECU runs the new image, and there is no previous image for a rollback. */
  | { readonly kind: 'not-restored'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string };

export type SingleResult =
  | {
      readonly ok: true;
      readonly from: string | undefined;
      readonly report: EcuReport;
      /** Bytes carried over the bus. */
      readonly bytes: number;
      readonly seconds: number;
      /** Bytes that the ECU already held when the transfer was resumed. */
      readonly resumedAt?: number;
      /** Whether the ECU already held the whole image before the first try. */
      readonly heldAlready: boolean;
      /** Why the ECU could not raise its security counter. */
      readonly counterOwed?: string;
      readonly warnings: readonly string[];
    }
  | {
      readonly ok: false;
      readonly code: DriverErrorCode;
      readonly reason: string;
      readonly attack?: DriverFailure['attack'];
      readonly step: EcuStep | 'identify';
      readonly content: EcuContent;
      /** Whether the rollback succeeded; undefined when there was nothing to roll back or no rollback was made. */
      readonly rolledBack?: boolean;
      readonly warnings: readonly string[];
    };

/** Limits for a missing ECU or bus: shorter than in a vehicle, because a person waits. */
const GONE = { tries: 2, seconds: 60 };
/** Limits for failures for which the driver itself waits as long as the vehicle file says. */
const WAITED_FOR = { tries: 1, seconds: 0 };
const BENCH_CONFIG: CampaignConfig = {
  retry: { ...DEFAULT_RETRY_POLICY, bus: GONE, silent: GONE, busy: WAITED_FOR },
  retryDelayMs: 1000,
  restartLimit: 0,
};

/**
 * Stages, activates, verifies, confirms and commits by the rules of every campaign. When the signal interrupts it, the
 * staged image stays, and the next call continues with it.
 */
export async function runSingle(options: SingleOptions): Promise<SingleResult> {
  const identity = await options.driver.identify(options.signal);
  if (!identity.ok) {
    const { code, reason, attack } = identity;
    return {
      ...{ ok: false, code, reason, step: 'identify', content: { kind: 'unchanged' } },
      ...defined({ attack }),
      warnings: [],
    };
  }
  return new Single(options, identity.value, [...identity.warnings]).run();
}

class Single {
  readonly #options: SingleOptions;
  readonly #identity: EcuIdentity;
  readonly #warnings: string[];
  /** The last command of the driver. */
  #last: EcuStepCommand | undefined;
  /** The failure that ended the forward steps. */
  #failure: { readonly step: EcuStep; readonly failure: Failure } | undefined;
  #retried = false;
  /** Bytes that the ECU has accepted in all tries. */
  #taken = 0;
  #interruption: string | undefined;
  #rolledBack: EventOf<'rolled-back'> | DriverFailure | undefined;
  #counterOwed: string | undefined;
  #result: CampaignResult | undefined;

  constructor(options: SingleOptions, identity: EcuIdentity, warnings: string[]) {
    this.#options = options;
    this.#identity = identity;
    this.#warnings = warnings;
  }

  async run(): Promise<SingleResult> {
    const { clock, random, logger = silentLogger, retry, ecu, target } = this.#options;
    const runner = await CampaignRunner.open({
      storage: new MemoryStorage(),
      clock,
      logger,
      config: { ...BENCH_CONFIG, retry: { ...BENCH_CONFIG.retry, ...retry } },
      execute: (command, _state, signal, note) => this.#execute(command, signal, note),
      onState: (state, event) => this.#follow(state, event),
    });
    const plan = planOf(ecu, this.#identity, target);
    await runner.feed({
      kind: 'offered',
      id: toHex(random.bytes(16)),
      nonce: toHex(random.bytes(16)),
      wallMs: clock.wallMs(),
      plan,
      planDigest: planDigest(plan),
    });
    const end = await runner.run(this.#options.signal ?? new AbortController().signal);
    await runner.close();
    return end === 'interrupted' || this.#result === undefined
      ? this.#interrupted()
      : this.#ended(this.#result);
  }

  async #execute(
    command: CampaignCommand,
    signal: AbortSignal,
    note: Note,
  ): Promise<CampaignEvent | undefined> {
    switch (command.kind) {
      case 'check':
        return undefined;
      case 'download':
        return { kind: 'downloaded', sha256: command.item.download.sha256 };
      case 'ask':
        // The person who gives the command approves the update.
        return {
          ...{ kind: 'answered', phase: command.phase, by: 'driver' },
          answer: { kind: 'approved' },
        };
      case 'check-gate':
        return { kind: 'gate', gate: command.gate, result: { kind: 'open' } };
      case 'ecu':
        return this.#ecu(command, signal, note);
      case 'finish':
        this.#result = command.result;
        return { kind: 'closed' };
      default:
        return assertNever(command);
    }
  }

  async #ecu(
    command: EcuStepCommand,
    signal: AbortSignal,
    note: Note,
  ): Promise<CampaignEvent | undefined> {
    const { driver, hasOneBank, target } = this.#options;
    this.#last = command;
    const event = await performEcuStep(
      command,
      {
        ...{ driver, hasOneBank, target, note },
        openImage: async () => ({ ...target.image, close: async () => {} }),
        stillWanted: async () => ({ ok: true }),
        openPrevious: async () => undefined,
        checksOf: (knownDtcs) => this.#checksOf(knownDtcs),
        onStep: (report) => this.#tell(report, command),
      },
      {
        signal,
        progress: (progress) => {
          this.#taken = Math.max(this.#taken, progress.sent);
          this.#options.progress?.(progress);
        },
      },
    );
    if (event?.kind === 'rolled-back') this.#rolledBack = event;
    return event;
  }

  #checksOf(knownDtcs: readonly string[] | undefined): HealthChecks {
    const { heartbeatMs = 0, compareTroubleCodes = true } = this.#options;
    return { knownDtcs: compareTroubleCodes ? knownDtcs : undefined, heartbeatMs };
  }

  #tell(report: StepReport, { changed, tries }: EcuStepCommand): void {
    const { step } = report;
    const facts = { step, changed, tries };
    switch (report.status) {
      case 'begun':
        this.#options.onStep?.({ ...facts, status: 'begun' });
        return;
      case 'done':
        this.#options.onStep?.({ ...facts, status: 'done', event: report.event });
        return;
      case 'warning':
        this.#warnings.push(report.text);
        return;
      case 'interrupted':
        this.#interruption = report.reason;
        return;
      case 'failed':
        if (step === 'roll-back') this.#rolledBack = report.failure;
        if (step === 'commit') this.#counterOwed = report.failure.reason;
        return;
      default:
        assertNever(report);
    }
  }

  /** Notes the consequence of a failure: the same step again, or the end of the forward steps. */
  #follow(state: CampaignState, event: CampaignEvent): void {
    if (event.kind !== 'step-failed' && event.kind !== 'verified') return;
    if (event.kind === 'step-failed') {
      const again = commandsOf(state).find(
        (command) => command.kind === 'ecu' && command.step === event.step && command.tries > 0,
      );
      if (again?.kind === 'ecu') {
        this.#retried = true;
        const { step, changed, tries, delayMs } = again;
        const failure = { ok: false, ...failureOf(event), transient: true } as const;
        this.#options.onStep?.({ step, changed, tries, status: 'retry', failure, delayMs });
        return;
      }
    }
    if (this.#failure !== undefined || !hasFailed(state)) return;
    if (event.kind === 'step-failed') {
      this.#failure = { step: event.step, failure: failureOf(event) };
    } else {
      // The reducer compares the reported version and digest, too.
      const { code, reason } = causeOf(state);
      this.#failure = { step: 'verify', failure: { code: code as DriverErrorCode, reason } };
    }
  }

  #interrupted(): SingleResult {
    const { name } = this.#options.ecu;
    const step = this.#last?.step ?? 'stage';
    const reason = this.#interruption ?? `${name}: stopped`;
    const content: EcuContent =
      this.#last === undefined
        ? { kind: 'unchanged' }
        : { kind: 'unknown', reason: 'the ECU was not asked again' };
    const warnings = this.#warnings;
    return { ok: false, code: 'INTERRUPTED', reason, step, content, warnings };
  }

  #ended(result: CampaignResult): SingleResult {
    const warnings = this.#warnings;
    if (this.#failure === undefined) {
      const { bytes, seconds, resumedAt, reported, sha256 } = itemAt(result.ecus, 0);
      return {
        ok: true,
        from: this.#identity.version,
        report: { version: reported ?? undefined, sha256: sha256 ?? undefined },
        ...{ bytes, seconds },
        ...defined({ resumedAt }),
        // After a retry the image found may be the one that an earlier try has written.
        heldAlready: bytes === 0 && !this.#retried,
        ...(result.uncommitted.length > 0 && this.#counterOwed !== undefined
          ? { counterOwed: this.#counterOwed }
          : {}),
        warnings,
      };
    }
    const { step, failure } = this.#failure;
    const back = this.#rolledBack;
    return {
      ok: false,
      ...failure,
      step,
      content: this.#contentAfter(step),
      ...defined({ rolledBack: back === undefined ? undefined : 'kind' in back }),
      warnings,
    };
  }

  #contentAfter(step: EcuStep): EcuContent {
    const back = this.#rolledBack;
    // The reducer orders no rollback of an unchanged ECU.
    if (back === undefined || ('kind' in back && back.unchanged)) return { kind: 'unchanged' };
    if (!('kind' in back)) {
      const { reason } = back;
      if (back.code !== 'NO_PREVIOUS_IMAGE') return { kind: 'unknown', reason };
      const isWritten = this.#options.hasOneBank && this.#last?.changed === 'yes';
      const isPart = step === 'activate' && this.#taken < this.#options.target.image.length;
      return { kind: isWritten && isPart ? 'unfinished' : 'not-restored', reason };
    }
    const { version, sha256 } = back;
    const before = this.#identity;
    if (version === null && sha256 === null) {
      return { kind: 'unknown', reason: 'the ECU reports neither version nor digest' };
    }
    const isSame =
      sha256 !== null && before.sha256 !== undefined
        ? sha256 === before.sha256
        : version !== null && version === before.version;
    return isSame
      ? { kind: 'as-before', version: version ?? undefined }
      : {
          kind: 'other',
          report: { version: version ?? undefined, sha256: sha256 ?? undefined },
        };
  }
}

type Failure = Pick<DriverFailure, 'code' | 'reason' | 'attack'>;

function failureOf({ code, reason, attack }: EventOf<'step-failed'>): Failure {
  return { code, reason, ...defined({ attack }) };
}

/** Whether the forward steps have ended without success. */
function hasFailed(state: CampaignState): boolean {
  if (state.kind === 'idle') return state.finished !== null && state.finished.outcome !== 'SUCCESS';
  return state.kind === 'rolling-back' || state.kind === 'safe-state';
}

function causeOf(state: CampaignState): { readonly code: string; readonly reason: string } {
  if ('cause' in state) return state.cause;
  const { code = 'UNEXPECTED', reason = '' } = (state.kind === 'idle' && state.finished) || {};
  return { code, reason };
}

function planOf(
  ecu: SingleOptions['ecu'],
  identity: EcuIdentity,
  target: SingleOptions['target'],
): Plan {
  const { name, hardwareId } = ecu;
  const { image, plain = image, version = UNKNOWN_VERSION } = target;
  return {
    vin: '',
    items: [
      {
        ecu: name,
        hardwareId,
        order: 0,
        bus: '',
        forced: false,
        from: { version: identity.version ?? UNKNOWN_VERSION, sha256: identity.sha256 ?? null },
        to: { version, sha256: plain.sha256, size: plain.length, releaseCounter: 0 },
        targetName: name,
        download: { file: name, sha256: image.sha256, size: image.length },
        encryption: target.encryption?.method ?? null,
        notes: '',
      },
    ],
  };
}

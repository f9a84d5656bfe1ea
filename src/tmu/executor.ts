// Executes the commands of a campaign with the ports of this vehicle. Each command may be repeated after a restart.

import { type EcuStepCommand, performEcuStep, type StepReport } from '../campaign/ecu-step.ts';
import type { CampaignEvent } from '../campaign/event.ts';
import { type PlanItem, planTargetsKey } from '../campaign/plan.ts';
import type {
  Backend,
  DriverResult,
  EcuDriver,
  EcuStep,
  Failed,
  HealthChecks,
  Target,
} from '../campaign/ports.ts';
import type { Note } from '../campaign/runner.ts';
import type { Campaign, CampaignCommand, CampaignState } from '../campaign/state.ts';
import type { Clock } from '../core/clock.ts';
import { assertNever } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import type { Random } from '../core/random.ts';
import type { EncryptedImage } from '../trust/director.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';
import type { Approvals } from './approvals.ts';
import { type DownloadLimits, downloadImage } from './download.ts';
import type { VehicleImageStore } from './image-store.ts';
import type { OwedCommit, TmuMemory } from './memory.ts';
import { hasOneBank } from './ranks.ts';
import { renewed } from './retention.ts';
import type { TmuListener } from './tmu-event.ts';
import type { TrafficMeter } from './traffic-meter.ts';
import type { TrustedSource } from './trusted-source.ts';

export interface ExecutorOptions {
  readonly backend: Backend;
  readonly trusted: TrustedSource;
  readonly driverFor: (ecu: string) => EcuDriver;
  readonly approvals: Approvals;
  readonly vehicle: Vehicle;
  readonly images: VehicleImageStore;
  readonly memory: TmuMemory;
  readonly traffic: TrafficMeter;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: TmuListener;
  readonly downloadLimits: DownloadLimits | undefined;
}

type Commands = Exclude<CampaignCommand, { kind: 'check' } | { kind: 'finish' }>;

export class Executor {
  readonly #options: ExecutorOptions;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Undefined: interrupted. Throws StorageError. */
  async execute(
    command: Commands,
    state: CampaignState,
    signal: AbortSignal,
    note: Note,
  ): Promise<CampaignEvent | undefined> {
    if (!('campaign' in state)) return undefined;
    switch (command.kind) {
      case 'download':
        return this.#download(command.item, state.campaign, signal);
      case 'ask':
        return this.#options.approvals.ask(command.phase, state.campaign, signal);
      case 'check-gate':
        return this.#options.approvals.gate(command.gate, state.campaign, signal);
      case 'ecu':
        return this.#ecu(command, state.campaign, signal, note);
      default:
        return assertNever(command);
    }
  }

  /** Raises the counter of an ECU that a successful campaign still owes; see `EcuDriver.commit`. */
  async commit(owed: OwedCommit, signal: AbortSignal): Promise<DriverResult<void>> {
    const { item, campaign, receipts } = owed;
    const { ecu } = item;
    const { emit, driverFor } = this.#options;
    const isAsked = !asksNothing('commit', findEcu(this.#options.vehicle, ecu));
    if (isAsked) emit({ kind: 'ecu-step', ecu, step: 'commit', status: 'begun' });
    const target = { ...this.#targetOf(item, signal), campaign };
    const done = await driverFor(ecu).commit(target, receipts, signal);
    if (done.ok) {
      this.#warn(ecu, done.warnings);
      if (isAsked) emit({ kind: 'ecu-step', ecu, step: 'commit', status: 'done' });
    } else if (!signal.aborted) {
      emit({ kind: 'ecu-step', ecu, step: 'commit', status: 'failed', reason: done.reason });
    }
    return done;
  }

  async #download(
    item: PlanItem,
    { plan }: Campaign,
    signal: AbortSignal,
  ): Promise<CampaignEvent | undefined> {
    const { backend, images, memory, traffic, clock, random, emit, downloadLimits } = this.#options;
    const { ecu, download } = item;
    const { file, sha256, size } = download;
    const isHere = await images.has(sha256);
    const result = await downloadImage({
      backend,
      images,
      release: download,
      traffic,
      clock,
      random,
      signal,
      ...defined({ limits: downloadLimits }),
      onProgress: (received) =>
        emit({ kind: 'download-progress', ecu, file, received, total: size }),
      onRetry: (retry) => emit({ kind: 'retry', doing: `downloading ${file}`, ...retry }),
    });
    switch (result.kind) {
      case 'done': {
        // Uptane 5.4.3.2: every hash that was signed is checked, not only SHA-256.
        const wrong = await images.wrongHash(download, signal);
        if (signal.aborted) return undefined;
        if (wrong !== undefined) {
          return {
            kind: 'download-failed',
            outcome: 'DOWNLOAD_INTEGRITY_FAILED',
            code: 'DIGEST_MISMATCH',
            reason: `${file}: its ${wrong} is not the one that was signed, its SHA-256 is: release the image again`,
          };
        }
        const again = isHere ? undefined : renewed(memory.recall(planTargetsKey(plan)));
        if (again !== undefined) await memory.remember(again);
        return { kind: 'downloaded', sha256 };
      }
      case 'interrupted':
        return undefined;
      case 'over-budget':
        return {
          kind: 'download-failed',
          outcome: 'DEFERRED',
          code: 'NETWORK_BUDGET',
          reason: result.reason,
          untilWallMs: result.untilWallMs,
        };
      case 'integrity':
      case 'failed':
        return {
          kind: 'download-failed',
          outcome: result.kind === 'failed' ? 'BACKEND_UNAVAILABLE' : 'DOWNLOAD_INTEGRITY_FAILED',
          code: result.code,
          reason: result.reason,
        };
      default:
        return assertNever(result);
    }
  }

  #ecu(
    command: EcuStepCommand,
    campaign: Campaign,
    signal: AbortSignal,
    note: Note,
  ): Promise<CampaignEvent | undefined> {
    const { driverFor, images, memory, vehicle, emit, approvals } = this.#options;
    const { item } = command;
    const { ecu, to, download } = item;
    return performEcuStep(
      command,
      {
        driver: driverFor(ecu),
        target: this.#targetOf(item, signal),
        hasOneBank: hasOneBank(findEcu(vehicle, ecu)),
        openImage: () => images.open(download, item.encryption),
        stillWanted: () => this.#stillWanted(item, signal),
        stillApproved: () => approvals.stillStands(ecu, campaign, signal),
        openPrevious: async () => {
          const kept = memory.content.images[ecu];
          if (kept === undefined || kept.sha256 === to.sha256) return undefined;
          const image = await images.open(kept.download, kept.encryption?.method ?? null);
          return image === undefined ? undefined : { image, ...plainOf(kept) };
        },
        checksOf: (knownDtcs) => this.#checksOf(knownDtcs),
        onStep: (report) => this.#tell(report),
        note,
      },
      {
        signal,
        progress: ({ sent, total }) => emit({ kind: 'ecu-progress', ecu, sent, total }),
      },
    );
  }

  #tell(report: StepReport): void {
    const { emit } = this.#options;
    const { ecu, step } = report;
    const described = findEcu(this.#options.vehicle, ecu);
    if (report.status !== 'failed' && asksNothing(step, described)) return;
    const oneBank = hasOneBank(described) || undefined;
    switch (report.status) {
      case 'begun':
      case 'done': {
        const compared = report.status === 'done' ? comparedIn(report.event) : undefined;
        emit({
          kind: 'ecu-step',
          ecu,
          step,
          status: report.status,
          ...defined({ oneBank, compared }),
        });
        return;
      }
      case 'failed': {
        const { reason } = report.failure;
        emit({ kind: 'ecu-step', ecu, step, status: 'failed', reason });
        return;
      }
      case 'warning':
        emit({ kind: 'warning', ecu, text: report.text });
        return;
      case 'interrupted':
        return;
      default:
        assertNever(report);
    }
  }

  /** The target only names its image; the driver opens it in the store when it reads it. */
  #targetOf(item: PlanItem, signal: AbortSignal): Omit<Target, 'campaign' | 'from'> {
    const { ecu, to, download, encryption } = item;
    const { trusted } = this.#options;
    return {
      version: to.version,
      image: { length: download.size, sha256: download.sha256, read: neverRead },
      ...(encryption === null
        ? {}
        : plainOf({ ...to, encryption: { ...encryptedOf(download), method: encryption } })),
      ...(this.#verifies(ecu) ? { metadata: (state) => trusted.bundle(ecu, state, signal) } : {}),
    };
  }

  /** An ECU that verifies nothing gets only an image that the Primary can verify at this moment (Uptane 5.4.4). */
  async #stillWanted(item: PlanItem, signal: AbortSignal): Promise<{ readonly ok: true } | Failed> {
    if (this.#verifies(item.ecu)) return ALLOWED;
    return this.#options.trusted.stands(item, signal);
  }

  #verifies(ecu: string): boolean {
    return findEcu(this.#options.vehicle, ecu).programming.metadata !== 'skip';
  }

  #checksOf(knownDtcs: readonly string[] | undefined): HealthChecks {
    const { troubleCodes, heartbeatSeconds } = this.#options.vehicle.policy.diagnostics;
    return {
      knownDtcs: troubleCodes === 'compare' ? knownDtcs : undefined,
      heartbeatMs: heartbeatSeconds * 1000,
    };
  }

  #warn(ecu: string, warnings: readonly string[]): void {
    for (const text of warnings) this.#options.emit({ kind: 'warning', ecu, text });
  }
}

const ALLOWED = { ok: true } as const;

/** Whether a step of such an ECU has no request at all. */
function asksNothing(step: EcuStep, { programming }: VehicleEcu): boolean {
  const { identify, metadata, activation } = programming;
  const oneBank = activation === 'reset';
  switch (step) {
    case 'stage':
      return oneBank && identify === 'skip';
    case 'confirm':
      return oneBank && metadata === 'skip';
    case 'commit':
      return metadata === 'skip';
    default:
      return false;
  }
}

function comparedIn(event: CampaignEvent): ('version' | 'digest')[] | undefined {
  if (event.kind !== 'verified') return undefined;
  return [
    ...(event.version === null ? [] : (['version'] as const)),
    ...(event.sha256 === null ? [] : (['digest'] as const)),
  ];
}

function encryptedOf({ file, size, sha256 }: PlanItem['download']) {
  return { file, length: size, sha256 };
}

/** What an encrypted image holds inside; empty for a plain image. */
function plainOf(stored: {
  readonly size: number;
  readonly sha256: string;
  readonly encryption: EncryptedImage | null;
}): Pick<Target, 'plain' | 'encryption'> {
  const { size, sha256, encryption } = stored;
  return encryption === null ? {} : { plain: { length: size, sha256 }, encryption };
}

function neverRead(): Promise<Uint8Array> {
  throw new Error('this step of an ECU does not read the image');
}

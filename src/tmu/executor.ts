// Does the commands of a campaign with the ports of this vehicle. Every command may come again after a restart.

import type { CampaignEvent } from '../campaign/event.ts';
import type { PlanItem } from '../campaign/plan.ts';
import type {
  Backend,
  DriverFailure,
  DriverResult,
  EcuDriver,
  HealthChecks,
  ImageSource,
  Target,
  TransferReport,
} from '../campaign/ports.ts';
import type { CampaignCommand, CampaignState } from '../campaign/state.ts';
import type { Clock } from '../core/clock.ts';
import { assertNever } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import type { EncryptedImage } from '../trust/director.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { Approvals } from './approvals.ts';
import { type DownloadLimits, downloadImage } from './download.ts';
import type { ImageStore, StoredImage } from './image-store.ts';
import type { Memory } from './memory.ts';
import { hasOneBank } from './ranks.ts';
import type { TmuListener } from './tmu-event.ts';
import type { TrafficMeter } from './traffic-meter.ts';
import type { TrustedSource } from './trusted-source.ts';

export interface ExecutorOptions {
  readonly backend: Backend;
  readonly trusted: TrustedSource;
  readonly driverFor: (ecu: string) => EcuDriver;
  readonly approvals: Approvals;
  readonly vehicle: Vehicle;
  readonly images: ImageStore;
  readonly memory: Memory;
  readonly traffic: TrafficMeter;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: TmuListener;
  readonly downloadLimits: DownloadLimits | undefined;
}

type Commands = Exclude<CampaignCommand, { kind: 'check' } | { kind: 'finish' }>;
type EcuCommand = Extract<CampaignCommand, { kind: 'ecu' }>;

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
  ): Promise<CampaignEvent | undefined> {
    if (!('campaign' in state)) return undefined;
    switch (command.kind) {
      case 'download':
        return this.#download(command.item, signal);
      case 'ask':
        return this.#options.approvals.ask(command.phase, state.campaign, signal);
      case 'check-gate':
        return this.#options.approvals.gate(command.gate, state.campaign, signal);
      case 'ecu':
        return this.#ecu(command, signal);
      default:
        return assertNever(command);
    }
  }

  /** Raises the counter of an ECU that a successful campaign has left owing; see `EcuDriver.commit`. */
  async commit(item: PlanItem, signal: AbortSignal): Promise<DriverResult<void>> {
    const { ecu, download } = item;
    const { emit, driverFor } = this.#options;
    const image: ImageSource = { length: download.size, sha256: download.sha256, read: neverRead };
    emit({ kind: 'ecu-step', ecu, step: 'commit', status: 'begun' });
    const done = await driverFor(ecu).commit(this.#targetOf(item, image, signal), signal);
    if (done.ok) {
      this.#warn(ecu, done.warnings);
      emit({ kind: 'ecu-step', ecu, step: 'commit', status: 'done' });
    } else if (!signal.aborted) {
      emit({ kind: 'ecu-step', ecu, step: 'commit', status: 'failed', reason: done.reason });
    }
    return done;
  }

  async #download(item: PlanItem, signal: AbortSignal): Promise<CampaignEvent | undefined> {
    const { backend, images, traffic, clock, random, emit, downloadLimits } = this.#options;
    const { ecu, download } = item;
    const { file, sha256, size } = download;
    const result = await downloadImage({
      backend,
      images,
      release: download,
      traffic,
      clock,
      random,
      signal,
      ...(downloadLimits === undefined ? {} : { limits: downloadLimits }),
      onProgress: (received) =>
        emit({ kind: 'download-progress', ecu, file, received, total: size }),
      onRetry: (retry) => emit({ kind: 'retry', doing: `downloading ${file}`, ...retry }),
    });
    switch (result.kind) {
      case 'done':
        return { kind: 'downloaded', sha256 };
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

  async #ecu(command: EcuCommand, signal: AbortSignal): Promise<CampaignEvent | undefined> {
    const { emit } = this.#options;
    const { step, item } = command;
    const { ecu } = item;
    emit({ kind: 'ecu-step', ecu, step, status: 'begun' });
    const event = await this.#step(command, signal);
    if (event?.kind === 'step-failed') {
      if (event.code === 'INTERRUPTED' || signal.aborted) return undefined;
      emit({ kind: 'ecu-step', ecu, step, status: 'failed', reason: event.reason });
    } else if (event !== undefined) {
      emit({ kind: 'ecu-step', ecu, step, status: 'done' });
    }
    return event;
  }

  async #step(command: EcuCommand, signal: AbortSignal): Promise<CampaignEvent | undefined> {
    const { driverFor, emit } = this.#options;
    const { step, item, touched } = command;
    const { ecu, to, download } = item;
    const driver = driverFor(ecu);
    const named: ImageSource = { length: download.size, sha256: download.sha256, read: neverRead };
    const target = this.#targetOf(item, named, signal);
    const hooks = {
      signal,
      progress: ({ sent, total }: { sent: number; total: number }) =>
        emit({ kind: 'ecu-progress', ecu, sent, total }),
    };
    switch (step) {
      case 'stage':
      case 'activate': {
        const image = await this.#options.images.open(download.sha256, download.size);
        // A two-bank ECU holds the image itself by the time of its activation.
        const isNeeded = step === 'stage' || this.#hasOneBank(ecu);
        if (image === undefined && isNeeded) {
          return {
            kind: 'step-failed',
            step,
            ecu,
            code: 'IMAGE_INVALID',
            reason: `the image ${download.sha256} for ${ecu} is not in the store any more: it is fetched again by the next cycle`,
            transient: false,
          };
        }
        return using(image, async () => {
          const wanted = isNeeded ? await this.#stillWanted(item, signal) : ALLOWED;
          if (!wanted.ok) return this.#failed(step, ecu, wanted);
          const done = await driver[step]({ ...target, image: image ?? named }, hooks);
          if (!done.ok) return this.#failed(step, ecu, done);
          const transfer = this.#transfer(ecu, done);
          if (step === 'activate') return { kind: 'activated', ecu, ...transfer };
          const { dtcs } = done.value;
          return {
            kind: 'staged',
            ecu,
            ...transfer,
            ...(dtcs === undefined ? {} : { dtcs: [...dtcs] }),
          };
        });
      }
      case 'verify': {
        const done = await driver.verify(target, this.#checksOf(command), signal);
        if (!done.ok) return this.#failed(step, ecu, done);
        this.#warn(ecu, done.warnings);
        const { version, sha256 } = done.value;
        return { kind: 'verified', ecu, version: version ?? null, sha256: sha256 ?? null };
      }
      case 'confirm': {
        const done = await driver.confirm(target, signal);
        return done.ok ? { kind: 'confirmed', ecu } : this.#failed(step, ecu, done);
      }
      case 'commit': {
        const done = await driver.commit(target, signal);
        if (!done.ok) return this.#failed(step, ecu, done);
        this.#warn(ecu, done.warnings);
        return { kind: 'committed', ecu };
      }
      case 'roll-back': {
        const kept = this.#options.memory.content.images[ecu];
        const previous =
          kept === undefined || kept.sha256 === to.sha256
            ? undefined
            : await this.#options.images.open(kept.download.sha256, kept.download.size);
        return using(previous, async () => {
          const done = await driver.rollback(
            {
              target,
              previous: {
                version: item.from.version,
                ...(previous === undefined ? {} : { image: previous, ...plainOf(kept!) }),
              },
              touched,
            },
            hooks,
          );
          if (!done.ok) return this.#failed(step, ecu, done);
          this.#warn(ecu, done.warnings);
          const { version, sha256 } = done.value;
          return { kind: 'rolled-back', ecu, version: version ?? null, sha256: sha256 ?? null };
        });
      }
      default:
        return assertNever(step);
    }
  }

  #targetOf(item: PlanItem, image: ImageSource, signal: AbortSignal): Target {
    const { ecu, to, download, encryption } = item;
    const { trusted } = this.#options;
    return {
      version: to.version,
      image,
      ...(encryption === null
        ? {}
        : plainOf({ ...to, encryption: { ...encryptedOf(download), method: encryption } })),
      ...(this.#verifies(ecu) ? { metadata: (state) => trusted.bundle(ecu, state, signal) } : {}),
    };
  }

  /** An ECU that verifies nothing gets only what the Primary can still verify at this moment (Uptane 5.4.4). */
  async #stillWanted(
    item: PlanItem,
    signal: AbortSignal,
  ): Promise<{ readonly ok: true } | DriverFailure> {
    if (this.#verifies(item.ecu)) return ALLOWED;
    return this.#options.trusted.stands(item, signal);
  }

  #verifies(ecu: string): boolean {
    return findEcu(this.#options.vehicle, ecu).programming.metadata !== 'skip';
  }

  #checksOf({ knownDtcs }: EcuCommand): HealthChecks {
    const { troubleCodes, heartbeatSeconds } = this.#options.vehicle.policy.diagnostics;
    return {
      knownDtcs: troubleCodes === 'compare' ? knownDtcs : undefined,
      heartbeatMs: heartbeatSeconds * 1000,
    };
  }

  #hasOneBank(ecu: string): boolean {
    return hasOneBank(findEcu(this.#options.vehicle, ecu));
  }

  #transfer(
    ecu: string,
    done: Extract<DriverResult<TransferReport>, { ok: true }>,
  ): { bytes: number; seconds: number; resumedAt?: number } {
    this.#warn(ecu, done.warnings);
    const { bytes, transferMs, resumedAt } = done.value;
    return {
      bytes,
      seconds: transferMs / 1000,
      ...(resumedAt === undefined ? {} : { resumedAt }),
    };
  }

  #warn(ecu: string, warnings: readonly string[]): void {
    for (const text of warnings) this.#options.emit({ kind: 'warning', ecu, text });
  }

  #failed(step: EcuCommand['step'], ecu: string, done: DriverFailure): CampaignEvent {
    const { code, reason, transient, attack } = done;
    return {
      kind: 'step-failed',
      step,
      ecu,
      code,
      reason,
      transient,
      ...(attack === undefined ? {} : { attack }),
    };
  }
}

const ALLOWED = { ok: true } as const;

function encryptedOf({ file, size, sha256 }: PlanItem['download']) {
  return { file, length: size, sha256 };
}

/** What an encrypted image is inside; nothing for a plain one. */
function plainOf(stored: {
  readonly size: number;
  readonly sha256: string;
  readonly encryption: EncryptedImage | null;
}): Pick<Target, 'plain' | 'encryption'> {
  const { size, sha256, encryption } = stored;
  return encryption === null ? {} : { plain: { length: size, sha256 }, encryption };
}

async function using<T>(image: StoredImage | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await image?.close();
  }
}

function neverRead(): Promise<Uint8Array> {
  throw new Error('this step of an ECU does not read the image');
}

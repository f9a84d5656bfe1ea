// The client of a small device: checks for a package, downloads, verifies, tries it. A failure keeps the running image.

import type { PackageKey } from '../contract/chunked/package-cipher.ts';
import {
  type CheckAnswer,
  PACKAGE_WITHDRAWN,
  TRANSFER_ENDED,
  TRANSFER_UNKNOWN,
  type TransferPace,
} from '../contract/chunked/protocol.ts';
import { sleep } from '../core/clock.ts';
import { defined } from '../core/optional.ts';
import { jitter, type Random } from '../core/random.ts';
import type { SealedClient } from '../link/sealed-client.ts';
import type { Ended, SmallDevice } from './device.ts';
import type { Answered, DeviceBackend } from './device-backend.ts';
import type { DeviceReport, DeviceTransfer } from './device-state.ts';
import { fetchImage } from './fetch-image.ts';
import { judgeStaged } from './install.ts';
import { checkRequestOf, offerFault, usableBytes } from './offer.ts';
import { type StagedChunks, Staging } from './staging.ts';
import { reportOf, settle } from './trial.ts';

export const CHECK_INTERVAL_MS = 6 * 60 * 60_000;
/** First pause after a transient failure; it doubles each time, up to the interval. */
const FIRST_AGAIN_MS = 60_000;
const JITTER = 0.1;
/** Number of downloads per check when the downloaded image is wrong. */
const ROUNDS = 2;
/** Codes of the backend for a transfer that has ended. */
const OVER = [TRANSFER_ENDED, TRANSFER_UNKNOWN];

export interface DeviceClientOptions {
  readonly device: SmallDevice;
  readonly backend: DeviceBackend;
  readonly sealed: SealedClient;
  readonly random: Random;
  /** Largest chunk that the device takes, in bytes. */
  readonly chunkBytes: number;
  readonly checkIntervalMs?: number;
  /** Free working memory for the software in bytes. */
  readonly freeBytes: () => number;
}

export type CycleEnd =
  | (Ended & { readonly transient?: boolean })
  | { readonly outcome: 'interrupted' };

/** The end of a cycle. `anew`: another round in the same check can help. */
interface Stop {
  readonly end: CycleEnd;
  readonly anew?: boolean;
}

export class DeviceClient {
  readonly #options: DeviceClientOptions;

  constructor(options: DeviceClientOptions) {
    this.#options = options;
  }

  /** Boots after power-on, and finishes an update that was being applied. Undefined where there was none. */
  async start(signal: AbortSignal): Promise<CycleEnd | undefined> {
    const { device } = this.#options;
    await device.boot();
    const applying = device.file.state === 'applying' && device.file.transfer !== null;
    const end = applying ? this.#tell(await this.#settle(signal)) : undefined;
    device.resumeWork();
    return end;
  }

  /** Makes one check and the update that follows. `again`: also a package from which this device has rolled back. */
  async runOnce(signal: AbortSignal, again = false): Promise<CycleEnd> {
    const { device } = this.#options;
    for (let round = 1; ; round++) {
      const { end, anew } = await this.#cycle(signal, again);
      if (anew === true && round < ROUNDS && !signal.aborted) continue;
      device.resumeWork();
      return this.#tell(end);
    }
  }

  /** Checks repeatedly until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { device, random, checkIntervalMs = CHECK_INTERVAL_MS } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      const end = await this.runOnce(signal);
      const isTransient = end.outcome === 'failed' && end.transient === true;
      failures = isTransient ? failures + 1 : 0;
      const soonMs = FIRST_AGAIN_MS * 2 ** Math.min(failures - 1, 16);
      const inMs = jitter(
        random,
        isTransient ? Math.min(soonMs, checkIntervalMs) : checkIntervalMs,
        JITTER,
      );
      if (signal.aborted) return;
      device.onEvent({ kind: 'next-check', inMs: Math.round(inMs) });
      await sleep(device.clock, 'next-check', inMs, signal);
    }
  }

  async #cycle(signal: AbortSignal, again: boolean): Promise<Stop> {
    const { device, backend, chunkBytes } = this.#options;
    if (['completed', 'rollback'].includes(device.file.state)) await device.enter('idle');
    await device.forgetLeft();
    await device.enter('checking');
    const unheard = await this.#deliver(signal);
    if (unheard !== undefined) return this.#stopped(unheard);
    const { transfer } = device.file;
    const held = transfer === null ? undefined : await this.#held(transfer);
    const request = checkRequestOf(device, held, chunkBytes, again);
    const answer = await backend.check(request, signal);
    if (answer.kind !== 'value') return this.#stopped(answer);
    return this.#offered(answer.value, held, signal, again);
  }

  async #offered(
    answer: CheckAnswer,
    held: StagedChunks | undefined,
    signal: AbortSignal,
    again: boolean,
  ): Promise<Stop> {
    const { device, chunkBytes } = this.#options;
    if (answer.kind === 'none') {
      const why = {
        'up-to-date': undefined,
        'no-package': 'there is no package for this model',
        'rolled-back':
          'this device has rolled back from the newest package (--again tries it once more)',
      }[answer.why];
      return this.#nothing(why);
    }
    const { transfer: facts, package: signed } = answer;
    if (signed === null) {
      return this.#failed('FOREIGN_ANSWER', 'the backend offers a file and no package', true);
    }
    const transfer: DeviceTransfer = {
      id: facts.id,
      package: signed,
      length: facts.image.length,
      sha256: facts.image.sha256,
      chunkBytes: facts.chunkBytes,
    };
    const fault = offerFault(signed, facts, device.facts, chunkBytes);
    if (fault !== undefined) {
      const report = reportOf(device, transfer, { outcome: 'failed', ...fault });
      const stop = await this.#failed(fault.code, fault.reason, false, { transfer: null, report });
      await this.#deliver(signal);
      return stop;
    }
    const { manifest } = signed;
    if (manifest.sha256 === device.file.rolledBack && !again) {
      return this.#nothing(`this device has rolled back from ${manifest.version}`);
    }
    const resumedAt = usableBytes(facts, device.file.transfer, held);
    // Clear the old bytes before the old facts, so that a power cut in between loses no useful data.
    if (resumedAt === 0) await this.#withStaging(transfer, (staging) => staging.clear());
    await device.enter('downloading', { transfer });
    device.pauseWork();
    const { version, counter } = manifest;
    const { length, chunkBytes: size } = transfer;
    device.onEvent({ kind: 'package', version, counter, length, chunkBytes: size, resumedAt });
    return this.#fetch(transfer, resumedAt, facts.pace, signal);
  }

  async #fetch(
    transfer: DeviceTransfer,
    held: number,
    pace: TransferPace | undefined,
    signal: AbortSignal,
  ): Promise<Stop> {
    const { device, sealed, random } = this.#options;
    const { clock, memory, onEvent } = device;
    const fetched = await this.#withStaging(transfer, (staging) =>
      fetchImage({
        client: sealed,
        clock,
        random,
        memory,
        staging,
        transfer,
        held,
        pace,
        signal,
        onEvent,
      }),
    );
    if (fetched.kind !== 'complete') return this.#stopped(fetched);
    return this.#verify(transfer, signal);
  }

  async #verify(transfer: DeviceTransfer, signal: AbortSignal): Promise<Stop> {
    const { device, backend } = this.#options;
    const { memory } = device;
    const { id, sha256, package: signed } = transfer;
    await device.enter('verifying');
    const checked = await this.#withStaging(transfer, (staging) =>
      judgeStaged({ manifest: signed.manifest, sha256, to: this.#packageKey(), staging, memory }),
    );
    const verdict = checked.ok
      ? { result: 'ok' as const }
      : { result: 'failed' as const, code: checked.code, reason: checked.reason.slice(0, 500) };
    const answer = await backend.verify(
      { transfer: id, sha256: checked.sha256, ...verdict },
      signal,
    );
    const isWrong = !checked.ok || (answer.kind === 'value' && answer.value.next === 'discard');
    if (isWrong) {
      await this.#withStaging(transfer, (staging) => staging.clear());
      const why = answer.kind === 'value' ? answer.value.reason : undefined;
      const { code, reason } = checked.ok
        ? { code: 'DISCARDED', reason: why ?? 'the backend does not agree with what is stored' }
        : checked;
      const stop = await this.#failed(code, reason, true, { transfer: null });
      return { ...stop, anew: true };
    }
    if (answer.kind !== 'value') return this.#stopped(answer);
    await device.enter('applying');
    const end = await this.#settle(signal);
    return { end };
  }

  /** Finishes the state `applying`, and reports the result to the backend. */
  async #settle(signal: AbortSignal): Promise<CycleEnd> {
    const { device, backend, freeBytes } = this.#options;
    const to = () => this.#packageKey();
    const end = await settle({ device, backend, to, freeBytes }, signal);
    // A report that fails now is sent with the next check.
    if (end.outcome !== 'interrupted') await this.#deliver(signal);
    if (['completed', 'rollback'].includes(device.file.state)) await device.enter('idle');
    return end;
  }

  /** Sends the pending report; undefined when no report is left. */
  async #deliver(
    signal: AbortSignal,
  ): Promise<Exclude<Answered<never>, { readonly kind: 'value' }> | undefined> {
    const { device, backend } = this.#options;
    const { report } = device.file;
    if (report === null) return undefined;
    const answer = await backend.complete(report, signal);
    // When the backend itself says that it does not know the transfer, it does not need the report.
    const isUnwanted =
      answer.kind === 'failed' &&
      answer.sealed === true &&
      /^HTTP_4(?:00|04|09|10|22)$/.test(answer.code);
    if (answer.kind !== 'value' && !isUnwanted) return answer;
    await device.change({ report: null });
    return undefined;
  }

  #packageKey(): PackageKey {
    const { device, sealed } = this.#options;
    return { serial: device.identity.serial, deviceKey: sealed.keys.current };
  }

  #held(transfer: DeviceTransfer): Promise<StagedChunks> {
    return this.#withStaging(transfer, (staging) => staging.held());
  }

  #tell(end: CycleEnd): CycleEnd {
    const { device } = this.#options;
    if (end.outcome === 'interrupted') return end;
    const { peakBytes, capacity: capacityBytes } = device.memory;
    const { outcome, code, reason } = end;
    device.onEvent({
      kind: 'outcome',
      outcome,
      version: device.version,
      ...defined({ code, reason }),
      peakBytes,
      capacityBytes,
    });
    return end;
  }

  async #withStaging<T>(transfer: DeviceTransfer, work: (staging: Staging) => Promise<T>) {
    const { storage, memory } = this.#options.device;
    const staging = await Staging.open(storage, transfer, memory);
    try {
      return await work(staging);
    } finally {
      await staging.close();
    }
  }

  async #nothing(reason: string | undefined): Promise<Stop> {
    const { device } = this.#options;
    const last = device.lastOf({ outcome: 'up-to-date', reason: reason ?? null });
    await device.enter('idle', { transfer: null, last });
    const ended = { outcome: 'up-to-date' as const };
    return { end: reason === undefined ? ended : { ...ended, reason } };
  }

  /** The end of a cycle after a failed or interrupted request; downloaded data is kept. */
  async #stopped(failure: Exclude<Answered<never>, { readonly kind: 'value' }>): Promise<Stop> {
    if (failure.kind === 'interrupted') return { end: { outcome: 'interrupted' } };
    const { device } = this.#options;
    const { transfer } = device.file;
    const { code, reason, transient, sealed } = failure;
    const isOver = sealed === true && OVER.some((each) => reason.includes(each));
    if (transfer !== null && sealed === true && reason.includes(PACKAGE_WITHDRAWN)) {
      // The data is useless: the next check gets another package, or the answer that the device is up to date.
      await this.#withStaging(transfer, (staging) => staging.clear());
      device.onEvent({ kind: 'trouble', reason });
      const stop = await this.#failed(PACKAGE_WITHDRAWN, reason, true, { transfer: null });
      return { ...stop, anew: true };
    }
    if (transfer === null || !isOver) {
      return this.#failed(code, reason, transient);
    }
    // Keep the data for the next transfer, which gets another id.
    return this.#failed(TRANSFER_ENDED, reason, true, { transfer: { ...transfer, id: '' } });
  }

  async #failed(
    code: string,
    reason: string,
    transient: boolean,
    changes: { transfer?: DeviceTransfer | null; report?: DeviceReport } = {},
  ): Promise<Stop> {
    const { device } = this.#options;
    const ended = { outcome: 'failed', code, reason: reason.slice(0, 500) } as const;
    const last = device.lastOf(ended);
    await device.enter('error', { ...changes, last, code, reason: ended.reason });
    return { end: { ...ended, transient } };
  }
}

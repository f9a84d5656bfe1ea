// The device itself: its memory, its files, what it runs, its normal work. What it does about updates is the client's.

import type { PackageRecipient } from '../contract/chunked/package.ts';
import type { Clock } from '../core/clock.ts';
import { DurableFile, jsonFile } from '../core/durable-file.ts';
import { InputError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import type { Storage } from '../core/storage.ts';
import { Bootloader, readBootRecord, type StartedSoftware } from './boot.ts';
import { confirmed } from './boot-record.ts';
import type { DeviceEvent, DeviceOutcome } from './device-event.ts';
import {
  type DeviceFile,
  type DeviceStateName,
  deviceFileSchema,
  NEW_DEVICE,
  requireWay,
} from './device-state.ts';
import { type DeviceFaults, DevicePowerCut } from './faults.ts';
import { readIdentity, type SmallDeviceIdentity } from './identity.ts';
import { NormalWork } from './normal-work.ts';
import { WorkingMemory } from './working-memory.ts';

export const DEVICE_FILE = 'device.json';

export interface DeviceOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly memory?: WorkingMemory;
  readonly faults?: DeviceFaults;
  readonly onEvent?: (event: DeviceEvent) => void;
}

/** How an update, or the question for one, has ended. */
export interface Ended {
  readonly outcome: DeviceOutcome;
  readonly code?: string;
  readonly reason?: string;
}

export class SmallDevice {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly memory: WorkingMemory;
  readonly faults: DeviceFaults;
  readonly identity: SmallDeviceIdentity;
  readonly bootloader: Bootloader;
  readonly work: NormalWork;
  readonly onEvent: (event: DeviceEvent) => void;
  readonly #releaseKey: PackageRecipient['releaseKey'];
  readonly #file: DurableFile<DeviceFile>;
  #running: StartedSoftware | undefined;

  private constructor(
    options: DeviceOptions,
    known: NonNullable<Awaited<ReturnType<typeof readIdentity>>>,
    bootRecord: NonNullable<Awaited<ReturnType<typeof readBootRecord>>>,
    file: DurableFile<DeviceFile>,
  ) {
    const { storage, clock, memory = new WorkingMemory(), faults = {} } = options;
    this.storage = storage;
    this.clock = clock;
    this.memory = memory;
    this.faults = faults;
    this.identity = known.identity;
    this.#releaseKey = known.releaseKey;
    this.onEvent = options.onEvent ?? (() => {});
    this.#file = file;
    this.work = new NormalWork(clock, file.content.beats);
    this.bootloader = new Bootloader(
      {
        storage,
        memory,
        facts: { model: known.identity.model, releaseKey: known.releaseKey },
        onEvent: this.onEvent,
        refuseNew: faults.refuseBoot === true,
      },
      bootRecord,
    );
  }

  /** Powered off still. Throws InputError for a folder in which no device was enrolled, StorageError. */
  static async open(options: DeviceOptions): Promise<SmallDevice> {
    const { storage, onEvent } = options;
    const known = await readIdentity(storage);
    if (known === undefined) {
      throw new InputError(
        storage.location,
        'there is no device in this folder: run "can-ota device enroll" first',
      );
    }
    const bootRecord = await readBootRecord(storage);
    if (bootRecord === undefined) {
      throw new InputError(
        storage.location,
        'the boot record is missing or damaged, nothing says what the banks hold: enrol the device again in an empty folder',
      );
    }
    const { file, state } = await DurableFile.open(
      storage,
      DEVICE_FILE,
      jsonFile(deviceFileSchema),
      NEW_DEVICE,
    );
    if (typeof state === 'object') {
      // What it says can all be found out again: from the boot record, and from the backend.
      onEvent?.({
        kind: 'trouble',
        reason: `${DEVICE_FILE} is started again with defaults: ${state.damaged}`,
      });
    }
    return new SmallDevice(options, known, bootRecord, file);
  }

  get file(): DeviceFile {
    return this.#file.content;
  }

  /** Undefined in recovery. */
  get running(): StartedSoftware | undefined {
    return this.#running;
  }

  get version(): string {
    return this.#running?.version ?? '';
  }

  /** What a package is checked against. */
  get facts(): PackageRecipient {
    const { counter } = this.bootloader.record;
    return { model: this.identity.model, counter, releaseKey: this.#releaseKey };
  }

  /** Power-on, and any reset after it. */
  async boot(): Promise<void> {
    this.pauseWork();
    this.#running = await this.bootloader.boot();
  }

  /** Durable when it resolves: a power cut finds the state before or this one. */
  async enter(state: DeviceStateName, changes: Partial<DeviceFile> = {}): Promise<void> {
    requireWay(this.file.state, state);
    const next: DeviceFile = {
      ...this.file,
      code: null,
      reason: null,
      ...changes,
      state,
      since: this.now(),
      beats: this.work.beats,
      peakBytes: Math.max(this.file.peakBytes, this.memory.peakBytes),
    };
    await this.#store(next);
    const { code, reason } = next;
    this.onEvent({
      kind: 'state',
      state,
      ...defined({ code: code ?? undefined, reason: reason ?? undefined }),
    });
    if (this.faults.powerCut === state) throw new DevicePowerCut(state);
  }

  /** Without going anywhere. */
  async change(changes: Partial<Pick<DeviceFile, 'report' | 'transfer'>>): Promise<void> {
    await this.#store({ ...this.file, ...changes, beats: this.work.beats });
  }

  /** What was left once may be tried again when it is asked for: then the record speaks of that try. */
  async forgetLeft(): Promise<void> {
    const { record } = this.bootloader;
    if (record.left !== null) await this.bootloader.store({ ...record, left: null });
  }

  /** Nothing but the update until it has ended. */
  pauseWork(): void {
    if (this.work.pause()) this.#tellWork();
  }

  /** On trial and in recovery there is no work to be done. */
  resumeWork(): void {
    if (this.#running === undefined || this.#running.trial) return;
    if (this.work.resume()) this.#tellWork();
  }

  /** ISO 8601 */
  now(): string {
    return new Date(this.clock.wallMs()).toISOString();
  }

  /** For `last` of the file. */
  lastOf({
    outcome,
    code = null,
    reason = null,
  }: {
    outcome: DeviceOutcome;
    code?: string | null;
    reason?: string | null;
  }): NonNullable<DeviceFile['last']> {
    return { at: this.now(), outcome, version: this.version, code, reason };
  }

  /** The trial has ended well; nothing is started again for that. */
  async confirm(): Promise<void> {
    await this.bootloader.store(confirmed(this.bootloader.record));
    if (this.#running !== undefined) this.#running = { ...this.#running, trial: false };
  }

  async #store(file: DeviceFile): Promise<void> {
    await this.#file.update(() => file);
  }

  #tellWork(): void {
    this.onEvent({ kind: 'work', running: this.work.running, beats: this.work.beats });
  }
}

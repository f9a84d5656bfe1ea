// The device: its memory, files, running software and normal work. The client makes its updates.

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

/** The outcome of an update or of a check. */
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

  /** Opens the device, still powered off. Throws InputError for a folder without an enrolled device, StorageError. */
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
        'the boot record is missing or damaged, so the content of the banks is unknown: enrol the device again in an empty folder',
      );
    }
    const { file, state } = await DurableFile.open(
      storage,
      DEVICE_FILE,
      jsonFile(deviceFileSchema),
      NEW_DEVICE,
    );
    if (typeof state === 'object') {
      // The boot record and the backend can supply all lost facts again.
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

  /** The running software; undefined in recovery. */
  get running(): StartedSoftware | undefined {
    return this.#running;
  }

  get version(): string {
    return this.#running?.version ?? '';
  }

  /** The facts that a package must match. */
  get facts(): PackageRecipient {
    const { counter } = this.bootloader.record;
    return { model: this.identity.model, counter, releaseKey: this.#releaseKey };
  }

  /** Boots, after power-on or a reset. */
  async boot(): Promise<void> {
    this.pauseWork();
    this.#running = await this.bootloader.boot();
  }

  /** Enters a state; durable when it resolves. A power cut leaves the previous state or this one. */
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

  /** Changes data without a change of state. */
  async change(changes: Partial<Pick<DeviceFile, 'report' | 'transfer'>>): Promise<void> {
    await this.#store({ ...this.file, ...changes, beats: this.work.beats });
  }

  /** Forgets the image from which the device fell back, so that it can be tried again on request. */
  async forgetLeft(): Promise<void> {
    const { record } = this.bootloader;
    if (record.left !== null) await this.bootloader.store({ ...record, left: null });
  }

  /** Pauses the normal work for the update. */
  pauseWork(): void {
    if (this.work.pause()) this.#tellWork();
  }

  /** Resumes the normal work, except on trial and in recovery. */
  resumeWork(): void {
    if (this.#running === undefined || this.#running.trial) return;
    if (this.work.resume()) this.#tellWork();
  }

  /** Present time, ISO 8601. */
  now(): string {
    return new Date(this.clock.wallMs()).toISOString();
  }

  /** Makes the field `last` of the file. */
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

  /** Confirms the trial; it needs no restart. */
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

// A simulated board with OpenBLT: a boot loader that listens shortly after power-on, and an application behind it.

import { type CanBus, exactFilter, type Subscription } from '../../src/bus/can-bus.ts';
import { classicFrame } from '../../src/bus/can-frame.ts';
import { byteAt, uintToBytes } from '../../src/core/bytes.ts';
import { type Clock, sleep, type Timer } from '../../src/core/clock.ts';
import { InputError } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/logger.ts';
import type { Random } from '../../src/core/random.ts';
import type { Storage } from '../../src/core/storage.ts';
import type { MemoryImage } from '../../src/image/memory-image.ts';
import { FIRST_LINE_BYTES, versionInImage } from '../../src/uds/first-image.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import { XcpError } from '../../src/xcp/errors.ts';
import { type XcpDevice, XcpSlave, type XcpSlaveOptions } from '../../src/xcp/slave.ts';
import type { EcuFaults } from '../bootloader/faults.ts';
import { BoardFlash } from './board-flash.ts';
import { boardLock } from './board-lock.ts';

export interface OpenbltBoardOptions {
  readonly ecu: VehicleEcu;
  readonly bus: CanBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly storage: Storage;
  readonly logger: Logger;
  /** What a new board runs. */
  readonly factoryImage: MemoryImage;
  /** `failWriteAt`, `losePowerAfter`, `refuseNewImage`, `silent`, `slowMs` and `stuckAfter`. */
  readonly faults?: EcuFaults;
  /** UPLOAD is compiled in; true by default. */
  readonly hasUpload?: boolean;
  /** The application restarts into the boot loader when it hears CONNECT, as OpenBLT's demos do; true by default. */
  readonly leavesOnConnect?: boolean;
  readonly byteOrder?: XcpSlaveOptions['byteOrder'];
  /** Where the boot loader puts its checksum; missing: as `programming.openblt.checksum` says, or beside the image. */
  readonly checksumAt?: number;
  /** How long the boot loader listens after a reset; OpenBLT's default. */
  readonly listenMs?: number;
  readonly onEvent?: (event: BoardEvent) => void;
}

export type BoardEvent =
  | { readonly kind: 'boot-loader'; readonly reason: string }
  | { readonly kind: 'application'; readonly version: string | null }
  | { readonly kind: 'erase'; readonly address: number; readonly size: number }
  | { readonly kind: 'programmed'; readonly bytes: number }
  | { readonly kind: 'power-lost' }
  | { readonly kind: 'failed'; readonly reason: string };

const LISTEN_MS = 500;
/** From a reset until the boot loader listens. */
const START_MS = 20;
/** One flash sector takes so long to erase, about as on an STM32F1. */
const ERASE_MS = 20;
const SAVE_EVERY_BYTES = 4096;
const CONNECT = 0xff;

export class OpenbltBoard {
  readonly #options: OpenbltBoardOptions;
  readonly #flash: BoardFlash;
  readonly #subscription: Subscription;
  #slave: XcpSlave;
  #mode: 'off' | 'starting' | 'boot-loader' | 'application' = 'off';
  #timer: Timer | undefined;
  /** Commands are carried out one after the other. */
  #work: Promise<void> = Promise.resolve();
  /** Grows with each reset: what was begun before it does not answer any more. */
  #life = 0;
  #programmed = 0;
  #unsaved = 0;
  #commands = 0;
  readonly #stopped = Promise.withResolvers<'power-lost' | 'failed'>();

  private constructor(options: OpenbltBoardOptions, flash: BoardFlash) {
    this.#options = options;
    this.#flash = flash;
    this.#slave = this.#newSlave();
    const { address } = options.ecu;
    if (address.mode !== 'normal')
      throw new InputError(options.ecu.name, 'needs normal addressing');
    this.#subscription = options.bus.subscribe(
      [exactFilter(address.request, address.extended)],
      ({ frame }) => this.#hear(frame.data),
    );
  }

  /** Throws InputError for a lock that cannot be simulated, and StorageError. */
  static async start(options: OpenbltBoardOptions): Promise<OpenbltBoard> {
    const { ecu, storage, factoryImage } = options;
    const checksumAt = options.checksumAt ?? ecu.programming.openblt.checksum?.address;
    const flash = await BoardFlash.open(ecu, storage, factoryImage, checksumAt);
    const board = new OpenbltBoard(options, flash);
    board.#reset();
    return board;
  }

  /** Resolves when the board has lost its power, or its folder cannot be used. */
  get stopped(): Promise<'power-lost' | 'failed'> {
    return this.#stopped.promise;
  }

  get mode(): 'off' | 'starting' | 'boot-loader' | 'application' {
    return this.#mode;
  }

  /** What the application would say; undefined: it does not run. */
  get version(): string | undefined {
    return this.#mode === 'application' ? this.#versionInFlash() : undefined;
  }

  read(address: number, size: number): Uint8Array {
    return this.#flash.read(address, size);
  }

  /** The supply comes back, or is switched off and on. */
  powerOn(): void {
    this.#reset();
  }

  close(): void {
    this.#life++;
    this.#mode = 'off';
    this.#timer?.cancel();
    this.#subscription.close();
  }

  #reset(): void {
    this.#life++;
    this.#mode = 'starting';
    this.#slave = this.#newSlave();
    this.#after('boot', START_MS, () => this.#listen());
  }

  #listen(): void {
    const { faults, listenMs = LISTEN_MS } = this.#options;
    this.#mode = 'boot-loader';
    const canStart = this.#flash.isComplete && faults?.refuseNewImage !== true;
    if (!canStart) {
      this.#tell({ kind: 'boot-loader', reason: 'the checksum of the application is wrong' });
      return;
    }
    this.#tell({ kind: 'boot-loader', reason: `it listens for ${listenMs} ms` });
    this.#after('listen', listenMs, () => {
      if (!this.#slave.connected) this.#runApplication();
    });
  }

  #runApplication(): void {
    this.#mode = 'application';
    this.#tell({ kind: 'application', version: this.#versionInFlash() ?? null });
    const { alive } = this.#options.ecu.programming.openblt;
    if (alive === undefined) return;
    let count = 0;
    const send = (): void => {
      const data = uintToBytes(count++ % 0x1_0000, 2);
      this.#options.bus.send(classicFrame(alive.id, data, alive.extended));
      this.#after('alive', alive.everyMs / 4, send);
    };
    send();
  }

  #hear(data: Uint8Array): void {
    const { faults = {}, leavesOnConnect = true } = this.#options;
    if (faults.silent === true || data.length === 0) return;
    if (this.#mode === 'application') {
      if (leavesOnConnect && byteAt(data, 0) === CONNECT) this.#reset();
      return;
    }
    if (this.#mode !== 'boot-loader') return;
    this.#commands++;
    if (faults.stuckAfter !== undefined && this.#commands > faults.stuckAfter) return;
    const life = this.#life;
    this.#work = this.#work
      .then(() => this.#answer(data, life))
      .catch((error: unknown) => {
        this.#tell({ kind: 'failed', reason: String(error) });
        this.close();
        this.#stopped.resolve('failed');
      });
  }

  async #answer(data: Uint8Array, life: number): Promise<void> {
    const { bus, ecu, clock, faults } = this.#options;
    if (life !== this.#life) return;
    if (faults?.slowMs !== undefined) await sleep(clock, 'slow', faults.slowMs);
    const answer = await this.#slave.answer(data);
    // A reset or a loss of power in the middle of the command leaves no answer.
    if (answer === undefined || life !== this.#life || ecu.address.mode !== 'normal') return;
    bus.send(classicFrame(ecu.address.response, answer, ecu.address.extended));
  }

  #newSlave(): XcpSlave {
    const device: XcpDevice = {
      read: (address, count) => this.#upload(address, count),
      erase: (address, size) => this.#erase(address, size),
      write: (address, data) => this.#write(address, data),
      finish: () => this.#finish(),
      restart: () => this.#reset(),
    };
    const { byteOrder = 'intel', ecu, random } = this.#options;
    return new XcpSlave({ byteOrder, device, lock: boardLock(ecu, random) });
  }

  #upload(address: number, count: number): Uint8Array | number | undefined {
    if (this.#options.hasUpload === false) return undefined;
    return this.#flash.holds(address, count)
      ? this.#flash.read(address, count)
      : XcpError.accessDenied;
  }

  async #erase(address: number, size: number): Promise<number | undefined> {
    if (size === 0 || !this.#flash.holds(address, size)) return XcpError.generic;
    await sleep(this.#options.clock, 'erase', ERASE_MS);
    await this.#flash.erase(address, size);
    this.#tell({ kind: 'erase', address, size });
    return undefined;
  }

  async #write(address: number, data: Uint8Array): Promise<number | undefined> {
    const { failWriteAt, losePowerAfter } = this.#options.faults ?? {};
    const offset = address - this.#flash.start;
    if (!this.#flash.holds(address, data.length)) return XcpError.generic;
    if (failWriteAt !== undefined && offset <= failWriteAt && failWriteAt < offset + data.length) {
      return XcpError.generic;
    }
    this.#programmed += data.length;
    if (losePowerAfter !== undefined && this.#programmed > losePowerAfter) {
      this.losePower();
      return undefined;
    }
    if (!this.#flash.write(address, data)) return XcpError.generic;
    this.#unsaved += data.length;
    if (this.#unsaved >= SAVE_EVERY_BYTES) {
      this.#unsaved = 0;
      await this.#flash.save();
    }
    return undefined;
  }

  async #finish(): Promise<undefined> {
    await this.#flash.finish();
    this.#tell({ kind: 'programmed', bytes: this.#flash.programmed });
  }

  /** The board stands still until `powerOn`. */
  losePower(): void {
    this.#life++;
    this.#mode = 'off';
    this.#timer?.cancel();
    this.#tell({ kind: 'power-lost' });
    this.#stopped.resolve('power-lost');
  }

  /** The first line of the image names its version. */
  #versionInFlash(): string | undefined {
    return versionInImage(this.#flash.read(this.#flash.application, FIRST_LINE_BYTES));
  }

  #after(name: string, delayMs: number, fire: () => void): void {
    const life = this.#life;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(name, delayMs, () => {
      if (life === this.#life) fire();
    });
  }

  #tell(event: BoardEvent): void {
    this.#options.onEvent?.(event);
  }
}

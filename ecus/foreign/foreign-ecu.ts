// A simulated ECU of another make: one bank, programmed as `programming`, `memory` and `security` of its vehicle file say.

import type { CanBus } from '../../src/bus/can-bus.ts';
import { asciiBytes, bytesToUint, equalBytes } from '../../src/core/bytes.ts';
import { type Clock, sleep } from '../../src/core/clock.ts';
import type { Logger } from '../../src/core/logger.ts';
import { defined } from '../../src/core/optional.ts';
import type { Random } from '../../src/core/random.ts';
import type { Storage } from '../../src/core/storage.ts';
import type { MemoryImage } from '../../src/image/memory-image.ts';
import { reverseAddress, testerAddresses } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import { transportConfig } from '../../src/isotp/config.ts';
import { versionInImage } from '../../src/uds/first-image.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import { type Reply, UdsServer } from '../../src/uds/server.ts';
import * as ecuReset from '../../src/uds/services/ecu-reset.ts';
import { Session } from '../../src/uds/sid.ts';
import { regionsOf } from '../../src/vehicle/memory.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import { ForeignFlash } from './flash.ts';
import { ForeignProgramming } from './programming.ts';
import { foreignHandlers, foreignSecurity } from './services.ts';
import { type ForeignState, nothingDone } from './state.ts';

export interface ForeignEcuOptions {
  readonly ecu: VehicleEcu;
  readonly bus: CanBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly storage: Storage;
  readonly logger: Logger;
  /** What a new ECU runs. */
  readonly factoryImage: MemoryImage;
  /** Longest TransferData message that it takes. */
  readonly maxBlockLength: number;
  readonly bootMs?: number;
  readonly onBoot?: (version: string | undefined) => void;
}

/** Its profile says how it is programmed, and not by this project's bootloader. */
export function isOfAnotherMake({ profile, programming }: VehicleEcu): boolean {
  return profile !== undefined && programming.metadata === 'skip';
}

const RUNS_FILE = 'application.txt';
const BOOT_MS = 150;
/** Longest request: a block with its header. */
const SHORTEST_MAX_MESSAGE = 0xfff;

export class ForeignEcu {
  readonly #options: ForeignEcuOptions;
  readonly #state: ForeignState;
  readonly #programming: ForeignProgramming;
  readonly #server: UdsServer;
  readonly #channels: readonly IsoTpChannel[];
  #booting = false;

  private constructor(options: ForeignEcuOptions, state: ForeignState) {
    const { ecu, clock } = options;
    this.#options = options;
    this.#state = state;
    this.#programming = new ForeignProgramming(ecu, state, options.maxBlockLength);
    const { physical, functional } = testerAddresses(ecu.address);
    const channel = (address: typeof physical, kind: 'physical' | 'functional') =>
      new IsoTpChannel({
        ...{ bus: options.bus, clock, kind, address: reverseAddress(address) },
        config: {
          ...transportConfig(ecu),
          maxMessageLength: Math.max(SHORTEST_MAX_MESSAGE, options.maxBlockLength),
        },
      });
    const own = channel(physical, 'physical');
    const shared = functional === undefined ? undefined : channel(functional, 'functional');
    this.#channels = shared === undefined ? [own] : [own, shared];
    this.#server = new UdsServer({
      physical: own,
      ...(shared === undefined ? {} : { functional: shared }),
      clock,
      logger: options.logger,
      handlers: foreignHandlers({
        ecu,
        programming: this.#programming,
        version: () => state.version,
        session: () => this.#server.session,
        reset: (request) => this.#reset(request),
      }),
      ...defined({ security: foreignSecurity(ecu, options.random, clock.nowMs()) }),
      mayEnterSession: (session) =>
        session === Session.programming ? this.#programming.mayBegin() : undefined,
      onSession: (_from, to) => this.#entered(to),
    });
  }

  /** A new ECU runs its factory image; an old one what it had. */
  static async start(options: ForeignEcuOptions): Promise<ForeignEcu> {
    const { ecu, storage, factoryImage } = options;
    const kept = await storage.read(RUNS_FILE);
    const flash = await ForeignFlash.open(ecu.memory, storage);
    if (kept === undefined) {
      for (const { address, bytes } of factoryImage.segments) {
        flash.erase(address, bytes.length);
        flash.write(address, bytes);
      }
      await flash.save();
      await storage.replace(RUNS_FILE, asciiBytes('yes'));
    }
    const runs = kept === undefined || equalBytes(kept, asciiBytes('yes'));
    const version = runs ? versionIn(flash, ecu) : undefined;
    options.onBoot?.(version);
    return new ForeignEcu(options, { flash, version, work: nothingDone() });
  }

  /** What its application says; undefined: it stays in its bootloader. */
  get version(): string | undefined {
    return this.#state.version;
  }

  /** For those who compare. */
  read(address: number, size: number): Uint8Array {
    return this.#state.flash.read(address, size);
  }

  close(): void {
    this.#server.close();
    for (const channel of this.#channels) channel.close();
  }

  #entered(session: number): void {
    if (session === Session.default) this.#state.work = nothingDone();
  }

  #reset(request: Uint8Array): Reply {
    const wanted = ecuReset.decodeRequest(request);
    if (typeof wanted === 'number') return { nrc: wanted };
    if (this.#booting) return { nrc: Nrc.busyRepeatRequest };
    this.#booting = true;
    const boot = (): void => {
      this.#boot().catch((error: unknown) => {
        this.#options.logger.error({ ecu: this.#options.ecu.name, error }, 'does not start');
      });
    };
    return { positive: ecuReset.encodeResponse(wanted.type), afterSent: boot };
  }

  async #boot(): Promise<void> {
    const { clock, storage, ecu, bootMs = BOOT_MS, onBoot } = this.#options;
    const isNew = this.#programming.isComplete;
    const kept = this.#state.version !== undefined;
    await storage.replace(RUNS_FILE, asciiBytes(isNew || kept ? 'yes' : 'no'));
    await sleep(clock, 'boot', bootMs);
    this.#state.version = isNew || kept ? versionIn(this.#state.flash, ecu) : undefined;
    this.#state.work = nothingDone();
    this.#booting = false;
    this.#server.reset();
    onBoot?.(this.#state.version);
  }
}

function firstRegion(ecu: VehicleEcu): { readonly address: number } {
  return regionsOf(ecu.memory)[0] ?? ecu.memory;
}

/** The first line of the first region tells it; an image without one is called by its first bytes. */
function versionIn(flash: ForeignFlash, ecu: VehicleEcu): string {
  const head = flash.read(firstRegion(ecu).address, 64);
  return versionInImage(head) ?? `0.0.${bytesToUint(head.subarray(0, 4))}`;
}

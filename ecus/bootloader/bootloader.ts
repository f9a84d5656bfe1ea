// An ECU: flash, bootloader and UDS server on one bus. A reset loses everything that is not in its storage.

import type { CanBus } from '../../src/bus/can-bus.ts';
import { toHex } from '../../src/core/bytes.ts';
import { type Clock, sleep, type Timer } from '../../src/core/clock.ts';
import { describeError, InputError } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/logger.ts';
import type { Random } from '../../src/core/random.ts';
import type { Storage } from '../../src/core/storage.ts';
import { type IsoTpAddress, reverseAddress, testerAddresses } from '../../src/isotp/address.ts';
import type { IsoTpConnection } from '../../src/isotp/connection.ts';
import { UdsServer } from '../../src/uds/server.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import { NormalTraffic } from '../normal-traffic.ts';
import type { EcuProfile } from '../profile.ts';
import {
  type BootDecision,
  bankFailed,
  bankLetter,
  decideBoot,
  trialExpired,
} from './boot-record.ts';
import { type Device, type EcuEvent, NO_VERSION, type Running } from './device.ts';
import type { FactoryImage } from './factory-image.ts';
import { type EcuFaults, programGate, SELF_TEST_DTC } from './faults.ts';
import { FlashMemory, type ProgramGate } from './flash-memory.ts';
import { NvData } from './nv-data.ts';
import { Programming } from './programming.ts';
import { bootloaderRoutines, type RoutineRule, Routines } from './routines.ts';
import { seedKeyAlgorithm } from './security-key.ts';
import { securityAccess, serviceHandlers } from './services.ts';
import { storeTroubleCode } from './trouble-codes.ts';

/** Opens one end of an ISO-TP conversation, from the ECU's side. */
export type Connect = (
  address: IsoTpAddress,
  options: { readonly functional: boolean },
) => IsoTpConnection;

export interface EcuOptions {
  readonly ecu: VehicleEcu;
  readonly vin: string;
  readonly profile: EcuProfile;
  readonly connect: Connect;
  /** Where normal traffic goes; undefined: there is none. */
  readonly trafficBus: CanBus | undefined;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly faults: EcuFaults;
  /** Installed when the storage is that of a new device. */
  readonly factoryImage: FactoryImage;
  readonly onEvent: ((event: EcuEvent) => void) | undefined;
  /** Routines beyond those of the bootloader. */
  readonly routines: Readonly<Record<number, RoutineRule>>;
  /** Silence from reset to the first answer. */
  readonly bootMs: number;
  /** An unconfirmed trial falls back after this long. */
  readonly trialMs: number;
  /** Boots that a trial has. */
  readonly trialBoots: number;
  /** maxNumberOfBlockLength of 34 and 38. */
  readonly maxBlockLength: number;
}

/** Why an ECU is no more. */
export type EcuEnd = 'closed' | 'power-lost' | 'failed';

/** What runs between two resets. */
interface Life {
  readonly device: Device;
  readonly server: UdsServer | undefined;
  readonly connections: readonly IsoTpConnection[];
  readonly traffic: NormalTraffic | undefined;
  readonly trial: Timer | undefined;
}

/** Made by `Ecu.start`; ends by `close`, by a lost supply (a fault), or when its storage fails. */
export class Ecu {
  readonly #options: EcuOptions;
  readonly #listeners = new Set<(event: EcuEvent) => void>();
  /** Counts over all lives: a fault happens once. */
  readonly #gate: ProgramGate;
  #life: Life | undefined;
  #flash: FlashMemory | undefined;
  #nv: NvData | undefined;
  #bootTimer: Timer | undefined;
  #booting: Promise<void> = Promise.resolve();
  #end: EcuEnd | undefined;
  /** Ends waits when the ECU is no more. */
  readonly #ending = new AbortController();
  #resolveStopped!: (end: EcuEnd) => void;

  /** Resolves when the ECU is no more. */
  readonly stopped: Promise<EcuEnd>;

  private constructor(options: EcuOptions) {
    this.#options = options;
    this.#gate = programGate(options.faults);
    if (options.onEvent !== undefined) this.#listeners.add(options.onEvent);
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
  }

  /** Installs the factory image on a new device, boots, and resolves when requests are answered. */
  static async start(options: EcuOptions): Promise<Ecu> {
    const { factoryImage, ecu } = options;
    if (factoryImage.image.length < 1 || factoryImage.image.length > ecu.memory.bankSize) {
      throw new InputError(
        'factory image',
        `has ${factoryImage.image.length} bytes, a bank of ${ecu.name} takes 1 to ${ecu.memory.bankSize}`,
      );
    }
    seedKeyAlgorithm(ecu.security, ecu.name); // complains before anything is written
    const started = new Ecu(options);
    await started.#boot();
    return started;
  }

  get name(): string {
    return this.#options.ecu.name;
  }

  /** What the last boot started; undefined while the ECU boots or is dead. */
  get running(): Running | undefined {
    return this.#life?.device.running;
  }

  /** Hears every event from now on. */
  on(listener: (event: EcuEvent) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  /** As by 11 01: RAM is lost, and after the boot time the bootloader decides anew. */
  reset(reason: 'request' | 'trial-expired'): void {
    if (this.#end !== undefined || this.#life === undefined) return;
    this.#emit({ kind: 'reset', reason });
    this.#stopLife();
    this.#bootTimer = this.#options.clock.after('boot', this.#options.bootMs, () => {
      this.#bootTimer = undefined;
      this.#booting = this.#boot().catch((error: unknown) => this.#fail(error));
    });
  }

  /** Stops, and resolves when nothing is open or being written any more. */
  async close(): Promise<void> {
    this.#die('closed');
    await this.#booting;
    await this.#flash?.close();
    await this.#nv?.settled();
  }

  async #boot(): Promise<void> {
    const { storage, ecu, logger, clock, faults, profile, random } = this.#options;
    await this.#flash?.close();
    const { flash, state } = await FlashMemory.open({
      storage,
      banks: ecu.memory.banks,
      gate: this.#gate,
    });
    this.#flash = flash;
    if (state === 'first') {
      const { image, version } = this.#options.factoryImage;
      await flash.install(image, version);
      logger.info({ ecu: ecu.name, version, bytes: image.length }, 'factory image installed');
    } else if (state !== 'known') {
      logger.error({ ecu: ecu.name, reason: state.damaged }, 'boot record damaged');
    }
    const { nv, damaged } = await NvData.open(
      storage,
      () => `${ecu.name}-${toHex(random.bytes(4)).toUpperCase()}`,
      profile.dtcs,
    );
    this.#nv = nv;
    if (damaged !== undefined) {
      logger.error({ ecu: ecu.name, reason: damaged }, 'non-volatile data damaged, made anew');
    }
    const decision = await this.#chooseBank(flash);
    const { run } = decision;
    const selfTestPassed = !(run !== 'recovery' && run.trial && faults.failSelfTest === true);
    if (!selfTestPassed) await storeTroubleCode(nv, SELF_TEST_DTC);
    const running: Running = {
      bank: run === 'recovery' ? 'recovery' : run.bank,
      version: run === 'recovery' ? NO_VERSION : flash.record.banks[run.bank].version,
      sinceMs: clock.nowMs(),
      selfTestPassed,
    };
    if (this.#end !== undefined) return;
    this.#startLife({
      ecu,
      vin: this.#options.vin,
      hardwareId: faults.hardwareId ?? ecu.hardwareId,
      profile,
      flash,
      nv,
      faults,
      logger,
      running,
      emit: (event) => this.#emit(event),
      losePower: () => {
        flash.powerOff();
        nv.powerOff();
        this.#emit({ kind: 'power-lost' });
        this.#die('power-lost');
      },
    });
    this.#emit({
      kind: 'boot',
      mode: run === 'recovery' ? 'recovery' : run.trial ? 'trial' : 'confirmed',
      bank: run === 'recovery' ? null : bankLetter(run.bank),
      version: running.version,
      reason: decision.reason,
    });
  }

  /** Every decision is durable before it is acted on; only a bank with the recorded hash is started. */
  async #chooseBank(flash: FlashMemory): Promise<BootDecision> {
    const { trialBoots, faults, clock, bootMs, logger, ecu } = this.#options;
    for (;;) {
      const decision = decideBoot(flash.record, trialBoots);
      await flash.update(() => decision.record);
      const { run } = decision;
      if (run === 'recovery' || this.#end !== undefined) return decision;
      if (!(await flash.intact(run.bank))) {
        logger.error({ ecu: ecu.name, bank: bankLetter(run.bank) }, 'hash of the bank is wrong');
        await flash.update((record) => bankFailed(record, run.bank));
      } else if (run.trial && faults.refuseNewImage === true) {
        this.#emit({ kind: 'boot-failed', version: flash.record.banks[run.bank].version });
        // The watchdog ends it, and the bootloader is asked again.
        await sleep(clock, 'boot', bootMs, this.#ending.signal);
      } else {
        return decision;
      }
    }
  }

  #startLife(device: Device): void {
    const { ecu, clock, random, connect, logger, faults } = this.#options;
    const programming = new Programming(device, this.#options.maxBlockLength);
    const algorithm = seedKeyAlgorithm(ecu.security, ecu.name);
    const routines = new Routines(
      { ...bootloaderRoutines(device, programming), ...this.#options.routines },
      algorithm?.level ?? 0,
    );
    const traffic =
      this.#options.trafficBus === undefined || device.running.bank === 'recovery'
        ? undefined
        : new NormalTraffic(this.#options.trafficBus, clock, device.profile.traffic);
    const trial =
      device.flash.record.trial === null
        ? undefined
        : clock.after('trial', this.#options.trialMs, () => this.#expireTrial(device.flash));
    if (faults.silent === true) {
      this.#life = { device, server: undefined, connections: [], traffic: undefined, trial };
      return;
    }
    const addresses = testerAddresses(ecu.address);
    const physical = connect(reverseAddress(addresses.physical), { functional: false });
    const functional =
      addresses.functional && connect(reverseAddress(addresses.functional), { functional: true });
    const server = new UdsServer({
      physical,
      ...(functional && { functional }),
      clock,
      logger,
      handlers: serviceHandlers({
        device,
        programming,
        routines,
        securityLevel: algorithm?.level,
        clock,
        reset: () => this.reset('request'),
      }),
      ...(algorithm && {
        security: securityAccess(device, algorithm, random, clock.nowMs()),
      }),
      onSession: (_from, to, reason) => {
        routines.forget();
        programming.abort().catch((error: unknown) => this.#fail(error));
        this.#emit({ kind: 'session', session: to, reason });
      },
      onCommunication: ({ normal }) => traffic?.enable(normal.transmit),
    });
    traffic?.enable(true);
    this.#life = {
      device,
      server,
      connections: functional === undefined ? [physical] : [physical, functional],
      traffic,
      trial,
    };
  }

  #expireTrial(flash: FlashMemory): void {
    flash.update(trialExpired).then(
      // Confirmed in the last moment: nothing to fall back from.
      () => flash.record.trial !== null && this.reset('trial-expired'),
      (error: unknown) => this.#fail(error),
    );
  }

  #stopLife(): void {
    const life = this.#life;
    this.#life = undefined;
    life?.trial?.cancel();
    life?.traffic?.enable(false);
    life?.server?.close();
    for (const connection of life?.connections ?? []) connection.close();
  }

  #fail(error: unknown): void {
    if (this.#end !== undefined) return;
    const reason = describeError(error);
    this.#options.logger.error({ ecu: this.name, reason }, 'the ECU stops');
    this.#emit({ kind: 'failed', reason });
    this.#die('failed');
  }

  #die(end: EcuEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#ending.abort();
    this.#bootTimer?.cancel();
    this.#stopLife();
    this.#resolveStopped(end);
  }

  #emit(event: EcuEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

// An ECU: flash, bootloader and UDS server on one bus. A reset loses all data that is not in its storage.

import type { CanBus } from '../../src/bus/can-bus.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { type Clock, sleep, type Timer } from '../../src/core/clock.ts';
import { describeError, InputError } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/logger.ts';
import { defined } from '../../src/core/optional.ts';
import type { Random } from '../../src/core/random.ts';
import type { Storage } from '../../src/core/storage.ts';
import { type IsoTpAddress, reverseAddress, testerAddresses } from '../../src/isotp/address.ts';
import type { IsoTpConnection } from '../../src/isotp/connection.ts';
import { UdsServer } from '../../src/uds/server.ts';
import { Session } from '../../src/uds/sid.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import type { Motion } from '../motion.ts';
import { NormalTraffic } from '../normal-traffic.ts';
import type { EcuProfile } from '../profile.ts';
import type { BankDriver } from './boot/bank-driver.ts';
import { bankDriverFor } from './boot/banks.ts';
import { bindingFault, verifyBank } from './boot/boot-check.ts';
import {
  type BankIndex,
  type BootCause,
  type BootDecision,
  bankFailed,
  bankLetter,
  decideBoot,
  trialExpired,
} from './boot/boot-record.ts';
import { type BootedEcu, type EcuEvent, NO_VERSION, type RunningSoftware } from './device.ts';
import { Application } from './diagnostics/application.ts';
import { SecuredData } from './diagnostics/secured-data.ts';
import { securityAccess, seedKeyCheck } from './diagnostics/security-access.ts';
import { serviceHandlers } from './diagnostics/services.ts';
import { storeTroubleCode } from './diagnostics/trouble-codes.ts';
import type { FactoryImage } from './factory/factory-image.ts';
import { provisioningRoutines } from './factory/provisioning.ts';
import type { ProvisioningNeeds } from './factory/provisioning-needs.ts';
import { type EcuFaults, programGate, SELF_TEST_DTC } from './faults.ts';
import { FaultsOfALife } from './faulty-connection.ts';
import type { FlashMemory, ProgramGate } from './flash/flash-memory.ts';
import { closeMemory, type EcuMemory, powerOff } from './flash/memory.ts';
import { openMemory } from './flash/open-memory.ts';
import type { RetainedReports } from './flash/trust-store.ts';
import { MetadataCheck } from './programming/metadata.ts';
import { isPlain } from './programming/plain.ts';
import { Programming } from './programming/programming.ts';
import { Routines } from './programming/routine-control.ts';
import type { RoutineRule } from './programming/routine-rule.ts';
import { bootloaderRoutines } from './programming/routines.ts';

/** Opens the ECU's side of an ISO-TP connection. */
export type Connect = (
  address: IsoTpAddress,
  options: { readonly functional: boolean },
) => IsoTpConnection;

export interface EcuOptions {
  readonly ecu: VehicleEcu;
  readonly profile: EcuProfile;
  readonly storage: Storage;
  readonly random: Random;
  readonly logger: Logger;
  readonly faults: EcuFaults;
  /** Image that is installed in the storage of a new device. */
  readonly factoryImage: FactoryImage;
  /** Whether a virgin ECU takes the well-known keys of a bench. */
  readonly benchKeys: boolean;
  readonly vin: string;
  readonly connect: Connect;
  /** Bus of the normal traffic; undefined: no normal traffic. */
  readonly trafficBus: CanBus | undefined;
  readonly clock: Clock;
  readonly needs: ProvisioningNeeds;
  /** Motion of the vehicle; undefined: the ECU does not receive the speed and assumes that the vehicle stands. */
  readonly motion: Motion | undefined;
  readonly onEvent: ((event: EcuEvent) => void) | undefined;
  /** Routines beyond those of the bootloader. */
  readonly routines: Readonly<Record<number, RoutineRule>>;
  /** Silence from reset to the first answer. */
  readonly bootMs: number;
  /** Time after which an unconfirmed trial falls back. */
  readonly trialMs: number;
  /** Number of boots of a trial. */
  readonly trialBoots: number;
  /** maxNumberOfBlockLength of 34 and 38. */
  readonly maxBlockLength: number;
  /**
   * Number of bytes after which a download is made durable; a power cut loses at most these and the rest of a block.
   */
  readonly checkpointBytes: number;
}

/** Why an ECU has ended. */
export type EcuEnd = 'closed' | 'power-lost' | 'failed';

/** The objects that exist between two resets. */
interface Life {
  readonly device: BootedEcu;
  readonly server: UdsServer | undefined;
  readonly connections: readonly IsoTpConnection[];
  readonly traffic: NormalTraffic | undefined;
  readonly trial: Timer | undefined;
  readonly faults: FaultsOfALife;
}

/** Made by `Ecu.start`; ends by `close`, by a lost supply (a fault), or when its storage fails. */
export class Ecu {
  readonly #options: EcuOptions;
  readonly #listeners = new Set<(event: EcuEvent) => void>();
  /** Gate of faults; it counts across resets, so that a fault happens once. */
  readonly #gate: ProgramGate;
  readonly #banks: BankDriver;
  #life: Life | undefined;
  #memory: EcuMemory | undefined;
  /** The cause for the next boot, and the data that RAM keeps. */
  #cause: BootCause = 'other';
  #retained: RetainedReports | undefined;
  #bootTimer: Timer | undefined;
  #booting: Promise<void> = Promise.resolve();
  #end: EcuEnd | undefined;
  /** Ends waits when the ECU ends. */
  readonly #ending = new AbortController();
  #resolveStopped!: (end: EcuEnd) => void;

  /** Resolves when the ECU has ended. */
  readonly stopped: Promise<EcuEnd>;

  private constructor(options: EcuOptions) {
    this.#options = options;
    this.#gate = programGate(options.faults);
    this.#banks = bankDriverFor(options.ecu.memory.banks);
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
    seedKeyCheck(ecu.security, ecu.name, () => null); // throws before anything is written
    const started = new Ecu(options);
    await started.#boot();
    return started;
  }

  get name(): string {
    return this.#options.ecu.name;
  }

  /** The software that the last boot started; undefined while the ECU boots or after its end. */
  get running(): RunningSoftware | undefined {
    return this.#life?.device.running;
  }

  /** The provisioned key of the driver's approval; undefined without one, and during the first boot. */
  get approvalKey(): Uint8Array | undefined {
    const key = this.#memory?.identity.content.approvalKey ?? null;
    return key === null ? undefined : fromHex(key);
  }

  /** Adds a listener for all events from now on. */
  on(listener: (event: EcuEvent) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  /** Resets like 11 01: RAM is lost, and after the boot time the bootloader decides again. */
  reset(reason: 'request' | 'trial-expired' | 'fault'): void {
    if (this.#end !== undefined || this.#life === undefined) return;
    this.#emit({ kind: 'reset', reason });
    this.#cause = reason === 'request' ? 'requested' : 'other';
    this.#retained = this.#memory?.trust.retained;
    this.#stopLife();
    this.#bootTimer = this.#options.clock.after('boot', this.#options.bootMs, () => {
      this.#bootTimer = undefined;
      this.#booting = this.#boot().catch((error: unknown) => this.#fail(error));
    });
  }

  /** Stops the ECU; resolves when all files are closed and written. */
  async close(): Promise<void> {
    this.#die('closed');
    await this.#booting;
    if (this.#memory !== undefined) await closeMemory(this.#memory);
  }

  async #boot(): Promise<void> {
    const { faults, clock, ecu, profile, logger } = this.#options;
    if (this.#memory !== undefined) await closeMemory(this.#memory);
    const memory = await openMemory(
      {
        ...this.#options,
        name: ecu.name,
        hardwareId: faults.hardwareId ?? ecu.hardwareId,
        chipId: faults.chipId,
        banks: this.#banks,
        dtcs: profile.dtcs,
      },
      this.#gate,
      this.#retained,
    );
    this.#memory = memory;
    const { flash, nv } = memory;
    const requested = this.#cause === 'requested';
    const decision = await this.#chooseBank(memory);
    const { run } = decision;
    const selfTestPassed = !(run !== 'recovery' && run.trial && faults.failSelfTest === true);
    if (!selfTestPassed) await storeTroubleCode(nv, SELF_TEST_DTC);
    const running: RunningSoftware = {
      bank: run === 'recovery' ? 'recovery' : run.bank,
      version: run === 'recovery' ? NO_VERSION : flash.record.banks[run.bank].version,
      sha256: run === 'recovery' ? '' : flash.record.banks[run.bank].sha256,
      sinceMs: clock.nowMs(),
      selfTestPassed,
      requested,
    };
    if (this.#end !== undefined) return;
    this.#startLife({
      ...memory,
      ecu,
      banks: this.#banks,
      vin: this.#options.vin,
      needs: this.#options.needs,
      benchKeys: this.#options.benchKeys,
      profile,
      faults,
      logger,
      running,
      checkpointBytes: this.#options.checkpointBytes,
      emit: (event) => this.#emit(event),
      losePower: () => {
        powerOff(memory);
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

  /** Chooses the bank to start. Each decision is durable before it is carried out; a bank must pass every check. */
  async #chooseBank(memory: EcuMemory): Promise<BootDecision> {
    const { trialBoots, faults, clock, bootMs } = this.#options;
    const { flash } = memory;
    // On another chip nothing is changed, so that the flash still boots on its own chip.
    const foreign = bindingFault(memory);
    if (foreign !== undefined) return { record: flash.record, run: 'recovery', reason: foreign };
    let cause = this.#cause;
    this.#cause = 'other';
    for (;;) {
      const decision = decideBoot(flash.record, trialBoots, cause);
      cause = 'other';
      await flash.update(() => decision.record);
      const { run } = decision;
      if (run === 'recovery' || this.#end !== undefined) return decision;
      if (!(await this.#mayStart(memory, run.bank))) {
        await flash.update((record) => bankFailed(record, run.bank));
      } else if (run.trial && faults.refuseNewImage === true) {
        this.#emit({ kind: 'boot-failed', version: flash.record.banks[run.bank].version });
        // The watchdog resets it, and the bootloader decides again.
        await sleep(clock, 'boot', bootMs, this.#ending.signal);
      } else {
        return decision;
      }
    }
  }

  /** Checks the hash of the bytes first, then the signed facts. */
  async #mayStart(memory: EcuMemory, bank: BankIndex): Promise<boolean> {
    const { logger, ecu } = this.#options;
    if (!(await memory.flash.intact(bank))) {
      logger.error({ ecu: ecu.name, bank: bankLetter(bank) }, 'hash of the bank is wrong');
      return false;
    }
    const verified = await verifyBank(memory, bank);
    if (verified.ok) return true;
    const { code, reason } = verified;
    this.#emit({ kind: 'boot-refused', bank: bankLetter(bank), code, reason });
    await memory.trust.noteAttack(code);
    return false;
  }

  #startLife(device: BootedEcu): void {
    const { ecu, clock, random, connect, logger, faults } = this.#options;
    const { identity } = device;
    const metadata = new MetadataCheck(device, random);
    const programming = new Programming(device, metadata, this.#options.maxBlockLength);
    const provisionedKey = (): string | null => identity.content.securityAccessKey;
    const keyCheck = seedKeyCheck(ecu.security, ecu.name, provisionedKey);
    const security = keyCheck && securityAccess(device.nv, keyCheck, random, clock.nowMs());
    // Before the lock the factory needs no key; a plain ECU is never locked.
    const securityLevel = (): number | undefined =>
      identity.locked || isPlain(ecu) ? keyCheck?.level : undefined;
    const application = new Application(device, clock);
    const securedData = new SecuredData(identity, random);
    const routines = new Routines(
      {
        ...application.routines(),
        ...bootloaderRoutines(device, programming, random),
        ...provisioningRoutines(device, random),
        ...this.#options.routines,
      },
      { securityLevel, needsAuthority: () => identity.locked },
    );
    const traffic =
      this.#options.trafficBus === undefined || device.running.bank === 'recovery'
        ? undefined
        : new NormalTraffic(this.#options.trafficBus, clock, application.frames());
    const trial =
      device.flash.record.trial === null
        ? undefined
        : clock.after('trial', this.#options.trialMs, () => this.#expireTrial(device.flash));
    const faultsNow = new FaultsOfALife({
      faults,
      clock,
      random,
      onStuck: () => {
        traffic?.enable(false);
        this.#emit({ kind: 'fault', fault: 'stuck' });
      },
      reset: () => this.reset('fault'),
    });
    const common = { device, trial, faults: faultsNow };
    if (faults.silent === true) {
      this.#life = { ...common, server: undefined, connections: [], traffic: undefined };
      return;
    }
    const addresses = testerAddresses(ecu.address);
    const physical = faultsNow.wrap(
      connect(reverseAddress(addresses.physical), { functional: false }),
    );
    const functional =
      addresses.functional &&
      faultsNow.wrap(connect(reverseAddress(addresses.functional), { functional: true }));
    const server = new UdsServer({
      physical,
      ...defined({ functional }),
      clock,
      logger,
      handlers: serviceHandlers({
        device,
        application,
        programming,
        metadata,
        routines,
        securedData,
        security,
        securityLevel,
        hasKey: () => !device.needs.securityAccessKey || provisionedKey() !== null,
        clock,
        isMoving: () => this.#options.motion?.isMoving() === true,
        reset: () => this.reset('request'),
      }),
      ...defined({ security }),
      onSession: (_from, to, reason) => {
        routines.forget();
        if (to !== Session.extended) application.release();
        programming.abort().catch((error: unknown) => this.#fail(error));
        this.#emit({ kind: 'session', session: to, reason });
      },
      onCommunication: ({ normal }) => traffic?.enable(normal.transmit),
    });
    traffic?.enable(true);
    this.#life = {
      ...common,
      server,
      connections: functional === undefined ? [physical] : [physical, functional],
      traffic,
    };
  }

  #expireTrial(flash: FlashMemory): void {
    flash.update(trialExpired).then(
      // The image may have been confirmed at the last moment; then there is no fall back.
      () => flash.record.trial !== null && this.reset('trial-expired'),
      (error: unknown) => this.#fail(error),
    );
  }

  #stopLife(): void {
    const life = this.#life;
    this.#life = undefined;
    life?.trial?.cancel();
    life?.faults.close();
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
    this.#options.motion?.close();
    this.#stopLife();
    this.#resolveStopped(end);
  }

  #emit(event: EcuEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

// Provisions one ECU of ours: writes facts, secrets and Roots, reads everything back, then locks it.

import { sha256 } from '@noble/hashes/sha2.js';
import type { DriverHooks, EcuDriver } from '../campaign/ports.ts';
import { asciiBytes, equalBytes, fromHex, toHex } from '../core/bytes.ts';
import { present } from '../core/present.ts';
import type { Random } from '../core/random.ts';
import { speakerKey } from '../trust/authority.ts';
import { Did, type ProvisioningState, Routine } from '../uds/sid.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import { isOurs } from './activation.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import {
  checkFirstImage,
  type FirstImage,
  type FirstImageReport,
  programFirstImage,
} from './first-image.ts';
import { programForeignImage } from './foreign-image.ts';
import { readDid, readHardwareId } from './identification.ts';
import {
  DONE,
  inFactorySession,
  order,
  type Provisioned,
  type PublicKeys,
  readIfWritten,
  readPublicKeys,
  readSerial,
  readState,
  refuse,
  sendFile,
  startRoutine,
  writeDid,
} from './provision-access.ts';
import { proveLocked } from './provision-proof.ts';
import { readTrustState } from './trust-exchange.ts';

/** What an ECU reports before anything is written. */
export interface FactoryFacts {
  /** DID FD10, hexadecimal. */
  readonly deviceId: string;
  readonly hardwareId: string;
  readonly state: ProvisioningState;
  /** Present DID F18C. */
  readonly serial: string;
}

/** A Root that the key ceremony published. */
export interface Anchor {
  readonly bytes: Uint8Array;
  readonly version: number;
}

/** The data for one ECU. Keys are hexadecimal; undefined for a key that the ECU does not use. */
export interface EcuProvisions {
  readonly serial: string;
  readonly securityAccessKey: string | undefined;
  readonly approvalKey: string | undefined;
  /** X25519 public keys of the TMU and of the factory (where it has one); the locked ECU takes their orders. */
  readonly testerKey: string;
  readonly factoryKey: string | undefined;
  /** Private key of `testerKey`; it is not sent. */
  readonly agreementKey: string;
  readonly directorRoot: Anchor;
  readonly imagesRoot: Anchor;
}

/** The data of an ECU for the registry, hexadecimal. */
export interface EcuCredentials extends PublicKeys {
  /** SHA-256 of the secret that stays in the ECU. */
  readonly deviceSecretHash: string;
}

/** Reports a step; `kept`: the value was already there. */
export type ProvisionStep = (step: string, status: 'written' | 'kept' | 'checked') => void;

export interface ProvisionerOptions extends ExchangeOptions {
  readonly random: Random;
  readonly onStep?: ProvisionStep;
  /** Runs the command for the first image of an ECU of another make with `security.algorithm: command`. */
  readonly runCommand?: KeyCommand;
  /** The driver of an ECU that does not speak UDS. */
  readonly driver?: EcuDriver | undefined;
}

const SECRET_BYTES = 32;
const DEVICE_ID_BYTES = 16;

/**
 * Every method can be repeated after an interruption at any instant: it reads before it writes, and keeps values that
 * are already right.
 */
export class Provisioner {
  readonly #options: ProvisionerOptions;
  readonly #exchange: Exchange;
  readonly #onStep: ProvisionStep;

  constructor(options: ProvisionerOptions) {
    this.#options = options;
    this.#exchange = new Exchange(options);
    this.#onStep = options.onStep ?? (() => {});
  }

  get #peer(): string {
    return this.#exchange.peer;
  }

  /** Reads the facts. Fails for hardware that the vehicle file does not expect. */
  async inspect(signal?: AbortSignal): Promise<Provisioned<FactoryFacts>> {
    const exchange = this.#exchange;
    const doing = 'reading its chip number (FD10)';
    const deviceId = await readDid(exchange, Did.deviceId, doing, signal);
    if (!deviceId.ok) return deviceId;
    if (deviceId.value?.length !== DEVICE_ID_BYTES) {
      const what = deviceId.value === undefined ? 'none' : `${deviceId.value.length} bytes`;
      return refuse(
        'NOT_OURS',
        `${this.#peer}: expected a chip number of ${DEVICE_ID_BYTES} bytes (DID FD10), it has ${what}: an ECU of another ` +
          'make is only registered, say so by programming "standard" or "metadata: skip" in the vehicle file',
      );
    }
    const hardwareId = await readHardwareId(exchange, signal);
    if (!hardwareId.ok) return hardwareId;
    const expected = exchange.ecu.hardwareId;
    if (hardwareId.value !== expected) {
      return refuse(
        'WRONG_HARDWARE',
        `${this.#peer}: hardware id ${hardwareId.value ?? 'unknown'} (DID F191), the vehicle file expects ${expected}: ` +
          'fit the right part, or correct the vehicle file',
      );
    }
    const state = await readState(exchange, signal);
    if (!state.ok) return state;
    const serial = await readSerial(exchange, signal);
    if (!serial.ok) return serial;
    return {
      ok: true,
      value: {
        deviceId: toHex(deviceId.value),
        hardwareId: hardwareId.value,
        state: state.value,
        serial: serial.value,
      },
    };
  }

  /** Programs the first image and reads digest and version back. An ECU of ours takes it only before the lock. */
  async program(
    first: FirstImage,
    hooks: DriverHooks = {},
  ): Promise<Provisioned<FirstImageReport>> {
    const done = isOurs(this.#exchange.ecu)
      ? await programFirstImage(this.#options, first, hooks)
      : await programForeignImage(this.#options, first, hooks);
    const status = done.ok && done.value.status === 'kept' ? 'kept' : 'written';
    return this.#note('first image', status, done);
  }

  /** Checks by digest and version that the ECU runs its first image. Changes nothing. */
  async checkImage(first: FirstImage, signal?: AbortSignal): Promise<Provisioned<void>> {
    return this.#note(
      'first image',
      'checked',
      await checkFirstImage(this.#exchange, first, signal),
    );
  }

  /** Writes all facts, secrets and Roots; each is read back and compared. Nothing is final before `lock`. */
  write(provisions: EcuProvisions, signal?: AbortSignal): Promise<Provisioned<EcuCredentials>> {
    return inFactorySession(this.#exchange, signal, async () => {
      const serial = await this.#writeSerial(provisions.serial, signal);
      if (!serial.ok) return serial;
      const secret = await this.#writeDeviceSecret(signal);
      if (!secret.ok) return secret;
      const keys = [
        [Did.securityAccessKey, 'key of SecurityAccess', provisions.securityAccessKey],
        [Did.approvalKey, 'key of the approval', provisions.approvalKey],
      ] as const;
      for (const [did, name, wanted] of keys) {
        if (wanted === undefined) continue;
        const written = await this.#writeSecret(did, name, fromHex(wanted), signal);
        if (!written.ok) return written;
      }
      const speakers = [
        [Did.testerKey, 'key of the TMU', provisions.testerKey],
        [Did.factoryKey, 'key of the factory', provisions.factoryKey],
      ] as const;
      for (const [did, name, wanted] of speakers) {
        if (wanted === undefined) continue;
        const written = await this.#writeSecret(did, name, fromHex(wanted), signal);
        if (!written.ok) return written;
      }
      const own = await this.#ownKeys(signal);
      if (!own.ok) return own;
      const roots = await this.#writeRoots(provisions, signal);
      if (!roots.ok) return roots;
      return { ok: true, value: { ...own.value, deviceSecretHash: toHex(sha256(secret.value)) } };
    });
  }

  /** Locks the ECU, which ends provisioning finally. A second call changes nothing. */
  lock(signal?: AbortSignal): Promise<Provisioned<void>> {
    return inFactorySession(this.#exchange, signal, async () => {
      const doing = 'locking its readout';
      const locked = await startRoutine(this.#exchange, Routine.lockReadout, doing, signal);
      if (locked.ok) this.#onStep('lock', 'written');
      return locked;
    });
  }

  /**
   * Moves a locked ECU from another TMU or vehicle into this one, with the factory's authority. Values that are already
   * right are kept.
   */
  async adopt(
    provisions: EcuProvisions,
    vin: string,
    factoryKey: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Provisioned<void>> {
    const own = await readPublicKeys(this.#exchange, signal);
    if (!own.ok) return own;
    const key = own.value && speakerKey('factory', factoryKey, fromHex(own.value.encryptionKey));
    if (key === undefined) {
      return refuse('NOT_LOCKED', `${this.#peer}: has no keys of its own (DID FD12)`);
    }
    const factory = new Exchange({ ...this.#options, authority: { role: 'factory', key } });
    const orders = present(factory.secured(), 'the authority of the factory');
    const { testerKey, securityAccessKey, approvalKey } = provisions;
    const told = await readIfWritten(orders, Did.testerKey, 'key of the TMU', signal);
    if (!told.ok) return told;
    if (told.value === undefined || toHex(told.value) !== testerKey) {
      // The key of the TMU last: until it is there, the next run writes all of them again.
      const facts = [
        [Did.securityAccessKey, 'key of SecurityAccess', securityAccessKey],
        [Did.approvalKey, 'key of the approval', approvalKey],
        [Did.testerKey, 'key of the TMU', testerKey],
      ] as const;
      for (const [did, name, wanted] of facts) {
        if (wanted === undefined) continue;
        const written = await order(orders, did, name, fromHex(wanted), signal);
        if (!written.ok) return written;
        this.#onStep(name, 'written');
      }
    }
    const known = await readDid(orders, Did.vin, 'reading its VIN (F190)', signal);
    if (!known.ok) return known;
    if (known.value !== undefined && equalBytes(known.value, asciiBytes(vin))) return DONE;
    return this.#note(
      'VIN',
      'written',
      await order(orders, Did.vin, 'VIN', asciiBytes(vin), signal),
    );
  }

  /** See `proveLocked`. */
  async verify(provisions: EcuProvisions, signal?: AbortSignal): Promise<Provisioned<PublicKeys>> {
    const proven = await proveLocked(this.#options, provisions, signal);
    return this.#note('locked readout', 'checked', proven);
  }

  async #writeSerial(wanted: string, signal?: AbortSignal): Promise<Provisioned<void>> {
    const before = await readSerial(this.#exchange, signal);
    if (!before.ok) return before;
    const name = 'serial number';
    if (before.value === wanted) return this.#note(name, 'kept', DONE);
    const written = await writeDid(
      this.#exchange,
      Did.ecuSerialNumber,
      name,
      asciiBytes(wanted),
      signal,
    );
    return this.#note(name, 'written', written);
  }

  /** Makes and writes the device secret. Afterwards only the ECU knows it; the registry gets its hash. */
  async #writeDeviceSecret(signal?: AbortSignal): Promise<Provisioned<Uint8Array>> {
    const name = 'device secret';
    const before = await readIfWritten(this.#exchange, Did.deviceSecret, name, signal);
    if (!before.ok) return before;
    if (before.value?.length === SECRET_BYTES) {
      return this.#note(name, 'kept', { ok: true, value: before.value });
    }
    const value = this.#options.random.bytes(SECRET_BYTES);
    const written = await writeDid(this.#exchange, Did.deviceSecret, name, value, signal);
    return this.#note(name, 'written', written.ok ? { ok: true, value } : written);
  }

  async #writeSecret(
    did: number,
    name: string,
    wanted: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Provisioned<void>> {
    const before = await readIfWritten(this.#exchange, did, name, signal);
    if (!before.ok) return before;
    if (before.value !== undefined && equalBytes(before.value, wanted)) {
      return this.#note(name, 'kept', DONE);
    }
    return this.#note(name, 'written', await writeDid(this.#exchange, did, name, wanted, signal));
  }

  async #ownKeys(signal?: AbortSignal): Promise<Provisioned<PublicKeys>> {
    const before = await readPublicKeys(this.#exchange, signal);
    if (!before.ok) return before;
    if (before.value !== undefined) {
      return this.#note('own keys', 'kept', { ok: true, value: before.value });
    }
    const doing = 'having it make its keys';
    const made = await startRoutine(this.#exchange, Routine.generateKeys, doing, signal);
    if (!made.ok) return made;
    const after = await readPublicKeys(this.#exchange, signal);
    if (!after.ok) return after;
    if (after.value === undefined) {
      return refuse('READ_BACK', `${this.#peer}: made keys (0220), but shows none (DID FD12)`);
    }
    return this.#note('own keys', 'written', { ok: true, value: after.value });
  }

  /** Sends the Roots at each run, because the ECU reports only the versions that it trusts and not their bytes. */
  async #writeRoots(provisions: EcuProvisions, signal?: AbortSignal): Promise<Provisioned<void>> {
    const { directorRoot, imagesRoot } = provisions;
    const files = [
      ['director.root.json', directorRoot],
      ['images.root.json', imagesRoot],
    ] as const;
    for (const [name, { bytes }] of files) {
      const sent = this.#note(name, 'written', await sendFile(this.#exchange, name, bytes, signal));
      if (!sent.ok) return sent;
    }
    const state = await readTrustState(this.#exchange, signal);
    if (!state.ok) return state;
    const { director, images } = state.value;
    // An ECU with partial verification need not report a Root of the image repository.
    const right =
      director.root === directorRoot.version &&
      (images === undefined || images.root === imagesRoot.version);
    if (right) return DONE;
    return refuse(
      'READ_BACK',
      `${this.#peer}: trusts the Roots ${director.root} (Director) and ${images?.root ?? 'none'} (images), ` +
        `sent were ${directorRoot.version} and ${imagesRoot.version}`,
    );
  }

  #note<T>(
    step: string,
    status: Parameters<ProvisionStep>[1],
    result: Provisioned<T>,
  ): Provisioned<T> {
    if (result.ok) this.#onStep(step, status);
    return result;
  }
}

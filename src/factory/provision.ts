// Provisioning a whole vehicle: the registry, the TMU's identity and every ECU, in an order that loses no key.

import { sha256 } from '@noble/hashes/sha2.js';
import { fromHex, toHex } from '../core/bytes.ts';
import { defined } from '../core/optional.ts';
import { present } from '../core/present.ts';
import type { Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import { isOurs } from '../drivers/activation.ts';
import { wasLost } from '../drivers/exchange.ts';
import type { FirstImage } from '../drivers/first-image.ts';
import type { Provisioned } from '../drivers/provision-access.ts';
import type {
  EcuProvisions,
  FactoryFacts,
  Provisioner,
  ProvisionStep,
} from '../drivers/provisioner.ts';
import type { IdentityFile } from '../trust/identity-file.ts';
import { signerFromSeed, x25519PublicKey } from '../trust/signing-key.ts';
import { ProvisioningState } from '../uds/sid.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { DeviceRegistration, Registry, RegistryRow } from './registry.ts';
import { IdentityStore, keepAnchors, mergedIdentity, type Part, withKeys } from './tmu-identity.ts';
import type { TrustAnchors } from './trust-anchors.ts';

/** Name of the TMU in the registry. */
const TMU_NAME = 'TMU';

/** How often one step of an ECU is tried when frames get lost. */
const STEP_TRIES = 3;

export type ProvisionEvent =
  | {
      readonly kind: 'step';
      readonly name: string;
      readonly step: string;
      readonly status: 'written' | 'kept' | 'checked';
    }
  | {
      readonly kind: 'device';
      readonly name: string;
      readonly hwId: string;
      readonly serial: string;
      /** `registered`: an ECU of another make, which is not written. */
      readonly status: 'provisioned' | 'already' | 'registered';
    }
  /** An ECU holds its first image; digest and version were read back. */
  | {
      readonly kind: 'image';
      readonly name: string;
      readonly status: 'programmed' | 'kept';
      readonly version: string;
      readonly sha256: string;
      /** Bytes carried over the bus. */
      readonly bytes: number;
      readonly seconds: number;
    }
  | {
      readonly kind: 'progress';
      readonly name: string;
      /** Bytes sent so far. */
      readonly sent: number;
      readonly total: number;
    }
  | {
      readonly kind: 'failed';
      readonly name: string;
      readonly code: string;
      readonly reason: string;
    }
  | { readonly kind: 'note'; readonly text: string };

export interface ProvisionRun {
  readonly vehicle: Vehicle;
  /** ECUs of the vehicle file to provision. */
  readonly names: readonly string[];
  /** Chip number of the TMU. */
  readonly deviceId: string;
  readonly anchors: TrustAnchors;
  readonly registry: Registry;
  /** The TMU's state directory. */
  readonly storage: Storage;
  readonly random: Random;
  readonly provisionerFor: (
    name: string,
    onStep: ProvisionStep,
  ) => Pick<
    Provisioner,
    'inspect' | 'program' | 'checkImage' | 'write' | 'lock' | 'adopt' | 'verify'
  >;
  /** First images by the name of their ECU, for some of `names`. */
  readonly images?: ReadonlyMap<string, FirstImage>;
  readonly onEvent: (event: ProvisionEvent) => void;
  /** X25519 private key of the factory, with which ECUs that are already locked can move to another vehicle. */
  readonly factoryKey?: Uint8Array | undefined;
  readonly signal?: AbortSignal;
}

/** The result; `failures` is empty when everything succeeded. */
export interface ProvisionOutcome {
  readonly images: readonly Extract<ProvisionEvent, { kind: 'image' }>[];
  readonly devices: readonly Extract<ProvisionEvent, { kind: 'device' }>[];
  readonly failures: readonly Extract<ProvisionEvent, { kind: 'failed' }>[];
}

/**
 * Provisions a vehicle. It may be repeated at any time and continues where it was interrupted. Nothing is registered
 * before every ECU was seen and runs its first image, and no key is written to an ECU before it is stored in
 * identity.json. Throws StorageError and InputError.
 */
export async function provisionVehicle(run: ProvisionRun): Promise<ProvisionOutcome> {
  return new VehicleRun(run).provision();
}

type ImageEvent = Extract<ProvisionEvent, { kind: 'image' }>;
type Failed = { readonly ok: false; readonly code: string; readonly reason: string };
type Step<T> = { readonly ok: true; readonly value: T } | Failed;

class VehicleRun {
  readonly #run: ProvisionRun;
  /** Public X25519 keys of the locked ECUs, hexadecimal. */
  readonly #ecuKeys = new Map<string, string>();
  readonly #devices: Extract<ProvisionEvent, { kind: 'device' }>[] = [];
  readonly #failures: Extract<ProvisionEvent, { kind: 'failed' }>[] = [];
  readonly #images: ImageEvent[] = [];

  constructor(run: ProvisionRun) {
    this.#run = run;
  }

  async provision(): Promise<ProvisionOutcome> {
    const outcome = { images: this.#images, devices: this.#devices, failures: this.#failures };
    const { vehicle, storage, anchors, names, random } = this.#run;
    const store = await IdentityStore.open(storage, vehicle.vin);
    const parts = await this.#inspectAll(names);
    if (parts === undefined || !(await this.#programAll(parts))) return outcome;
    const tmu = await this.#registerTmu(store);
    if (tmu === undefined) return outcome;
    const rows = new Map<string, RegistryRow>();
    // One after the other: serial numbers follow the order of the vehicle file.
    for (const part of parts) {
      const row = await this.#register(part.name, {
        hwId: part.hwId,
        vin: vehicle.vin,
        name: part.name,
        hardwareId: part.ecu.hardwareId,
      });
      if (row === undefined) return outcome;
      rows.set(part.name, row);
    }
    const rowOf = ({ name }: { readonly name: string }): RegistryRow =>
      present(rows.get(name), `the registry row of ${name}`);
    const merged = mergedIdentity({
      vehicle,
      before: store.identity,
      serial: tmu.serial,
      hwId: this.#run.deviceId,
      parts: parts.map((part) => ({ ...part, serial: rowOf(part).serial })),
      random,
      adopts: this.#run.factoryKey !== undefined,
    });
    if (!merged.ok) {
      this.#fail(merged.name, merged);
      return outcome;
    }
    const identity = merged.value;
    for (const text of merged.notes) this.#run.onEvent({ kind: 'note', text });
    await store.save(identity);
    await keepAnchors(storage, anchors);
    if (!(await this.#registerTmuKeys(identity))) return outcome;
    await Promise.all(parts.map((part) => this.#finish(part, rowOf(part), identity)));
    // Add the keys of the locked ECUs, which now take the orders of this TMU.
    const complete = withKeys(identity, this.#ecuKeys);
    await store.save(complete);
    await this.#activateTmu(tmu, complete, store.existed);
    return outcome;
  }

  /** Inspects all ECUs; undefined after a failure: one wrong part stops the run before anything was changed. */
  async #inspectAll(names: readonly string[]): Promise<Part[] | undefined> {
    const { vehicle, signal } = this.#run;
    const parts = await Promise.all(
      names.map(async (name): Promise<Part | undefined> => {
        const ecu = findEcu(vehicle, name);
        if (!isOurs(ecu)) return { name, ecu, hwId: `${vehicle.vin}-${name}`, facts: undefined };
        const facts = await this.#provisioner(name).inspect(signal);
        if (!facts.ok) {
          this.#fail(name, facts);
          return undefined;
        }
        return { name, ecu, hwId: facts.value.deviceId, facts: facts.value };
      }),
    );
    const found = parts.filter((part) => part !== undefined);
    return found.length === parts.length ? found : undefined;
  }

  /** Programs one ECU after the other: the bus is not faster for several, and each ends its own bus silence. */
  async #programAll(parts: readonly Part[]): Promise<boolean> {
    for (const { name, facts } of parts) {
      const first = this.#run.images?.get(name);
      if (first === undefined) continue;
      const locked = facts?.state === ProvisioningState.locked;
      const done = locked
        ? await this.#keptImage(name, facts.serial, first)
        : await this.#program(name, first);
      if (!done) return false;
    }
    return true;
  }

  /** Checks the image of an ECU that an earlier run has programmed and locked. */
  async #keptImage(name: string, serial: string, first: FirstImage): Promise<boolean> {
    const { signal } = this.#run;
    const provisioner = this.#provisioner(name);
    const right = await this.#patiently(name, () => provisioner.checkImage(first, signal));
    if (right.ok) {
      const { version, image } = first;
      this.#imageDone(name, {
        status: 'kept',
        version,
        sha256: image.sha256,
        bytes: 0,
        seconds: 0,
      });
      return true;
    }
    const isOther = right.code === 'DIGEST_MISMATCH' || right.code === 'VERSION_MISMATCH';
    const reason = `${right.reason}; ${name} is locked as ${serial} and takes signed releases only: leave out --image ${name}`;
    this.#fail(name, isOther ? { code: 'LOCKED', reason } : right);
    return false;
  }

  async #program(name: string, first: FirstImage): Promise<boolean> {
    const { signal, onEvent } = this.#run;
    const done = await this.#patiently(name, () =>
      this.#provisioner(name).program(first, {
        ...defined({ signal }),
        progress: ({ sent, total }) => onEvent({ kind: 'progress', name, sent, total }),
      }),
    );
    if (!done.ok) {
      this.#fail(name, done);
      return false;
    }
    const { transferMs, ...report } = done.value;
    this.#imageDone(name, { ...report, seconds: transferMs / 1000 });
    return true;
  }

  #imageDone(name: string, facts: Omit<ImageEvent, 'kind' | 'name'>): void {
    const event = { kind: 'image', name, ...facts } as const;
    this.#images.push(event);
    this.#run.onEvent(event);
  }

  /** Registers the TMU without its keys, which are made and stored once the serial number is known. */
  async #registerTmu(store: IdentityStore): Promise<RegistryRow | undefined> {
    const { deviceId, vehicle } = this.#run;
    const row = await this.#register(TMU_NAME, {
      hwId: deviceId,
      vin: vehicle.vin,
      name: TMU_NAME,
      primary: true,
    });
    if (row === undefined) return undefined;
    const { identity } = store;
    if (identity === undefined && row.status === 'active') {
      this.#fail(TMU_NAME, {
        code: 'IDENTITY_LOST',
        reason:
          `${row.serial} is active in the registry, but ${store.where} is missing: give the state directory of the run ` +
          `that provisioned it; if that is lost, run "can-ota server device reopen ${row.serial}" on the backend and run ` +
          'this command again (ECUs that are locked need --factory-key)',
      });
      return undefined;
    }
    if (identity !== undefined && identity.serial !== row.serial) {
      this.#fail(TMU_NAME, {
        code: 'OTHER_DEVICE',
        reason:
          `${store.where} belongs to ${identity.serial}, the registry knows this TMU as ${row.serial}: give the device ` +
          'file and the state directory that belong together',
      });
      return undefined;
    }
    return row;
  }

  async #registerTmuKeys(identity: IdentityFile): Promise<boolean> {
    const seed = fromHex(identity.signingSeed);
    const row = await this.#register(TMU_NAME, {
      hwId: this.#run.deviceId,
      signingKey: signerFromSeed(seed).publicKey.keyval.public,
      deviceSecretHash: toHex(sha256(fromHex(identity.deviceSecret))),
    });
    return row !== undefined;
  }

  async #activateTmu(row: RegistryRow, identity: IdentityFile, existed: boolean): Promise<void> {
    const { vehicle, registry, deviceId, signal } = this.#run;
    if (this.#failures.length > 0) return;
    const missing = vehicle.ecus.filter(({ name }) => identity.ecus[name] === undefined);
    if (missing.length > 0) {
      const names = missing.map(({ name }) => name).join(', ');
      this.#run.onEvent({
        kind: 'note',
        text: `${TMU_NAME} ${row.serial} is not activated yet: ${names} must be provisioned first`,
      });
      return;
    }
    const active = await registry.activate(deviceId, signal);
    if (!active.ok) return this.#fail(TMU_NAME, active);
    const already = existed && row.status === 'active';
    this.#done(TMU_NAME, deviceId, row.serial, already ? 'already' : 'provisioned');
  }

  async #register(name: string, facts: DeviceRegistration): Promise<RegistryRow | undefined> {
    const answer = await this.#run.registry.provision(facts, this.#run.signal);
    if (answer.ok) return answer.value;
    this.#fail(name, answer);
    return undefined;
  }

  /** Finishes a device: writes its facts, locks it and activates it. */
  async #finish(part: Part, row: RegistryRow, identity: IdentityFile): Promise<void> {
    const { registry, signal } = this.#run;
    const { name, hwId } = part;
    const done =
      part.facts === undefined
        ? ({ ok: true, value: 'registered' } as const)
        : await this.#writeAndLock(name, part.facts, row, identity);
    if (!done.ok) return this.#fail(name, done);
    const active = await registry.activate(hwId, signal);
    if (!active.ok) return this.#fail(name, active);
    this.#done(name, hwId, row.serial, done.value);
  }

  async #writeAndLock(
    name: string,
    facts: FactoryFacts,
    row: RegistryRow,
    identity: IdentityFile,
  ): Promise<Step<'provisioned' | 'already'>> {
    const { registry, signal } = this.#run;
    const provisioner = this.#provisioner(name);
    const provisions = this.#provisionsFor(name, identity);
    const hwId = facts.deviceId;
    const locked = facts.state === ProvisioningState.locked;
    if (!locked) {
      const written = await this.#patiently(name, () => provisioner.write(provisions, signal));
      if (!written.ok) return written;
      // Register before the lock, because the hash cannot be read afterwards.
      const known = await registry.provision({ hwId, ...written.value }, signal);
      if (!known.ok) return known;
      const closed = await this.#patiently(name, () => provisioner.lock(signal));
      if (!closed.ok) return closed;
    }
    const { factoryKey, vehicle } = this.#run;
    if (locked && factoryKey !== undefined) {
      const adopted = await this.#patiently(name, () =>
        provisioner.adopt(provisions, vehicle.vin, factoryKey, signal),
      );
      if (!adopted.ok) return adopted;
    }
    const proven = await this.#patiently(name, () => provisioner.verify(provisions, signal));
    if (!proven.ok) return proven;
    const first = this.#run.images?.get(name);
    if (first !== undefined) {
      // Check again after the lock, because this is the state in which the ECU leaves the factory.
      const right = await this.#patiently(name, () => provisioner.checkImage(first, signal));
      if (!right.ok) return right;
    }
    this.#ecuKeys.set(name, proven.value.encryptionKey);
    // For an active device the registry refuses keys that differ from the stored ones.
    const same = await registry.provision({ hwId, ...proven.value }, signal);
    if (!same.ok) return same;
    return { ok: true, value: locked && row.status === 'active' ? 'already' : 'provisioned' };
  }

  #provisionsFor(name: string, identity: IdentityFile): EcuProvisions {
    const { vehicle, anchors, factoryKey } = this.#run;
    const asks = vehicle.approval?.ecu === name;
    const { approvalKey } = identity;
    const { serial, securityAccessKey } = present(identity.ecus[name], `the identity of ${name}`);
    return {
      serial,
      securityAccessKey,
      approvalKey: asks ? approvalKey : undefined,
      agreementKey: identity.agreementKey,
      testerKey: toHex(x25519PublicKey(fromHex(identity.agreementKey))),
      factoryKey: factoryKey && toHex(x25519PublicKey(factoryKey)),
      directorRoot: anchors.director,
      imagesRoot: anchors.images,
    };
  }

  /**
   * Repeats a step of an ECU from its beginning when a frame is lost; the step keeps values that are already written. A
   * bus that is down and a stop by the user end it at once.
   */
  async #patiently<T>(name: string, step: () => Promise<Provisioned<T>>): Promise<Provisioned<T>> {
    for (let tries = 1; ; tries++) {
      const done = await step();
      if (done.ok || tries === STEP_TRIES || !wasLost(done)) return done;
      this.#run.onEvent({ kind: 'note', text: `${done.reason}; ${name} is asked again` });
    }
  }

  #provisioner(name: string): ReturnType<ProvisionRun['provisionerFor']> {
    return this.#run.provisionerFor(name, (step, status) => {
      this.#run.onEvent({ kind: 'step', name, step, status });
    });
  }

  #done(
    name: string,
    hwId: string,
    serial: string,
    status: 'provisioned' | 'already' | 'registered',
  ): void {
    const event = { kind: 'device', name, hwId, serial, status } as const;
    this.#devices.push(event);
    this.#run.onEvent(event);
  }

  #fail(name: string, { code, reason }: { readonly code: string; readonly reason: string }): void {
    const event = { kind: 'failed', name, code, reason } as const;
    this.#failures.push(event);
    this.#run.onEvent(event);
  }
}

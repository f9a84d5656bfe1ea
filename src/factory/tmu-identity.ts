// The files that provisioning writes to the TMU's state directory: identity.json and the trust anchors.

import path from 'node:path';
import { equalBytes, toHex } from '../core/bytes.ts';
import { InputError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import type { Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import type { FactoryFacts } from '../drivers/provisioner.ts';
import {
  formatIdentity,
  type IdentityEcu,
  type IdentityFile,
  parseIdentity,
} from '../trust/identity-file.ts';
import { trustRoot, versionsOf } from '../trust/repository.ts';
import { ProvisioningState } from '../uds/sid.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';
import { usesProvisionedKey } from '../vehicle/security/all.ts';
import type { TrustAnchors } from './trust-anchors.ts';

const IDENTITY_FILE = 'identity.json';

export class IdentityStore {
  readonly #storage: Storage;
  /** The identity that was found; undefined before the first run. */
  readonly identity: IdentityFile | undefined;

  private constructor(storage: Storage, identity: IdentityFile | undefined) {
    this.#storage = storage;
    this.identity = identity;
  }

  /** Opens the file. Throws InputError for a damaged file and for the file of another vehicle. */
  static async open(storage: Storage, vin: string): Promise<IdentityStore> {
    const bytes = await storage.read(IDENTITY_FILE);
    if (bytes === undefined) return new IdentityStore(storage, undefined);
    const where = path.join(storage.location, IDENTITY_FILE);
    const identity = parseIdentity(Buffer.from(bytes).toString('utf8'), where);
    if (identity.vin !== vin) {
      throw new InputError(
        '--state-dir',
        `${where} belongs to vehicle ${identity.vin}, the vehicle file describes ${vin}: each vehicle has a state ` +
          'directory of its own',
      );
    }
    return new IdentityStore(storage, identity);
  }

  get where(): string {
    return path.join(this.#storage.location, IDENTITY_FILE);
  }

  get existed(): boolean {
    return this.identity !== undefined;
  }

  /**
   * Stores the identity, readable by the owner only; durable when it resolves. An unchanged identity is not written.
   */
  async save(identity: IdentityFile): Promise<void> {
    const bytes = new TextEncoder().encode(formatIdentity(identity));
    const before = await this.#storage.read(IDENTITY_FILE);
    if (before === undefined || !equalBytes(before, bytes)) {
      await this.#storage.replace(IDENTITY_FILE, bytes);
    }
  }
}

/**
 * Stores `trust/director/root.json` and `trust/images/root.json`, and both with their versions. A TMU that already
 * trusts Roots keeps them and updates them itself. Throws InputError when it trusts another Root of the same version.
 */
export async function keepAnchors(storage: Storage, anchors: TrustAnchors): Promise<void> {
  for (const repository of ['director', 'images'] as const) {
    const { bytes, version } = anchors[repository];
    const name = `trust/${repository}/root.json`;
    const before = await storage.read(name);
    if (before !== undefined) {
      const trusted = trustRoot(before, 'strict');
      const same = equalBytes(before, bytes);
      if (same || (trusted.ok && versionsOf(trusted.value).root !== version)) continue;
      throw new InputError(
        '--trust',
        `${path.join(storage.location, name)} is another Root than ${repository}/${version}.root.json: the vehicle was ` +
          'provisioned for another key ceremony',
      );
    }
    await storage.replace(`trust/${repository}/${version}.root.json`, bytes);
    await storage.replace(name, bytes);
  }
}

const SECRET_BYTES = 32;
/** Number of hexadecimal digits of DID FD15. */
const APPROVAL_KEY_DIGITS = 64;

export interface Part {
  readonly name: string;
  readonly ecu: VehicleEcu;
  readonly hwId: string;
  /** Facts of an ECU of ours; undefined for one of another make. */
  readonly facts: FactoryFacts | undefined;
}

export interface MergeInput {
  readonly vehicle: Vehicle;
  readonly before: IdentityFile | undefined;
  /** Serial number of the TMU. */
  readonly serial: string;
  readonly hwId: string;
  readonly parts: readonly (Part & { readonly serial: string })[];
  readonly random: Random;
  /** True when the factory's key is available, with which a locked ECU takes new secrets. */
  readonly adopts: boolean;
}

export type Merged =
  | { readonly ok: true; readonly value: IdentityFile; readonly notes: readonly string[] }
  | {
      readonly ok: false;
      readonly name: string;
      readonly code: 'OTHER_KEYS';
      readonly reason: string;
    };

/** The identity with these parts: known keys stay, missing ones are made. */
export function mergedIdentity(input: MergeInput): Merged {
  const { vehicle, before, serial, hwId, parts, random, adopts } = input;
  const secret = (): string => toHex(random.bytes(SECRET_BYTES));
  const notes: string[] = [];
  const ecus: Record<string, IdentityEcu> = { ...before?.ecus };
  for (const part of parts) {
    const { name, ecu, facts } = part;
    const { security, hardwareId } = ecu;
    const known = before?.ecus[name];
    if (known !== undefined && known.serial !== part.serial) {
      notes.push(`${name} is a new part: ${part.serial} takes the place of ${known.serial}`);
    }
    ecus[name] = { serial: part.serial, hardwareId };
    if (facts === undefined || !usesProvisionedKey(security)) continue;
    const kept = known?.serial === part.serial ? known.securityAccessKey : undefined;
    const given = security.secret?.toLowerCase() ?? kept;
    if (given === undefined && facts.state === ProvisioningState.locked && !adopts) {
      const reason =
        `${name} is locked as ${facts.serial}, and its key is not in this state directory: give the one of the run ` +
        'that provisioned it, or the key of its factory (--factory-key), or fit a new part';
      return { ok: false, name, code: 'OTHER_KEYS', reason };
    }
    const ecuKey = known?.serial === part.serial ? known.encryptionKey : undefined;
    ecus[name] = {
      ...{ serial: part.serial, hardwareId, securityAccessKey: given ?? secret() },
      ...defined({ encryptionKey: ecuKey }),
    };
  }
  const approvalKey = approvalKeyFor(vehicle, before?.approvalKey, secret);
  const value: IdentityFile = {
    format: 1,
    vin: vehicle.vin,
    serial,
    hwId,
    deviceSecret: before?.deviceSecret ?? secret(),
    signingSeed: before?.signingSeed ?? secret(),
    agreementKey: before?.agreementKey ?? secret(),
    ecus,
    ...defined({ approvalKey }),
  };
  return { ok: true, value, notes };
}

/** The identity with the public keys of these ECUs, hexadecimal, by name. */
export function withKeys(identity: IdentityFile, keys: ReadonlyMap<string, string>): IdentityFile {
  const ecus = Object.entries(identity.ecus).map(([name, ecu]) => {
    const encryptionKey = keys.get(name) ?? ecu.encryptionKey;
    return [name, encryptionKey === undefined ? ecu : { ...ecu, encryptionKey }] as const;
  });
  return { ...identity, ecus: Object.fromEntries(ecus) };
}

/** The approval key: that of the vehicle file has precedence. A key of another length than FD15's is not written. */
function approvalKeyFor(
  { approval }: Vehicle,
  before: string | undefined,
  make: () => string,
): string | undefined {
  if (approval === undefined) return before;
  if (approval.key === undefined) return before ?? make();
  return approval.key.length === APPROVAL_KEY_DIGITS ? approval.key.toLowerCase() : undefined;
}

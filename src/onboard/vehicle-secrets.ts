// The secrets that a tester shares with the ECUs: from the vehicle file, from identity.json, or the public ones of a bench.

import { stat } from 'node:fs/promises';
import { toHex } from '../core/bytes.ts';
import { InputError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import { readTextFile } from '../core/text-file.ts';
import type { OrderAuthority } from '../drivers/secured-requester.ts';
import { benchApprovalKey, benchEcuIdentity, isShippedSecret } from '../trust/bench-keys.ts';
import { ecuAuthority, type IdentityFile, parseIdentity } from '../trust/identity-file.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';
import { usesProvisionedKey } from '../vehicle/security/all.ts';

export interface SecretOptions {
  /** identity.json as `can-ota provision` wrote it. */
  readonly identity?: string;
  /** Use the public secrets that come with can-ota; for a bench only. */
  readonly benchKeys?: boolean;
}

/** Secrets that complete a vehicle file. */
export type Secrets = Pick<IdentityFile, 'ecus' | 'approvalKey' | 'agreementKey'>;

const HOW =
  'leave it out, so that the provisioned key of identity.json counts, or add --bench-keys on a bench';

/** Throws InputError for a file that others may read, or that is not an identity file. */
export async function readIdentity(file: string, option: string): Promise<IdentityFile> {
  const text = await readTextFile(file, option);
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) {
    throw new InputError(
      option,
      `${file} holds secrets and others may read it: chmod 600 ${file}, and check who could have read it`,
    );
  }
  return parseIdentity(text, file);
}

/** The secrets by the options of a command; undefined if neither was given. */
export async function secretsOf(
  options: SecretOptions,
  vehicle: Vehicle | undefined,
): Promise<Secrets | undefined> {
  if (options.benchKeys === true) {
    return benchIdentity(vehicle?.vin ?? '1CANXTABENCH00001', vehicle?.ecus ?? []);
  }
  if (options.identity === undefined) return undefined;
  const identity = await readIdentity(options.identity, '--identity');
  checkVin(identity, vehicle, options.identity);
  return identity;
}

/** The keys of one vehicle do not work in another, and a wrong key costs an attempt of the ECU. */
export function checkVin(
  { vin }: IdentityFile,
  vehicle: Pick<Vehicle, 'vin'> | undefined,
  where: string,
): void {
  if (vehicle === undefined || vehicle.vin === vin) return;
  throw new InputError(
    where,
    `is the identity of ${vin}, the vehicle file describes ${vehicle.vin}: take two files of the same vehicle`,
  );
}

/** Adds the secrets that the file omits. Throws InputError for a secret that comes with can-ota, except on a bench. */
export function withSecrets(
  vehicle: Vehicle,
  secrets: Secrets | undefined,
  benchKeys: boolean,
): Vehicle {
  const ecus = vehicle.ecus.map((ecu) => ecuWithSecret(ecu, secrets, benchKeys));
  const { approval } = vehicle;
  if (approval === undefined) return { ...vehicle, ecus };
  if (!benchKeys) refuseShipped(approval.key, 'approval.key');
  const key = approval.key ?? secrets?.approvalKey;
  return { ...vehicle, ecus, approval: { ...approval, ...defined({ key }) } };
}

export function ecuWithSecret(
  ecu: VehicleEcu,
  secrets: Secrets | undefined,
  benchKeys: boolean,
): VehicleEcu {
  const { security } = ecu;
  if (!usesProvisionedKey(security)) return ecu;
  if (!benchKeys) refuseShipped(security.secret, `${ecu.name}.security.secret`);
  const secret = security.secret ?? secrets?.ecus[ecu.name]?.securityAccessKey;
  return secret === undefined ? ecu : { ...ecu, security: { ...security, secret } };
}

/** The identity of a bench vehicle. The backend does not know it, so there is no session. */
export function benchIdentity(vin: string, ecus: readonly VehicleEcu[]): IdentityFile {
  const tmu = benchEcuIdentity('TMU');
  return {
    format: 1,
    vin,
    serial: tmu.serial,
    hwId: tmu.serial,
    deviceSecret: toHex(tmu.deviceSecret),
    signingSeed: toHex(tmu.signingSeed),
    agreementKey: toHex(tmu.encryption.privateKey),
    ecus: Object.fromEntries(
      ecus.map(({ name, hardwareId }) => {
        const { serial, securityAccessKey, encryption } = benchEcuIdentity(name);
        const keys = {
          securityAccessKey: toHex(securityAccessKey),
          encryptionKey: toHex(encryption.publicKey),
        };
        return [name, { serial, hardwareId, ...keys }];
      }),
    ),
    approvalKey: toHex(benchApprovalKey()),
  };
}

/** How an ECU of ours recognizes the TMU's orders; undefined without an identity that has the ECU's key. */
export function authorityOf(secrets: Secrets | undefined, ecu: string): OrderAuthority | undefined {
  const key = secrets === undefined ? undefined : ecuAuthority(secrets, ecu);
  return key === undefined ? undefined : { role: 'tester', key };
}

function refuseShipped(secret: string | undefined, where: string): void {
  if (secret === undefined || !isShippedSecret(secret)) return;
  throw new InputError(
    where,
    `is a secret that comes with can-ota, so that everybody has it: ${HOW}`,
  );
}

// Ends provisioning by the lock, and provisions bench ECUs with well-known keys.

import { toHex } from '../../../src/core/bytes.ts';
import { InputError } from '../../../src/core/errors.ts';
import {
  benchApprovalKey,
  benchEcuIdentity,
  benchWorld,
  isShippedSecret,
} from '../../../src/trust/bench-keys.ts';
import { ProvisioningState } from '../../../src/uds/sid.ts';
import type { FlashMemory } from '../flash/flash-memory.ts';
import type { FactoryIdentity, IdentityContent } from './identity.ts';

/** All secrets of the content, as hexadecimal digits. */
export function secretsOf(content: Partial<IdentityContent>): string[] {
  const { deviceSecret, securityAccessKey, approvalKey, testerKey, factoryKey } = content;
  return [deviceSecret, securityAccessKey, approvalKey, testerKey, factoryKey].filter(
    (each) => typeof each === 'string',
  );
}

/** Throws InputError for an identity with the public keys of the bench; `where`: the folder of the flash. */
export function refuseBenchIdentity(identity: FactoryIdentity, where: string): void {
  if (!secretsOf(identity.content).some(isShippedSecret)) return;
  throw new InputError(
    where,
    'this flash was provisioned with the public keys of the bench: add --bench-keys, or begin with an empty folder',
  );
}

/** Binds chip, hardware and image, and locks the identity, in one durable write. */
export async function lock(
  identity: FactoryIdentity,
  flash: FlashMemory,
  deviceId: Uint8Array,
  hardwareId: string,
  change: Partial<IdentityContent>,
): Promise<void> {
  const running = flash.record.banks[flash.record.activeBank];
  await identity.store({
    ...change,
    binding: { deviceId: toHex(deviceId), hardwareId },
    factoryImage:
      running.content === 'valid' && running.proven
        ? { sha256: running.sha256, version: running.version, length: running.length }
        : null,
    locked: true,
  });
}

/** Provisions a virgin ECU of a bench with the well-known keys, without a factory. These keys protect nothing. */
export async function provisionForBench(options: {
  readonly name: string;
  readonly identity: FactoryIdentity;
  readonly flash: FlashMemory;
  readonly deviceId: Uint8Array;
  readonly hardwareId: string;
}): Promise<void> {
  const { identity, flash, name } = options;
  if (identity.state !== ProvisioningState.virgin) return;
  const own = benchEcuIdentity(name);
  const world = benchWorld();
  await lock(identity, flash, options.deviceId, options.hardwareId, {
    serial: own.serial,
    signingSeed: toHex(own.signingSeed),
    encryptionKey: toHex(own.encryption.privateKey),
    deviceSecret: toHex(own.deviceSecret),
    securityAccessKey: toHex(own.securityAccessKey),
    approvalKey: toHex(benchApprovalKey()),
    testerKey: toHex(benchEcuIdentity('TMU').encryption.publicKey),
    directorRoot: Buffer.from(world.directorRoot).toString('base64'),
    imagesRoot: Buffer.from(world.imagesRoot).toString('base64'),
  });
}

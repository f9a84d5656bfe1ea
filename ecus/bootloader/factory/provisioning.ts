// Provisioning of an ECU: serial number, keys, secrets and Roots are written, read back and locked finally.

import { asciiText, concatBytes, fromHex, toHex } from '../../../src/core/bytes.ts';
import type { Random } from '../../../src/core/random.ts';
import { isShippedSecret } from '../../../src/trust/bench-keys.ts';
import { trustRoot } from '../../../src/trust/repository.ts';
import { generateX25519, signerFromSeed, x25519PublicKey } from '../../../src/trust/signing-key.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import { Did, Routine, Session } from '../../../src/uds/sid.ts';
import type { BootedEcu } from '../device.ts';
import type { RoutineRule } from '../programming/routine-rule.ts';
import type { FactoryIdentity, IdentityContent } from './identity.ts';
import { lock, secretsOf } from './lock.ts';
import type { ProvisioningNeeds } from './provisioning-needs.ts';

/** Files of RequestFileTransfer that hold the first Roots. */
const ROOT_FILES = {
  'director.root.json': 'directorRoot',
  'images.root.json': 'imagesRoot',
} as const;
export type RootFile = keyof typeof ROOT_FILES;

export function isRootFile(path: string): path is RootFile {
  return Object.hasOwn(ROOT_FILES, path);
}

/** Message for a request that needs a provisioned ECU. */
export const HOW_TO_PROVISION =
  'this ECU is not provisioned: run can-ota provision, or start it with --bench-keys on a bench';

/** Reads the data identifiers FD11 to FD17, as far as they may be read now. */
export function readProvisioned(
  device: BootedEcu,
  did: number,
): Uint8Array | { readonly nrc: Nrc } | undefined {
  const { identity } = device;
  const { content } = identity;
  switch (did) {
    case Did.provisioningState:
      return Uint8Array.of(identity.state);
    case Did.publicKeys:
      return content.signingSeed === null || content.encryptionKey === null
        ? { nrc: Nrc.conditionsNotCorrect }
        : publicKeysOf(content.signingSeed, content.encryptionKey);
    case Did.deviceSecret:
      return secret(identity, content.deviceSecret);
    case Did.securityAccessKey:
      return secret(identity, content.securityAccessKey);
    case Did.approvalKey:
      return secret(identity, content.approvalKey);
    // Public keys, which a tester may compare with its own.
    case Did.testerKey:
      return content.testerKey === null
        ? { nrc: Nrc.conditionsNotCorrect }
        : fromHex(content.testerKey);
    case Did.factoryKey:
      return content.factoryKey === null
        ? { nrc: Nrc.conditionsNotCorrect }
        : fromHex(content.factoryKey);
    default:
      return undefined;
  }
}

function secret(
  identity: FactoryIdentity,
  value: string | null,
): Uint8Array | { readonly nrc: Nrc } {
  if (identity.locked) return { nrc: Nrc.securityAccessDenied };
  return value === null ? { nrc: Nrc.conditionsNotCorrect } : fromHex(value);
}

function publicKeysOf(signingSeed: string, encryptionKey: string): Uint8Array {
  const { publicKey } = signerFromSeed(fromHex(signingSeed));
  return concatBytes(fromHex(publicKey.keyval.public), x25519PublicKey(fromHex(encryptionKey)));
}

/** Writes an identifier that is writable until the lock; undefined for another one. Durable when it resolves. */
export async function writeProvisioned(
  device: BootedEcu,
  did: number,
  data: Uint8Array,
  authority: string | undefined,
): Promise<Nrc | 'stored' | undefined> {
  const change = provisionedChange(did, data);
  if (change === undefined) return undefined;
  if (device.identity.locked) {
    if (authority !== 'factory' || !SHARED_WITH_TESTER.has(did)) return Nrc.securityAccessDenied;
    if (typeof change === 'number') return change;
    await device.identity.replaceTester(change);
    return 'stored';
  }
  if (typeof change === 'number') return change;
  // Public secrets protect nothing.
  if (!device.benchKeys && secretsOf(change).some(isShippedSecret)) return Nrc.requestOutOfRange;
  await device.identity.store(change);
  return 'stored';
}

const SHARED_WITH_TESTER: ReadonlySet<number> = new Set([
  Did.testerKey,
  Did.securityAccessKey,
  Did.approvalKey,
]);

function provisionedChange(
  did: number,
  data: Uint8Array,
): Partial<IdentityContent> | Nrc | undefined {
  const key = (least: number, most: number): string | undefined =>
    data.length < least || data.length > most ? undefined : toHex(data);
  switch (did) {
    case Did.ecuSerialNumber: {
      if (data.length < 1 || data.length > 32) return Nrc.incorrectMessageLengthOrInvalidFormat;
      const serial = asciiText(data);
      return /^[0-9A-Za-z][0-9A-Za-z._-]*$/.test(serial) ? { serial } : Nrc.requestOutOfRange;
    }
    case Did.deviceSecret: {
      const deviceSecret = key(32, 32);
      return deviceSecret === undefined
        ? Nrc.incorrectMessageLengthOrInvalidFormat
        : { deviceSecret };
    }
    case Did.securityAccessKey: {
      const securityAccessKey = key(16, 64);
      return securityAccessKey === undefined
        ? Nrc.incorrectMessageLengthOrInvalidFormat
        : { securityAccessKey };
    }
    case Did.testerKey: {
      const testerKey = key(32, 32);
      return testerKey === undefined ? Nrc.incorrectMessageLengthOrInvalidFormat : { testerKey };
    }
    case Did.factoryKey: {
      const factoryKey = key(32, 32);
      return factoryKey === undefined ? Nrc.incorrectMessageLengthOrInvalidFormat : { factoryKey };
    }
    case Did.approvalKey: {
      const approvalKey = key(32, 32);
      return approvalKey === undefined
        ? Nrc.incorrectMessageLengthOrInvalidFormat
        : { approvalKey };
    }
    default:
      return undefined;
  }
}

/** Stores a Root from RequestFileTransfer, which must be signed by its own keys. Returns why it is refused. */
export async function takeRoot(
  device: BootedEcu,
  file: RootFile,
  bytes: Uint8Array,
): Promise<string | undefined> {
  const root = trustRoot(bytes, 'strict');
  if (!root.ok) return `${file}: ${root.reason}`;
  await device.identity.store({ [ROOT_FILES[file]]: Buffer.from(bytes).toString('base64') });
  device.trust.reload(device.identity);
  return undefined;
}

/** Routines 0220 and 0221. */
export function provisioningRoutines(
  device: BootedEcu,
  random: Random,
): Readonly<Record<number, RoutineRule>> {
  const { identity } = device;
  const sessions = [Session.extended, Session.programming];
  return {
    [Routine.generateKeys]: {
      sessions,
      access: 'open',
      start: async (record) => {
        if (record.length > 0) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
        if (identity.locked) return { nrc: Nrc.securityAccessDenied };
        await identity.store({
          signingSeed: toHex(random.bytes(32)),
          encryptionKey: toHex(generateX25519(random).privateKey),
        });
        device.emit({ kind: 'keys' });
        return Uint8Array.of(0);
      },
    },
    [Routine.lockReadout]: {
      sessions,
      access: 'open',
      start: async (record) => {
        if (record.length > 0) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
        if (identity.damaged !== undefined) return { nrc: Nrc.conditionsNotCorrect };
        // A tester that lost the answer repeats the request.
        if (identity.locked) return Uint8Array.of(0);
        const missing = missingFor(identity.content, device.needs);
        // The lock binds the running image, so it must be confirmed.
        const { trial, activationPending, rollbackPending } = device.flash.record;
        if (trial !== null || activationPending || rollbackPending) {
          missing.push('the confirmation of the image on trial (31 01 0211)');
        }
        if (missing.length > 0) {
          const reason = `${missing.join(', ')} must be provisioned before the lock`;
          device.emit({ kind: 'not-ready', reason });
          return { nrc: Nrc.conditionsNotCorrect };
        }
        await lock(identity, device.flash, device.deviceId, device.hardwareId, {});
        device.emit({ kind: 'locked', serial: identity.content.serial ?? '' });
        return Uint8Array.of(0);
      },
    },
  };
}

function missingFor(content: IdentityContent, needs: ProvisioningNeeds): string[] {
  const rows: readonly (readonly [boolean, string])[] = [
    [content.serial === null, 'the serial number (2E F18C)'],
    [content.deviceSecret === null, 'the device secret (2E FD13)'],
    [content.signingSeed === null || content.encryptionKey === null, 'the own keys (31 01 0220)'],
    [content.directorRoot === null, 'director.root.json (38)'],
    [content.imagesRoot === null, 'images.root.json (38)'],
    [
      needs.securityAccessKey && content.securityAccessKey === null,
      'the key of SecurityAccess (2E FD14)',
    ],
    [needs.approvalKey && content.approvalKey === null, 'the key of the approval (2E FD15)'],
    [content.testerKey === null, 'the key of the TMU (2E FD16)'],
  ];
  return rows.flatMap(([missing, name]) => (missing ? [name] : []));
}

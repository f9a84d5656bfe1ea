// The question to the backend, and what is to be said about its answer before the first byte has come.

import {
  type PackageRecipient,
  type SignedManifest,
  verifyPackage,
} from '../contract/chunked/package.ts';
import { encryptedLength } from '../contract/chunked/package-cipher.ts';
import type { CheckRequest, TransferFacts } from '../contract/chunked/protocol.ts';
import type { SmallDevice } from './device.ts';
import type { DeviceTransfer } from './device-state.ts';
import type { StagedChunks } from './staging.ts';

/** `held`: of the transfer that the device keeps, where it keeps one. */
export function checkRequestOf(
  { identity, version, facts, file: { transfer } }: SmallDevice,
  held: StagedChunks | undefined,
  chunkBytes: number,
  again: boolean,
): CheckRequest {
  return {
    kind: 'package',
    model: identity.model,
    // In recovery nothing runs, and anything is newer.
    version: version === '' ? '0' : version,
    counter: facts.counter,
    profile: facts.releaseKey.profile,
    chunkBytes,
    again,
    ...(transfer === null || transfer.id === '' ? {} : { transfer: transfer.id }),
    ...(transfer === null || held === undefined || held.bytes === 0
      ? {}
      : { held: { image: transfer.sha256, bytes: held.bytes } }),
  };
}

/** Why this device does not begin with it. */
export function offerFault(
  signed: SignedManifest,
  { image, chunkBytes }: TransferFacts,
  device: PackageRecipient,
  most: number,
): { readonly code: string; readonly reason: string } | undefined {
  const verdict = verifyPackage(signed, device);
  if (!verdict.ok) return verdict;
  const length = encryptedLength(verdict.manifest);
  if (image.length !== length) {
    const reason = `the encrypted image has ${image.length} bytes, one of this package has ${length}`;
    return { code: 'LENGTH', reason };
  }
  if (chunkBytes <= most) return undefined;
  const reason = `chunks of ${chunkBytes} bytes, this device takes at most ${most}`;
  return { code: 'CHUNK_SIZE', reason };
}

/** Bytes of an earlier try that are of this image, as both sides know it. */
export function usableBytes(
  { image, chunkBytes, prefix }: TransferFacts,
  kept: DeviceTransfer | null,
  held: StagedChunks | undefined,
): number {
  const isSame =
    kept?.sha256 === image.sha256 && kept.length === image.length && kept.chunkBytes === chunkBytes;
  const isAgreed = prefix?.bytes === held?.bytes && prefix?.sha256 === held?.sha256;
  return isSame && isAgreed ? (held?.bytes ?? 0) : 0;
}

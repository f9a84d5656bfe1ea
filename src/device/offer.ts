// The check request to the backend, and the checks of its answer before the download.

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

/** Makes the check request. `held`: the part of an image that the device holds. */
export function checkRequestOf(
  { identity, version, facts, file: { transfer } }: SmallDevice,
  held: StagedChunks | undefined,
  chunkBytes: number,
  again: boolean,
): CheckRequest {
  return {
    kind: 'package',
    model: identity.model,
    // In recovery no software runs, so every version is newer.
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

/** Why this device refuses the offer. */
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
    const reason = `the encrypted image has ${image.length} bytes, expected ${length} for this package`;
    return { code: 'LENGTH', reason };
  }
  if (chunkBytes <= most) return undefined;
  const reason = `chunks of ${chunkBytes} bytes, this device takes at most ${most}`;
  return { code: 'CHUNK_SIZE', reason };
}

/** Bytes of an earlier try that belong to this image, as both sides agree. */
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

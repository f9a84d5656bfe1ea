// Files of RequestFileTransfer (38): when each is accepted, and which image a complete file permits.

import { FIRST_IMAGE_FILE } from '../../../src/uds/first-image.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import type * as fileTransfer from '../../../src/uds/services/request-file-transfer.ts';
import type { BootedEcu } from '../device.ts';
import { firstRelease } from '../factory/first-image.ts';
import { isRootFile, type RootFile, takeRoot } from '../factory/provisioning.ts';
import type { MetadataCheck } from './metadata.ts';
import { isPlain } from './plain.ts';
import { type FileName, METADATA_FILE, type Permission } from './state.ts';

/** The content of RequestFileTransfer. */
export type FileRequest = fileTransfer.Request;

export interface AnnouncedFile {
  readonly nrc?: undefined;
  readonly name: FileName;
  readonly mode: 'addFile' | 'replaceFile';
  readonly size: number;
  readonly dataFormat: number;
  /** True for a Root, which keeps the earlier permission. Any other file replaces it. */
  readonly permitsNothing: boolean;
}

/** The file that the request announces, or the NRC against it. */
export function announcedFile(
  device: BootedEcu,
  request: FileRequest,
): { readonly nrc: Nrc } | AnnouncedFile {
  // 15.6.4: 31 for a mode that is not supported. A second file of the same name replaces the first.
  if (request.mode !== 'addFile' && request.mode !== 'replaceFile') {
    return { nrc: Nrc.requestOutOfRange };
  }
  const { path: name, mode, size, dataFormat } = request;
  const isFirst = name === FIRST_IMAGE_FILE && !isPlain(device.ecu);
  const isOfFactory = isRootFile(name) || isFirst;
  if (!isOfFactory && name !== METADATA_FILE) return { nrc: Nrc.requestOutOfRange };
  if (isOfFactory && device.identity.locked) return { nrc: Nrc.securityAccessDenied };
  if (request.compressedSize !== size) return { nrc: Nrc.requestOutOfRange };
  return { name, mode, size, dataFormat, permitsNothing: isRootFile(name) };
}

/** Called when the file is accepted. */
type Permit = (permission: Permission) => void;

/** Takes a complete file; undefined when it was accepted. Throws StorageError. */
export async function takeFile(
  device: BootedEcu,
  metadata: MetadataCheck,
  name: FileName,
  bytes: Uint8Array,
  permit: Permit,
): Promise<Nrc | undefined> {
  if (name === FIRST_IMAGE_FILE) return takeFirstImage(device, bytes, permit);
  return name === METADATA_FILE
    ? takeMetadata(device, metadata, bytes, permit)
    : takeRootFile(device, name, bytes);
}

async function takeMetadata(
  device: BootedEcu,
  metadata: MetadataCheck,
  bytes: Uint8Array,
  permit: Permit,
): Promise<Nrc | undefined> {
  const verdict = await metadata.accept(bytes);
  if (!verdict.ok) {
    const { code, where, reason } = verdict;
    device.logger.warn({ code, where, reason }, 'metadata refused');
    device.emit({ kind: 'metadata-refused', code, reason: `${where}: ${reason}` });
    await device.trust.noteAttack(code);
    // 15.5.4: 72 when an error is found while the transfer is finalised. Nothing has been erased so far.
    return Nrc.generalProgrammingFailure;
  }
  const release = verdict.value;
  permit(release === undefined ? { kind: 'no-image' } : { kind: 'metadata', release });
  if (release !== undefined) await device.banks.releaseAccepted(device, release.header);
  device.emit({ kind: 'metadata', version: release?.header.version ?? null });
  return undefined;
}

async function takeRootFile(
  device: BootedEcu,
  name: RootFile,
  bytes: Uint8Array,
): Promise<Nrc | undefined> {
  if (device.identity.locked) return Nrc.securityAccessDenied;
  const reason = await takeRoot(device, name, bytes);
  if (reason !== undefined) {
    device.emit({ kind: 'root-refused', reason });
    return Nrc.generalProgrammingFailure;
  }
  device.emit({ kind: 'root', file: name });
  return undefined;
}

function takeFirstImage(device: BootedEcu, bytes: Uint8Array, permit: Permit): Nrc | undefined {
  if (device.identity.locked) return Nrc.securityAccessDenied;
  const first = firstRelease(device, bytes);
  if (typeof first === 'string') {
    device.emit({ kind: 'not-ready', reason: first });
    return Nrc.generalProgrammingFailure;
  }
  permit({ kind: 'first-image', release: first });
  device.emit({ kind: 'first-image', version: first.header.version });
  return undefined;
}

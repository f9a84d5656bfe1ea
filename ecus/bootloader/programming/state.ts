// The state of a programming session as one union; nothing else is kept between two requests.

import type { FIRST_IMAGE_FILE } from '../../../src/uds/first-image.ts';
import type { RootFile } from '../factory/provisioning.ts';
import type { BlockSequence } from './download.ts';
import type { ImageTransfer } from './image-transfer.ts';
import type { AcceptedRelease } from './release.ts';

/** The bundle of signed metadata, by RequestFileTransfer. */
export const METADATA_FILE = 'metadata.json';

export type FileName = typeof METADATA_FILE | typeof FIRST_IMAGE_FILE | RootFile;

/** The image that this session may write to the target bank, with the reason. */
export type Permission =
  /** Nothing has been accepted yet. */
  | { readonly kind: 'none' }
  /** Signed metadata names the image. */
  | { readonly kind: 'metadata'; readonly release: AcceptedRelease }
  /** Metadata was accepted and has no image for this ECU, or the lock has ended the first image. */
  | { readonly kind: 'no-image' }
  /** The factory announced the image; this is valid until the lock. */
  | { readonly kind: 'first-image'; readonly release: AcceptedRelease }
  /** The previous image, which needs no new metadata. */
  | { readonly kind: 'previous'; readonly release: AcceptedRelease }
  /** An ECU that verifies nothing takes any image. */
  | { readonly kind: 'plain'; readonly release: AcceptedRelease };

/** What this session has done to the target bank. A bank that was blank before the session must still be erased. */
type TargetBank =
  | 'untouched'
  | 'erased'
  /** A whole image was transferred and needs its check. */
  | 'transferred';

export type ProgrammingState =
  /** No transfer is under way. */
  | { readonly kind: 'waiting'; readonly permission: Permission; readonly bank: TargetBank }
  /** A file is received into RAM; the state of the bank stays. */
  | {
      readonly kind: 'receiving-file';
      readonly permission: Permission;
      readonly bank: TargetBank;
      readonly name: FileName;
      readonly bytes: Uint8Array;
      readonly blocks: BlockSequence;
    }
  /** An image is received into the target bank. */
  | {
      readonly kind: 'receiving-image';
      readonly permission: Permission;
      readonly transfer: ImageTransfer;
      readonly blocks: BlockSequence;
    };

/** The state at the beginning of each programming session. */
export const NEW_SESSION: ProgrammingState = {
  kind: 'waiting',
  permission: { kind: 'none' },
  bank: 'untouched',
};

export function releaseOf(permission: Permission): AcceptedRelease | undefined {
  return 'release' in permission ? permission.release : undefined;
}

/** The state after an interrupted transfer; the content of the bank is not used. */
export function interrupted({ permission }: ProgrammingState): ProgrammingState {
  return { kind: 'waiting', permission, bank: 'untouched' };
}

/** The state after the image in the bank has become valid. */
export function accepted(state: ProgrammingState): ProgrammingState {
  return awaitsCheck(state) ? { ...state, bank: 'untouched' } : state;
}

/** Whether the image in the bank is complete and not accepted yet. */
export function awaitsCheck(
  state: ProgrammingState,
): state is Exclude<ProgrammingState, { kind: 'receiving-image' }> {
  return state.kind !== 'receiving-image' && state.bank === 'transferred';
}

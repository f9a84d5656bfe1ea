// What differs between an ECU with two banks and one with a single bank, behind one interface.

import type { TrustFault } from '../../../src/trust/attack.ts';
import type { ImageHeader } from '../../../src/trust/image-header.ts';
import type { AcceptedRelease } from '../programming/release.ts';
import type { BootParts } from './boot-check.ts';
import type { BankIndex, BootRecord } from './boot-record.ts';

export interface BankDriver {
  /** The next boot can start the other bank: a new image runs on trial, and a rollback is possible. */
  readonly canSwitch: boolean;
  /** The bank that a download goes to. */
  target(record: BootRecord): BankIndex;
  /** The bank beside the active one; undefined where there is none. */
  inactive(record: BootRecord): BankIndex | undefined;
  /** The target bank holds what an unconfirmed image, or a requested rollback, falls back to. */
  targetIsNeeded(record: BootRecord): boolean;
  /** Why no boot would start the image in the target bank; undefined where it would, or where no boot switches to it. */
  targetRefusal(parts: BootParts): Promise<TrustFault | undefined>;
  /** What may be programmed without new metadata: the image before the running one. Undefined: there is none. */
  previousRelease(parts: BootParts): Promise<AcceptedRelease | undefined>;
  /** Before an erase for a new image: keeps what a failed update must restore. Throws StorageError. */
  keepRunning(parts: BootParts): Promise<void>;
  /** Metadata of the next image was accepted. Throws StorageError. */
  releaseAccepted(parts: BootParts, next: ImageHeader): Promise<void>;
}

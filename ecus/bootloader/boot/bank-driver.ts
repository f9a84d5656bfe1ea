// The interface for the differences between an ECU with two banks and one with a single bank.

import type { TrustFault } from '../../../src/trust/attack.ts';
import type { ImageHeader } from '../../../src/trust/image-header.ts';
import type { AcceptedRelease } from '../programming/release.ts';
import type { BootParts } from './boot-check.ts';
import type { BankIndex, BootRecord } from './boot-record.ts';

export interface BankDriver {
  /** Whether the next boot can start the other bank: a new image runs on trial, and a rollback is possible. */
  readonly canSwitch: boolean;
  /** The bank that a download goes to. */
  target(record: BootRecord): BankIndex;
  /** The bank beside the active one; undefined where there is none. */
  inactive(record: BootRecord): BankIndex | undefined;
  /** Whether the target bank holds the image for the fall back of an unconfirmed image or of a requested rollback. */
  targetIsNeeded(record: BootRecord): boolean;
  /**
   * Why no boot would start the image in the target bank; undefined where it would, or where no boot switches to it.
   */
  targetRefusal(parts: BootParts): Promise<TrustFault | undefined>;
  /** The previous image, which may be programmed without new metadata; undefined where there is none. */
  previousRelease(parts: BootParts): Promise<AcceptedRelease | undefined>;
  /**
   * Called before an erase for a new image: keeps the record that a failed update must restore. Throws StorageError.
   */
  keepRunning(parts: BootParts): Promise<void>;
  /** Called when metadata of the next image was accepted. Throws StorageError. */
  releaseAccepted(parts: BootParts, next: ImageHeader): Promise<void>;
}

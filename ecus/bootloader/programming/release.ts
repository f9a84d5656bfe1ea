// The image that may be programmed, and the format of its bytes.

import type { ImageHeader } from '../../../src/trust/image-header.ts';

export interface AcceptedRelease {
  readonly header: ImageHeader;
  /** Format in which its bytes must be sent. */
  readonly format: 'plain' | 'encrypted' | 'either';
  /** Record that is stored with the bank, so that every boot can check it again. The factory image has none. */
  readonly record: Uint8Array | undefined;
}

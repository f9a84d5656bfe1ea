// The image that may be programmed, and in which form its bytes come.

import type { ImageHeader } from '../../../src/trust/image-header.ts';

export interface AcceptedRelease {
  readonly header: ImageHeader;
  /** How its bytes must come. */
  readonly format: 'plain' | 'encrypted' | 'either';
  /** Goes beside the bank with the image, so that every boot can check it again. The factory image has none. */
  readonly record: Uint8Array | undefined;
}

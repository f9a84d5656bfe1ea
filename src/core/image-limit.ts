// The one bound of images: upload page, release tools, backend, TMU and packages say the same.

/** bytes. Addresses and lengths of ECU memory have 32 bits here, and so has the largest image. */
export const LARGEST_IMAGE_BYTES = 2 ** 32 - 1;

/** For messages. */
export const LARGEST_IMAGE_TEXT = `${LARGEST_IMAGE_BYTES} bytes (4 GiB less one)`;

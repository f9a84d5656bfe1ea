// The largest image: one limit for upload page, release tools, backend, TMU and packages.

/** Largest image in bytes: addresses and lengths of ECU memory have 32 bits here. */
export const LARGEST_IMAGE_BYTES = 2 ** 32 - 1;

/** The limit as text for messages. */
export const LARGEST_IMAGE_TEXT = `${LARGEST_IMAGE_BYTES} bytes (4 GiB less one)`;

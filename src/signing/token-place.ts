// The place of a key in a PKCS#11 token.

import { z } from 'zod';

/** The place of a key that is not in a file. */
export const tokenPlace = z.strictObject({
  module: z.string().min(1),
  token: z.string().min(1),
  label: z.string().min(1),
});
export type TokenPlace = z.infer<typeof tokenPlace>;

// Where in which PKCS#11 token a key is.

import { z } from 'zod';

/** Where a key lives that is in no file. */
export const tokenPlace = z.strictObject({
  module: z.string().min(1),
  token: z.string().min(1),
  label: z.string().min(1),
});
export type TokenPlace = z.infer<typeof tokenPlace>;

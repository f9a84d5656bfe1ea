// A package for small devices as operators see it.

import { z } from 'zod';
import { manifestSchema } from '../../chunked/package.ts';
import { timeText } from '../../fields.ts';

export const releasedPackage = z
  .object({
    ...manifestSchema.omit({ type: true, format: true }).shape,
    /** Identifies the key that signed it. */
    key_id: z.string(),
    released_by: z.string(),
    released_at: timeText,
    withdrawn: z.object({ by: z.string(), at: timeText, reason: z.string() }).nullable(),
  })
  .meta({ id: 'DevicePackage' });

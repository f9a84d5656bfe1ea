// The first fault that a schema found: enough for a person to correct a file or a body.

import type { z } from 'zod';
import { present } from './present.ts';

/** The first issue; an error of zod has at least one. */
export function firstIssue(error: z.ZodError): z.core.$ZodIssue {
  return present(error.issues[0], 'the issue of a schema error');
}

// The published JSON schema, made from the same zod schema that the loader checks with.

import { z } from 'zod';
import { vehicleSchema } from './schema.ts';

/** JSON schema (draft 2020-12) of what may be written down, before defaults are filled in. */
export function vehicleJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(vehicleSchema, { io: 'input', target: 'draft-2020-12' });
  return { ...schema, title: 'can-ota vehicle description' };
}

// One small durable file of JSON: read at power-on, replaced as a whole, never half of it.

import type { z } from 'zod';
import { describeError } from '../core/errors.ts';
import type { Storage } from '../core/storage.ts';

export type JsonFile<T> =
  | { readonly kind: 'known'; readonly value: T }
  | { readonly kind: 'missing' }
  /** Nothing in it is believed. */
  | { readonly kind: 'damaged'; readonly reason: string };

/** Throws StorageError. */
export async function readJsonFile<T>(
  storage: Storage,
  name: string,
  schema: z.ZodType<T>,
): Promise<JsonFile<T>> {
  const bytes = await storage.read(name);
  if (bytes === undefined) return { kind: 'missing' };
  try {
    const parsed = schema.safeParse(
      JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)),
    );
    if (parsed.success) return { kind: 'known', value: parsed.data };
    const issue = parsed.error.issues[0]!;
    return { kind: 'damaged', reason: `${issue.path.join('.')}: ${issue.message}` };
  } catch (error) {
    return { kind: 'damaged', reason: describeError(error) };
  }
}

/** Durable when it resolves. Throws StorageError. */
export function writeJsonFile(storage: Storage, name: string, value: unknown): Promise<void> {
  const text = `${JSON.stringify(value, undefined, 2)}\n`;
  return storage.replace(name, new TextEncoder().encode(text));
}

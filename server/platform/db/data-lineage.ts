// Whether the database of a data folder is the one that this server wrote last, or a copy of an earlier state of it.

import { z } from 'zod';
import { DiskStorage } from '../../../src/core/storage.ts';
import { readCounter, setCounter } from './counters.ts';
import { DATABASE_FILE, type Database } from './database.ts';

const FILE = 'lineage.json';
const GENERATION = 'data-generation';

const content = z.object({
  format: z.literal(1),
  /** Which file the database is on this disk: a copy of it is another one. */
  database: z.string().max(100),
  /** Rises with every start, in the database and here: a database that is behind was put back alone. */
  generation: z.int().nonnegative(),
});

/** `copied`: the whole folder was copied, moved or restored. `older`: the database alone is from an earlier start. */
export type Lineage = 'same' | 'new' | 'copied' | 'older';

/** Looks, and notes this start. A damaged or missing file says nothing and is written again. */
export async function enterLineage(folder: string, db: Database): Promise<Lineage> {
  const storage = await DiskStorage.open(folder);
  const database = await storage.identity(DATABASE_FILE);
  const kept = parse(await storage.read(FILE));
  const here = await readCounter(db.query, GENERATION);
  const lineage = compared(kept, { database, generation: here });
  // The database first: a crash between the two leaves a file that is behind, which means nothing.
  const generation = Math.max(here, kept?.generation ?? 0) + 1;
  await setCounter(db.query, GENERATION, generation);
  const text = `${JSON.stringify({ format: 1, database, generation })}\n`;
  await storage.replace(FILE, new TextEncoder().encode(text));
  return lineage;
}

function compared(
  kept: z.infer<typeof content> | undefined,
  now: { readonly database: string; readonly generation: number },
): Lineage {
  if (kept === undefined) return 'new';
  if (kept.generation > now.generation) return 'older';
  return kept.database === now.database ? 'same' : 'copied';
}

function parse(bytes: Uint8Array | undefined): z.infer<typeof content> | undefined {
  if (bytes === undefined) return undefined;
  try {
    return content.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}

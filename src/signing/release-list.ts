// The releases in a Targets list, and the release counters that were used.

import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import type { TargetSpec } from '../trust/role-signing.ts';
import type { KeyFolder } from './folder.ts';

/** `custom` of an image in the image repository. The Director copies it; a vehicle shows the driver these notes. */
const releaseCustom = z.object({
  ecu: z.string(),
  version: z.string(),
  hardwareIds: z.array(z.string()),
  releaseCounter: z.int().nonnegative(),
  dependencies: z.record(z.string(), z.string()),
  encrypt: z.boolean(),
  forced: z.boolean().default(false),
  /** Where the first byte of an image of one segment lies. */
  address: z.int().nonnegative().optional(),
  notes: z.string().default(''),
});
export type ReleaseCustom = z.infer<typeof releaseCustom>;

export interface ListedRelease {
  readonly name: string;
  readonly length: number;
  readonly sha256: string;
  readonly custom: ReleaseCustom;
}

/** File with the highest used counter of each ECU, so that the counter of a revoked release is not used again. */
const COUNTERS = 'counters.json';
const counterFile = z.record(z.string(), z.int().nonnegative());

export async function givenCounters(folder: KeyFolder): Promise<Readonly<Record<string, number>>> {
  const bytes = await folder.storage.read(COUNTERS);
  if (bytes === undefined) return {};
  try {
    return counterFile.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    throw new InputError(folder.path(COUNTERS), 'is damaged: expected {"EDT": 5}', {
      cause: error,
    });
  }
}

/** Stores that these counters were used. A stored counter never decreases. */
export async function keepCounters(
  folder: KeyFolder,
  releases: readonly Pick<ListedRelease, 'custom'>[],
): Promise<void> {
  const counters: Record<string, number> = { ...(await givenCounters(folder)) };
  for (const { custom } of releases) {
    counters[custom.ecu] = Math.max(counters[custom.ecu] ?? 0, custom.releaseCounter);
  }
  await folder.storage.replace(COUNTERS, Buffer.from(`${JSON.stringify(counters)}\n`));
}

/** Releases in a Targets list, ordered by ECU and counter. Targets without our `custom` fields are left out. */
export function listed(targets: ReadonlyMap<string, TargetSpec>): ListedRelease[] {
  const releases = [...targets].flatMap(([name, { length, hashes, custom }]) => {
    const fields = releaseCustom.safeParse(custom);
    if (!fields.success) return [];
    return [{ name, length, sha256: hashes.sha256 ?? '', custom: fields.data }];
  });
  const key = ({ custom }: ListedRelease): string =>
    `${custom.ecu} ${String(custom.releaseCounter).padStart(16, '0')}`;
  return releases.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

// The releases that a Targets list names, and the release counters that were given out.

import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import type { TargetSpec } from '../trust/role-signing.ts';
import type { KeyFolder } from './folder.ts';

/** `custom` of an image in the image repository. The Director repeats it; a vehicle shows the driver the notes from here. */
const releaseCustom = z.object({
  ecu: z.string(),
  version: z.string(),
  hardwareIds: z.array(z.string()),
  releaseCounter: z.int().nonnegative(),
  dependencies: z.record(z.string(), z.string()),
  encrypt: z.boolean(),
  forced: z.boolean().default(false),
  notes: z.string().default(''),
});
export type ReleaseCustom = z.infer<typeof releaseCustom>;

export interface ListedRelease {
  readonly name: string;
  readonly length: number;
  readonly sha256: string;
  readonly custom: ReleaseCustom;
}

/** The highest counter of each ECU that was ever given out: that of a revoked release is not given a second time. */
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

/** Writes down that these counters were given out. A counter never goes back. */
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

/** Releases in a Targets list, in the order of ECU and counter. What is no release of ours is left out. */
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

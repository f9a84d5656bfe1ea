// Signed releases whose image is not on this server: vehicles get an older one, or none.

import type { ReleaseSource } from './signed-releases.ts';
import type { ReleaseStore } from './store.ts';

const NAMED = 3;

/** A sentence for people; undefined where nothing is missing. */
export function missingImages(
  releases: ReleaseSource | undefined,
  store: Pick<ReleaseStore, 'holds'>,
): string | undefined {
  const names = (releases?.releases() ?? [])
    .filter(({ sha256 }) => !store.holds(sha256))
    .map(({ name }) => name);
  if (names.length === 0) return undefined;
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  const what =
    names.length === 1 ? 'A signed release has no image' : 'Signed releases have no image';
  return `${what} on this server: ${names.slice(0, NAMED).join(', ')}${more}. Run can-ota release push IMAGE...`;
}

// What a vehicle knows and this server does not: the sign of a server that was restored from a backup.

import type { KnownVersions } from '../../../src/trust/manifest.ts';
import type { RoleVersions } from '../../../src/trust/repository.ts';

export interface OwnVersions {
  readonly director: RoleVersions;
  /** Undefined where another server has the image repository. */
  readonly images: RoleVersions | undefined;
}

export interface Behind {
  /** `image Targets 6 (5 here), Director Timestamp 9 (4 here)`. */
  readonly what: string;
  /** Commands that lead out, for people. */
  readonly wayOut: string;
}

const REPOSITORIES = [
  ['director', 'Director'],
  ['images', 'image'],
] as const;
const ROLES = [
  ['root', 'Root'],
  ['targets', 'Targets'],
  ['snapshot', 'Snapshot'],
  ['timestamp', 'Timestamp'],
] as const;

/** Signed offline: the key ceremony still has it, and this server cannot sign the next one. */
function isOffline(repository: 'director' | 'images', role: string): boolean {
  return role === 'root' || (repository === 'images' && role === 'targets');
}

/** Undefined: this server is not behind the vehicle. */
export function behind(knows: KnownVersions | undefined, own: OwnVersions): Behind | undefined {
  const found: { readonly text: string; readonly offline: boolean }[] = [];
  for (const [repository, title] of REPOSITORIES) {
    const here = own[repository];
    if (here === undefined) continue;
    for (const [role, name] of ROLES) {
      const [known, ours] = [knows?.[repository][role] ?? 0, here[role] ?? 0];
      if (known <= ours) continue;
      const text = `${title} ${name} ${known} (${ours} here)`;
      found.push({ text, offline: isOffline(repository, role) });
    }
  }
  if (found.length === 0) return undefined;
  const wayOut = [
    ...(found.some(({ offline }) => !offline) ? ['can-ota server restored'] : []),
    ...(found.some(({ offline }) => offline) ? ['can-ota release push'] : []),
  ];
  return {
    what: found.map(({ text }) => text).join(', '),
    wayOut: wayOut.join(', and '),
  };
}

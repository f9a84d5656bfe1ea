// The trusted files of one repository: immutable, with a new state for every accepted file.

import type { Root, Snapshot, Targets, Timestamp } from '@tufjs/models';
import { defined } from '../core/optional.ts';
import type { Trusted } from './metadata.ts';
import type { Dialect } from './profile.ts';

/** The verified files, which set the floor for new ones. Immutable: each step makes a new state. */
export interface RepositoryTrust {
  readonly dialect: Dialect;
  readonly root: Trusted<Root>;
  readonly timestamp?: Trusted<Timestamp>;
  readonly snapshot?: Trusted<Snapshot>;
  /** `targets` and the delegated roles by name. A delegated role is checked again for each delegation that leads to it. */
  readonly targets: ReadonlyMap<string, Trusted<Targets>>;
}

export interface RoleVersions {
  readonly root: number;
  readonly timestamp?: number;
  readonly snapshot?: number;
  readonly targets?: number;
}

/** The state that the steps update. */
export interface TrustHolder {
  trust: RepositoryTrust;
}

export const TOP_LEVEL: ReadonlySet<string> = new Set(['root', 'timestamp', 'snapshot', 'targets']);

export function withFiles(
  { dialect, root }: RepositoryTrust,
  timestamp: Trusted<Timestamp> | undefined,
  snapshot: Trusted<Snapshot> | undefined,
  targets: ReadonlyMap<string, Trusted<Targets>>,
): RepositoryTrust {
  return {
    dialect,
    root,
    ...defined({ timestamp, snapshot }),
    targets,
  };
}

export function withTargets(
  trust: RepositoryTrust,
  role: string,
  file: Trusted<Targets>,
): RepositoryTrust {
  return { ...trust, targets: new Map([...trust.targets, [role, file]]) };
}

// Which role may sign an image: the search through delegations of Uptane 5.4.4.8 and 5.4.4.9.
//
// A delegation to several roles together (TAP 3) is an entry of the list `delegations.roles` like any other. So it has a
// place in their order, and the parser of TUF accepts it:
//
//   {"name": "suppliers", "keyids": [], "threshold": 1, "terminating": false, "paths": ["EDT-*"],
//    "hardwareIds": ["EDT-HW-1"], "min_roles_in_agreement": 2,
//    "roles": [{"name": "supplier-a", "keyids": [...], "threshold": 1}, {"name": "supplier-b", ...}]}
//
// It has no keys: a client without TAP 3 takes it for a role without a valid signature. `hardwareIds` is also possible in
// an ordinary delegation; without it the delegation covers every hardware id.

import { sha256 } from '@noble/hashes/sha2.js';
import type { TargetFile, Targets } from '@tufjs/models';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { getOrAdd, itemAt, present } from '../core/present.ts';
import { independentVoices, type Voice } from './agreement.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import { type Authority, signersOf, type Trusted } from './metadata.ts';
import { matchesPattern } from './path-pattern.ts';
import { type Dialect, MAX_DELEGATIONS, RULES } from './profile.ts';
import {
  checkRoleName,
  type MetadataAnswer,
  type MetadataRequest,
  Retrieval,
  type Steps,
} from './retrieval.ts';
import { listedTargets } from './role-checks.ts';
import { field, quoted } from './strict-json.ts';
import { matchSection, readImage } from './target-custom.ts';
import { type RepositoryTrust, TOP_LEVEL, type TrustHolder, withTargets } from './trust-state.ts';

interface DelegatedRole {
  readonly name: string;
  readonly authority: Authority;
}

export interface Delegation {
  readonly name: string;
  readonly terminating: boolean;
  /** One role, or the roles of which some number must agree. */
  readonly roles: readonly DelegatedRole[];
  /** How many of `roles` must agree; undefined for an ordinary delegation. */
  readonly minRolesInAgreement: number | undefined;
}

const several = z.object({
  hardwareIds: z.array(z.string()).optional(),
  min_roles_in_agreement: z.int().positive().optional(),
  roles: z
    .array(
      z.object({
        name: z
          .string()
          .min(1)
          .refine((name) => !TOP_LEVEL.has(name), 'is a top-level role'),
        keyids: z.array(z.string()),
        threshold: z.int().positive(),
      }),
    )
    .min(1)
    .optional(),
});

/** The delegations of a file for one target, in the order of their priority. */
export function delegationsFor(
  targets: Trusted<Targets>,
  target: string,
  hardwareId: string | undefined,
  dialect: Dialect,
): Verdict<readonly Delegation[]> {
  const { delegations } = targets.metadata.signed;
  if (delegations === undefined) return accepted([]);
  const { keys } = targets;
  if (delegations.succinctRoles !== undefined) {
    const { keyIDs, threshold } = delegations.succinctRoles;
    const name = delegations.succinctRoles.getRoleForTarget(target);
    return accepted([single(name, true, { keyIds: keyIDs, threshold, keys })]);
  }
  const found: Delegation[] = [];
  for (const name of roleNames(targets)) {
    const role = present(delegations.roles?.[name], `delegation ${name}`);
    const { keyIDs, threshold, terminating, paths = [], pathHashPrefixes = [] } = role;
    const matches =
      paths.some((pattern) => matchesPattern(target, pattern)) ||
      pathHashPrefixes.some((prefix) => pathHash(target).startsWith(prefix));
    if (!matches) continue;
    const own = { keyIds: keyIDs, threshold, keys };
    if (!RULES[dialect].uptaneDelegations) {
      found.push(single(name, terminating, own));
      continue;
    }
    const fields = several.safeParse(role.unrecognizedFields);
    if (!fields.success) {
      const reason = `delegation ${quoted(name)}: ${z.prettifyError(fields.error)}`;
      return refused('MALFORMED', 'targets', reason);
    }
    const { hardwareIds, roles, min_roles_in_agreement: minimum } = fields.data;
    // 5.4.4.8 step 4.1: both the name of the image and the hardware id must be delegated.
    if (
      hardwareIds !== undefined &&
      (hardwareId === undefined || !hardwareIds.includes(hardwareId))
    ) {
      continue;
    }
    if (roles === undefined) found.push(single(name, terminating, own));
    else {
      const members = roles.map((member) => ({
        name: member.name,
        authority: { keyIds: member.keyids, threshold: member.threshold, keys },
      }));
      found.push({
        name,
        terminating,
        roles: members,
        minRolesInAgreement: minimum ?? roles.length,
      });
    }
  }
  return accepted(found);
}

function single(name: string, terminating: boolean, authority: Authority): Delegation {
  return { name, terminating, roles: [{ name, authority }], minRolesInAgreement: undefined };
}

/** Role names in their listed order: the models store delegations by name, and an object puts a role "7" first. */
function roleNames({ signed }: Trusted<Targets>): string[] {
  const roles = field(signed.delegations, 'roles');
  return Array.isArray(roles) ? roles.map((role) => String(field(role, 'name'))) : [];
}

function pathHash(target: string): string {
  return toHex(sha256(new TextEncoder().encode(target)));
}

/** The search for one image in a repository whose top-level roles are up to date. */
export class TargetSearch {
  readonly #holder: TrustHolder;
  readonly #retrieval: Retrieval<TargetFile | undefined>;

  constructor(trust: RepositoryTrust, name: string, nowMs: number, hardwareId?: string) {
    this.#holder = { trust };
    this.#retrieval = new Retrieval(searchSteps(this.#holder, name, hardwareId, nowMs));
  }

  /** The trust with the delegated roles that the search has accepted. */
  get trust(): RepositoryTrust {
    return this.#holder.trust;
  }

  next(): MetadataRequest | undefined {
    return this.#retrieval.next();
  }

  accept(answer: MetadataAnswer): Verdict<void> {
    return this.#retrieval.accept(answer);
  }

  /** Set when the search has ended: the image, or undefined if no authorized role has signed one of this name. */
  get outcome(): Verdict<TargetFile | undefined> | undefined {
    return this.#retrieval.outcome;
  }
}

interface Search {
  readonly holder: TrustHolder;
  readonly name: string;
  readonly hardwareId: string | undefined;
  readonly nowMs: number;
  /** Number of roles that may still be visited, shared by all branches. */
  readonly budget: { left: number };
}

/** `stop`: a terminating delegation ended the search. */
type Found = TargetFile | 'none' | 'stop';

/** 5.4.4.8: depth first, in the listed order, each role once. Undefined: no authorized role has signed the image. */
export function* searchSteps(
  holder: TrustHolder,
  name: string,
  hardwareId: string | undefined,
  nowMs: number,
): Steps<TargetFile | undefined> {
  const top = holder.trust.targets.get('targets');
  if (top === undefined) throw new Error('a search needs Targets: update the repository first');
  const search = { holder, name, hardwareId, nowMs, budget: { left: MAX_DELEGATIONS } };
  const found = yield* visit(search, top, new Set(['targets']));
  if (!found.ok) return found;
  return accepted(typeof found.value === 'string' ? undefined : found.value);
}

function* visit(search: Search, file: Trusted<Targets>, visited: Set<string>): Steps<Found> {
  const { targets } = file.metadata.signed;
  // Step 2.
  const own = Object.hasOwn(targets, search.name) ? targets[search.name] : undefined;
  if (own !== undefined) return accepted(own);
  const { dialect } = search.holder.trust;
  const delegations = delegationsFor(file, search.name, search.hardwareId, dialect);
  if (!delegations.ok) return delegations;
  // Step 4.
  for (const { roles, terminating, minRolesInAgreement } of delegations.value) {
    const found =
      minRolesInAgreement === undefined
        ? yield* ask(search, itemAt(roles, 0), visited)
        : yield* askAll(search, roles, minRolesInAgreement, visited);
    if (!found.ok || found.value !== 'none') return found;
    // Step 3. The roles below a terminating delegation were visited, as in TUF 5.6.7; no further role is.
    if (terminating) return accepted('stop');
  }
  return accepted('none');
}

/** Step 1 for one delegated role, then the roles below it. */
function* ask(
  search: Search,
  { name, authority }: DelegatedRole,
  visited: Set<string>,
): Steps<Found> {
  if (visited.has(name)) return accepted('none');
  visited.add(name);
  const named = checkRoleName(name);
  if (!named.ok) return named;
  if (search.budget.left-- === 0) {
    const reason = `more than ${MAX_DELEGATIONS} delegated roles for ${quoted(search.name)}`;
    return refused('ENDLESS_DATA', name, reason);
  }
  const file = yield* listedTargets(search.holder, name, authority, search.nowMs);
  if (!file.ok) return file;
  if (search.holder.trust.targets.get(name) !== file.value) {
    search.holder.trust = withTargets(search.holder.trust, name, file.value);
  }
  return yield* visit(search, file.value, visited);
}

/** The statement of one of several roles, with its keys. */
interface Spoken extends Voice {
  readonly target: TargetFile;
}

/**
 * 5.4.4.9: enough of the roles must say the same, each with keys that count for it alone. A role whose file is missing or
 * wrong does not count; if too few other roles agree, its fault is reported.
 */
function* askAll(
  search: Search,
  roles: readonly DelegatedRole[],
  minimum: number,
  visited: Set<string>,
): Steps<Found> {
  const agreeing = new Map<string, Spoken[]>();
  let fault: Verdict<Found> = accepted('none');
  for (const role of roles) {
    // Each role is visited separately: a role that one branch has visited may be visited by the next.
    const found = yield* ask(search, role, new Set(visited));
    if (!found.ok) {
      if (fault.ok) fault = found;
    } else if (typeof found.value !== 'string') {
      const { dialect, targets } = search.holder.trust;
      const { name, authority } = role;
      const signers = signersOf(present(targets.get(name), `role ${name}`), authority);
      const spoken = { name, signers, threshold: authority.threshold, target: found.value };
      const said = statement(found.value, dialect);
      getOrAdd(agreeing, said, () => []).push(spoken);
    }
  }
  // Step 2.2: of several sets that are large enough, the one with the earliest role, which is also the first in the map.
  const [first] = [...agreeing.values()].find((set) => independentVoices(set) >= minimum) ?? [];
  return first === undefined ? fault : accepted(first.target);
}

/** The part on which roles must agree: length, hashes, and the fields that must match. */
function statement(target: TargetFile, dialect: Dialect): string {
  const fields = readImage(target, dialect);
  // Unreadable fields never agree with readable ones.
  return JSON.stringify(fields.ok ? [...matchSection(target, fields.value)] : target.toJSON());
}

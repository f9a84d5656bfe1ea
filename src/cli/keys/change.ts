// Changes of the keys that may sign (rotate, revoke, threshold), and the renewal of metadata that is about to expire.

import { InputError } from '../../core/errors.ts';
import { present } from '../../core/present.ts';
import { type CeremonyOutcome, DAY_MS, rolesOf } from '../../signing/ceremony.ts';
import {
  currentRoot,
  draftName,
  openDraft,
  parse,
  requireRepository,
} from '../../signing/draft.ts';
import { type KeyFolder, type KnownKey, ONLINE_ROLES, REPOSITORIES } from '../../signing/folder.ts';
import { namer } from '../../signing/overview.ts';
import { type KeysWork, show } from '../../signing/work.ts';
import type { RepositoryName } from '../../trust/full-verification.ts';
import type { RoleKeys } from '../../trust/role-signing.ts';
import { keyIdOf, type SigningAlgorithm } from '../../trust/signing-key.ts';

export interface RotateChoice {
  readonly old?: string;
  /** Name of the new key; by default a new key is made. */
  readonly new?: string;
  readonly algorithm?: SigningAlgorithm;
}

/** Replaces one key of a role by another, in the next Root. */
export async function rotate(
  work: KeysWork,
  name: string,
  role: string,
  choice: RotateChoice,
): Promise<readonly CeremonyOutcome[]> {
  const { folder, ceremony, passphrases } = work;
  const repository = requireRepository(name);
  const held = await heldKeys(work, repository, role);
  const old = choice.old ?? only(held, `${repository} ${role}`);
  const oldKey = await folder.key(old);
  if (!held.includes(old)) {
    throw new InputError(old, `does not sign ${repository} ${role}: ${held.join(', ')} do`);
  }
  const online = ONLINE_ROLES[repository].includes(role);
  const fresh =
    choice.new === undefined
      ? await folder.create(
          await freeName(folder, `${repository}-${role}`),
          choice.algorithm ?? 'ed25519',
          online ? undefined : await passphrases.forNewKeys(),
        )
      : await folder.key(choice.new);
  const outcomes = await ceremony.changeRoot(repository, (roles) => {
    const { keys, threshold } = present(roles.get(role), `role ${role}`);
    requireNew(keys, fresh);
    const others = keys.filter((key) => keyIdOf(key) !== oldKey.keyId);
    roles.set(role, { keys: [...others, fresh.publicKey], threshold });
  });
  await show(work, outcomes);
  return outcomes;
}

/** Removes a key from every role of both repositories. */
export async function revoke(work: KeysWork, name: string): Promise<void> {
  const { keyId } = await work.folder.key(name);
  const others = ({ keys, threshold }: RoleKeys): RoleKeys => ({
    keys: keys.filter((key) => keyIdOf(key) !== keyId),
    threshold,
  });
  const outcomes: CeremonyOutcome[] = [];
  for (const repository of REPOSITORIES) {
    const roles = await newestRoles(work, repository);
    if ([...roles.values()].every((role) => others(role).keys.length === role.keys.length)) {
      continue;
    }
    const changed = await work.ceremony.changeRoot(repository, (next) => {
      for (const [role, keys] of next) next.set(role, others(keys));
    });
    outcomes.push(...changed);
  }
  if (outcomes.length === 0) {
    throw new InputError(name, 'signs nothing: there is nothing to revoke');
  }
  await show(work, outcomes);
}

/** Sets how many keys must sign a role, and adds keys that may sign it. */
export async function setThreshold(
  work: KeysWork,
  name: string,
  role: string,
  threshold: number,
  add: readonly string[] = [],
): Promise<void> {
  const repository = requireRepository(name);
  await heldKeys(work, repository, role);
  const added: KnownKey[] = [];
  for (const key of add) added.push(await work.folder.key(key));
  const outcomes = await work.ceremony.changeRoot(repository, (roles) => {
    const keys = [...present(roles.get(role), `role ${role}`).keys];
    for (const key of added) {
      requireNew(keys, key);
      keys.push(key.publicKey);
    }
    roles.set(role, { keys, threshold });
  });
  await show(work, outcomes);
}

/** Signs metadata again that expires within `withinDays`: the same content with a later expiry. */
export async function renew(work: KeysWork, withinDays: number): Promise<void> {
  const { folder, ceremony, clock, context } = work;
  const limitMs = clock.wallMs() + withinDays * DAY_MS;
  const outcomes: CeremonyOutcome[] = [];
  for (const repository of REPOSITORIES) {
    const root = await currentRoot(folder, repository);
    if (root === undefined || Date.parse(root.signed.expires) >= limitMs) continue;
    outcomes.push(...(await ceremony.changeRoot(repository)));
  }
  const version = (await folder.versions('images', 'targets')).at(-1);
  if (version !== undefined && !outcomes.some(({ role }) => role === 'targets')) {
    const file = `images/${version}.targets.json`;
    const { signed } = parse(present(await folder.storage.read(file), file), folder.path(file));
    if (Date.parse(signed.expires) < limitMs) outcomes.push(await ceremony.changeTargets());
  }
  if (outcomes.length === 0) context.say(`nothing expires within ${withinDays} days`);
  await show(work, outcomes);
}

/** Roles of the draft, or of the Root in force where there is no draft. */
async function newestRoles(
  { folder }: KeysWork,
  repository: RepositoryName,
): Promise<Map<string, RoleKeys>> {
  const draft = await openDraft(folder, repository, 'root');
  if (draft !== undefined) return rolesOf(parse(draft.bytes, draftName(draft)).signed);
  const root = await currentRoot(folder, repository);
  return root === undefined ? new Map() : rolesOf(root.signed);
}

export async function heldKeys(
  work: KeysWork,
  repository: RepositoryName,
  role: string,
): Promise<string[]> {
  const roles = await newestRoles(work, repository);
  const held = roles.get(role);
  if (held === undefined) {
    const names = [...roles.keys()].join(', ');
    throw new InputError(
      role,
      `no role of ${repository}: expected ${names || 'a Root (can-ota keys init)'}`,
    );
  }
  const nameOf = namer(await work.folder.keys());
  return held.keys.map((key) => nameOf(keyIdOf(key)));
}

function only(names: readonly string[], where: string): string {
  const [first] = names;
  if (first !== undefined && names.length === 1) return first;
  throw new InputError('--old', `${where} has several keys, name one of them: ${names.join(', ')}`);
}

function requireNew(keys: RoleKeys['keys'], key: KnownKey): void {
  if (keys.some((held) => keyIdOf(held) === key.keyId)) {
    throw new InputError(key.name, 'has this role already');
  }
}

async function freeName(folder: KeyFolder, stem: string): Promise<string> {
  const taken = new Set((await folder.keys()).map(({ name }) => name));
  for (let number = 2; ; number++) {
    if (!taken.has(`${stem}-${number}`)) return `${stem}-${number}`;
  }
}

// A Root or Targets file that collects signatures: which keys must sign, which have signed, and when it is finished.

import { InputError } from '../core/errors.ts';
import { present } from '../core/present.ts';
import type { RepositoryName } from '../trust/full-verification.ts';
import { checkRootChain, checkTargetsFile } from '../trust/repository.ts';
import {
  addSignature,
  countSignatures,
  fileBytes,
  parseSignedRole,
  payloadBytes,
  type RolePayload,
  type RoleSignature,
  roleKeysOf,
  type SignatureCount,
  type SignedRole,
} from '../trust/role-signing.ts';
import type { Signer } from '../trust/signing-key.ts';
import { type KeyFolder, REPOSITORIES } from './folder.ts';

export type OfflineRole = 'root' | 'targets';

export interface Draft {
  readonly repository: RepositoryName;
  readonly role: OfflineRole;
  readonly version: number;
  readonly bytes: Uint8Array;
}

/** One group of keys that must sign: those of the previous Root, of the new Root, or of Targets. */
export interface Need {
  /** The Root that names these keys: `Root 1`, `Root 2`. */
  readonly by: string;
  readonly count: SignatureCount;
}

export function draftName({ repository, role, version }: Omit<Draft, 'bytes'>): string {
  return `drafts/${repository}-${version}.${role}.json`;
}

export function finalName({ repository, role, version }: Omit<Draft, 'bytes'>): string {
  return `${repository}/${version}.${role}.json`;
}

/** The draft of a role that waits for signatures, undefined when there is none. */
export async function openDraft(
  folder: KeyFolder,
  repository: RepositoryName,
  role: OfflineRole,
): Promise<Draft | undefined> {
  return (await openDrafts(folder)).find(
    (draft) => draft.repository === repository && draft.role === role,
  );
}

export async function openDrafts(folder: KeyFolder): Promise<Draft[]> {
  const drafts: Draft[] = [];
  for (const file of await folder.storage.list('drafts')) {
    const match = /^(director|images)-([1-9]\d*)\.(root|targets)\.json$/.exec(file);
    if (match === null) continue;
    drafts.push({
      repository: match[1] as RepositoryName,
      version: Number(match[2]),
      role: match[3] as OfflineRole,
      bytes: present(await folder.storage.read(`drafts/${file}`), file),
    });
  }
  return drafts;
}

/** The newest Root in force, undefined before the first one. */
export async function currentRoot(
  folder: KeyFolder,
  repository: RepositoryName,
): Promise<{ readonly bytes: Uint8Array; readonly signed: RolePayload } | undefined> {
  const version = (await folder.versions(repository, 'root')).at(-1);
  if (version === undefined) return undefined;
  const name = `${repository}/${version}.root.json`;
  const bytes = present(await folder.storage.read(name), name);
  return { bytes, signed: parse(bytes, folder.path(name)).signed };
}

/**
 * The keys that must sign the draft: old and new keys for Root (TUF 5.3.4), the keys that the Root names for Targets.
 */
export async function needsOf(folder: KeyFolder, draft: Draft): Promise<Need[]> {
  const file = parse(draft.bytes, draftName(draft));
  const current = await currentRoot(folder, draft.repository);
  const roots = draft.role === 'root' ? [current?.signed, file.signed] : [current?.signed];
  return roots.flatMap((root) => {
    const keys = root === undefined ? undefined : roleKeysOf(root, draft.role);
    return root === undefined || keys === undefined
      ? []
      : [{ by: `Root ${root.version}`, count: countSignatures(file, keys) }];
  });
}

export function missingOf(needs: readonly Need[]): number {
  return Math.max(0, ...needs.map(({ count }) => count.missing));
}

export async function signDraft(draft: Draft, signers: readonly Signer[]): Promise<Draft> {
  let { bytes } = draft;
  for (const signer of signers) bytes = await addSignature(bytes, signer);
  return { ...draft, bytes };
}

/** Stores the draft, or puts it in force when no signature is missing. Throws InputError for an invalid successor. */
export async function keepDraft(
  folder: KeyFolder,
  draft: Draft,
  nowMs: number,
): Promise<'draft' | 'finished'> {
  const needs = await needsOf(folder, draft);
  if (missingOf(needs) > 0) {
    await folder.storage.replace(draftName(draft), draft.bytes);
    return 'draft';
  }
  // A published file has only the signatures that count.
  const right = new Set(needs.flatMap(({ count }) => count.signed));
  const { signed, signatures } = parse(draft.bytes, draftName(draft));
  const bytes = fileBytes({
    signatures: signatures.filter(({ keyid }) => right.has(keyid)),
    signed,
  });
  await requireFollows(folder, { ...draft, bytes }, nowMs);
  await folder.storage.replace(finalName(draft), bytes);
  await folder.storage.remove(draftName(draft));
  return 'finished';
}

/** Checks the file with the verifier, so that a file that vehicles would refuse is not published. */
async function requireFollows(folder: KeyFolder, draft: Draft, nowMs: number): Promise<void> {
  const root = await currentRoot(folder, draft.repository);
  if (draft.role === 'root') {
    if (root === undefined) return;
    const verdict = checkRootChain(root.bytes, draft.bytes);
    if (!verdict.ok) throw new InputError(draftName(draft), `${verdict.code}: ${verdict.reason}`);
    return;
  }
  if (root === undefined)
    throw new InputError(draftName(draft), 'there is no Root: can-ota keys init');
  const before = (await folder.versions(draft.repository, 'targets')).at(-1);
  const previous =
    before === undefined
      ? undefined
      : await folder.storage.read(`${draft.repository}/${before}.targets.json`);
  const verdict = checkTargetsFile(root.bytes, previous, draft.bytes, nowMs);
  if (!verdict.ok) throw new InputError(draftName(draft), `${verdict.code}: ${verdict.reason}`);
}

/**
 * Finds the draft of the folder with the same content as a file, and merges the signatures of both. Throws InputError
 * when there is no such draft.
 */
export async function mergeFile(
  folder: KeyFolder,
  bytes: Uint8Array,
  where: string,
): Promise<Draft> {
  const file = parse(bytes, where);
  const content = Buffer.from(payloadBytes(file.signed));
  const drafts = await openDrafts(folder);
  const draft = drafts.find(({ bytes: other }) =>
    content.equals(payloadBytes(parse(other, where).signed)),
  );
  if (draft === undefined) {
    const names = drafts.map(draftName).join(', ');
    throw new InputError(
      where,
      `is none of the drafts in ${folder.storage.location} (${names || 'there are none'}): ` +
        'it was made from another state, or is finished already',
    );
  }
  const own = parse(draft.bytes, where);
  const merged = new Map<string, RoleSignature>();
  for (const signature of [...file.signatures, ...own.signatures]) {
    merged.set(signature.keyid, signature);
  }
  return { ...draft, bytes: fileBytes({ signatures: [...merged.values()], signed: own.signed }) };
}

export function parse(bytes: Uint8Array, where: string): SignedRole {
  try {
    return parseSignedRole(bytes);
  } catch (error) {
    throw new InputError(where, `is no signed metadata: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

export function requireRepository(name: string): RepositoryName {
  const found = REPOSITORIES.find((repository) => repository === name);
  if (found === undefined) throw new InputError(name, 'expected director or images');
  return found;
}

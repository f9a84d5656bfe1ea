// The output of `can-ota keys`: roles and their keys, days until expiry, missing signatures.

import { present } from '../core/present.ts';
import { expiryStage, stageText } from '../trust/expiry-stage.ts';
import type { RolePayload, SignatureCount } from '../trust/role-signing.ts';
import { roleKeysOf } from '../trust/role-signing.ts';
import { keyIdOf } from '../trust/signing-key.ts';
import { type CeremonyOutcome, DAY_MS, rolesOf } from './ceremony.ts';
import {
  currentRoot,
  type Draft,
  draftName,
  type Need,
  needsOf,
  openDrafts,
  parse,
} from './draft.ts';
import { type KeyFolder, type KnownKey, REPOSITORIES } from './folder.ts';

/** Whole days until expiry; negative afterwards. */
function daysLeft(expires: string, nowMs: number): number {
  return Math.floor((Date.parse(expires) - nowMs) / DAY_MS);
}

export type NameOf = (keyId: string) => string;

/** Names keys: by their name in this folder, otherwise by the beginning of the id. */
export function namer(keys: readonly KnownKey[]): NameOf {
  const names = new Map(keys.map(({ keyId, name }) => [keyId, name]));
  return (keyId) => names.get(keyId) ?? `key ${keyId.slice(0, 12)}`;
}

const KEPT: Readonly<Record<KnownKey['kept'], string>> = {
  file: 'file, not encrypted',
  'encrypted-file': 'encrypted file',
  token: 'PKCS#11 token',
  elsewhere: 'not here',
};

export interface Line {
  readonly fact: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Lists the content of the folder: repositories with their roles, drafts, keys. */
export async function listing(folder: KeyFolder, nowMs: number): Promise<Line[]> {
  const keys = await folder.keys();
  const nameOf = namer(keys);
  const uses = new Map<string, string[]>();
  const lines: Line[] = [];
  for (const repository of REPOSITORIES) {
    const root = await currentRoot(folder, repository);
    if (root === undefined) continue;
    lines.push(fileLine(repository, 'root', root.signed, nowMs));
    for (const [role, held] of rolesOf(root.signed)) {
      const ids = held.keys.map(keyIdOf);
      for (const id of ids) uses.set(id, [...(uses.get(id) ?? []), `${repository} ${role}`]);
      const names = ids.map(nameOf);
      lines.push({
        fact: { repository, role, threshold: held.threshold, keys: names, keyIds: ids },
        text: `  ${role.padEnd(10)} ${held.threshold} of ${ids.length}  ${names.join(' ')}`,
      });
    }
    const version = (await folder.versions(repository, 'targets')).at(-1);
    if (version === undefined) continue;
    const file = `${repository}/${version}.targets.json`;
    const targets = parse(present(await folder.storage.read(file), file), folder.path(file)).signed;
    lines.push(fileLine(repository, 'targets', targets, nowMs));
  }
  return [
    ...lines,
    ...(await draftLines(folder, nameOf)),
    ...keys.map((key) => keyLine(key, uses)),
  ];
}

function fileLine(repository: string, role: string, signed: RolePayload, nowMs: number): Line {
  const days = daysLeft(signed.expires, nowMs);
  const { version, expires } = signed;
  const stage = expiryStage(Date.parse(expires), nowMs);
  const name = role === 'root' ? 'Root' : 'Targets';
  return {
    fact: { repository, file: role, version, expires, daysLeft: days, stage },
    text: `${repository} ${name} ${version}: ${stageText(Date.parse(expires), nowMs)} (${expires})${
      stage === 'valid' ? '' : ': can-ota keys refresh, then can-ota release push'
    }`,
  };
}

async function draftLines(folder: KeyFolder, nameOf: NameOf): Promise<Line[]> {
  const lines: Line[] = [];
  for (const draft of await openDrafts(folder)) {
    const needs = await needsOf(folder, draft);
    const facts = draftFacts(draft, needs, nameOf);
    lines.push({
      fact: facts,
      text: `${draftName(draft)}: ${needLines(needs, nameOf).join('; ')}`,
    });
  }
  return lines;
}

function keyLine(key: KnownKey, uses: ReadonlyMap<string, readonly string[]>): Line {
  const roles = uses.get(key.keyId) ?? [];
  return {
    fact: { ...keyFacts(key), roles },
    text:
      `key ${key.name}: ${key.publicKey.scheme}, ${key.keyId.slice(0, 12)}, ${KEPT[key.kept]}, ` +
      (roles.length === 0 ? 'signs nothing' : `signs ${roles.join(', ')}`),
  };
}

export function keyFacts(key: KnownKey): Record<string, unknown> {
  return { key: key.name, keyId: key.keyId, scheme: key.publicKey.scheme, kept: key.kept };
}

function draftFacts(draft: Draft, needs: readonly Need[], nameOf: NameOf) {
  return {
    draft: draftName(draft),
    repository: draft.repository,
    role: draft.role,
    version: draft.version,
    needs: needs.map((need) => needFacts(need, nameOf)),
  };
}

function needFacts({ by, count }: Need, nameOf: NameOf) {
  return {
    by,
    missing: count.missing,
    signed: count.signed.map(nameOf),
    unsigned: count.unsigned.map(nameOf),
  };
}

function needLines(needs: readonly Need[], nameOf: NameOf): string[] {
  const missing = needs.filter(({ count }) => count.missing > 0);
  return missing.map(({ by, count }) => `${by} wants ${wanted(count, nameOf)}`);
}

function wanted({ missing, unsigned }: SignatureCount, nameOf: NameOf): string {
  const names = unsigned.map(nameOf).join(', ');
  return `${missing} more ${missing === 1 ? 'signature' : 'signatures'} of: ${names || 'no key is left'}`;
}

/** The result of a change, as text and as JSON. */
export function outcomeLines(folder: KeyFolder, outcome: CeremonyOutcome, nameOf: NameOf): Line {
  const { repository, role, version, state, needs, signedBy, skipped, dropped } = outcome;
  const name = `${repository} ${role === 'root' ? 'Root' : 'Targets'} ${version}`;
  const lines = [
    state === 'finished'
      ? `${name} is in force: ${outcome.file}`
      : `${name} is a draft: ${outcome.file}`,
    ...(signedBy.length > 0 ? [`  signed by ${signedBy.join(', ')}`] : []),
    ...skipped.map(({ reason }) => `  did not sign: ${reason}`),
    ...(dropped > 0 ? [`  ${dropped} signatures of the draft before are void: sign again`] : []),
    ...needLines(needs, nameOf).map((line) => `  ${line}`),
  ];
  if (state === 'draft') {
    lines.push(`  next: can-ota keys sign ${folder.path(outcome.file)} --key NAME`);
  } else if (role === 'root' && version > 1) {
    lines.push(
      '  next: can-ota release push; where an online key changed, first can-ota keys export-online',
    );
  }
  return {
    fact: {
      file: outcome.file,
      state,
      repository,
      role,
      version,
      signedBy,
      skipped: skipped.map(({ key }) => key),
      dropped,
      needs: needs.map((need) => needFacts(need, nameOf)),
    },
    text: lines.join('\n'),
  };
}

/** Summary of a file in a few lines, which is shown before a person signs it. */
export function summaryOf(signed: RolePayload, nameOf: NameOf): string[] {
  const lines = [`${signed._type} version ${signed.version}, expires ${signed.expires}`];
  if (signed._type === 'root') {
    for (const role of Object.keys(signed.roles as object)) {
      const { keys, threshold } = present(roleKeysOf(signed, role), `role ${role}`);
      const names = keys.map((key) => nameOf(keyIdOf(key))).join(', ');
      lines.push(`  ${role}: ${threshold} of ${keys.length}: ${names}`);
    }
  }
  if (signed._type === 'targets') {
    for (const [name, target] of Object.entries(signed.targets as Record<string, unknown>)) {
      const { length, hashes } = target as { length: number; hashes: { sha256?: string } };
      lines.push(`  ${name}: ${length} bytes, SHA-256 ${hashes.sha256 ?? 'missing'}`);
    }
  }
  return lines;
}

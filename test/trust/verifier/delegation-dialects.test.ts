// Delegations as each dialect reads them: plain TUF knows no hardware ids and no roles that must agree.

import { describe, expect, it } from 'vitest';
import { type Delegation, delegationsFor } from '../../../src/trust/delegations.ts';
import { openEnvelope, toTrusted } from '../../../src/trust/metadata.ts';
import type { Dialect } from '../../../src/trust/profile.ts';
import { buildTargets, type RolePayload, signRoleNow } from '../../../src/trust/role-signing.ts';
import { signerFromSeed } from '../../../src/trust/signing-key.ts';
import { must } from './support.ts';

const signer = signerFromSeed(new Uint8Array(32).fill(5));
const keys = { keys: [signer.publicKey], threshold: 1 };

function targetsWith(dialect: Dialect, change: object = {}) {
  const payload = buildTargets({
    ...{ version: 1, expiresMs: Date.UTC(2030, 0), targets: {} },
    delegations: [
      { name: 'a', ...keys, paths: ['a-*'], terminating: true },
      { name: 'b', ...keys, paths: ['*'] },
    ],
  });
  const { delegations } = payload as unknown as { delegations: { roles: object[] } };
  const roles = delegations.roles.map((role) => ({ ...role, ...change }));
  const changed = { ...payload, delegations: { ...delegations, roles } } as RolePayload;
  const file = must(openEnvelope('targets', signRoleNow(changed, [signer]), 'targets', dialect));
  return must(toTrusted('targets', file, 'targets', dialect));
}

const namesOf = (found: readonly Delegation[]): string[] =>
  found.map(({ name, terminating }) => `${name}${terminating ? '!' : ''}`);
const find = (dialect: Dialect, target: string, change?: object, hardwareId?: string) =>
  delegationsFor(targetsWith(dialect, change), target, hardwareId, dialect);

describe.each(['strict', 'tuf'] as const)('in the dialect %s', (dialect) => {
  it('those are asked whose pattern fits, in their order, with the keys that were named', () => {
    const found = must(find(dialect, 'a-1'));
    expect(namesOf(found)).toEqual(['a!', 'b']);
    expect(namesOf(must(find(dialect, 'x')))).toEqual(['b']);
    expect(found[0]).toMatchObject({
      roles: [{ name: 'a', authority: { keyIds: [signer.keyId], threshold: 1 } }],
      minRolesInAgreement: undefined,
    });
    expect(found[0]!.roles[0]!.authority.keys.has(signer.keyId)).toBe(true);
  });

  it('a hardware id that is not delegated counts in Uptane only', () => {
    const change = { hardwareIds: ['H1'] };
    expect(must(find(dialect, 'x', change, 'H1'))).toHaveLength(1);
    const count = dialect === 'strict' ? 0 : 1;
    expect(must(find(dialect, 'x', change, 'H2'))).toHaveLength(count);
    expect(must(find(dialect, 'x', change, undefined))).toHaveLength(count);
  });

  it('fields that Uptane would not read are refused in Uptane only', () => {
    for (const change of [
      { hardwareIds: 'H1' },
      { min_roles_in_agreement: 0 },
      { roles: [] },
      { roles: [{ name: 'targets', keyids: [], threshold: 1 }] },
      { roles: [{ name: '', keyids: [], threshold: 1 }] },
      { roles: [{ name: 'c', keyids: [], threshold: 0 }] },
    ]) {
      const found = find(dialect, 'x', change);
      if (dialect === 'tuf') expect(found).toMatchObject({ ok: true, value: { length: 1 } });
      else expect(found).toMatchObject({ ok: false, code: 'MALFORMED', where: 'targets' });
    }
  });
});

it('several roles together must all agree unless it says how many', () => {
  const roles = ['c', 'd'].map((name) => ({ name, keyids: [signer.keyId], threshold: 1 }));
  const agreeing = (change: object) => must(find('strict', 'x', { roles, ...change }))[0];
  expect(agreeing({})).toMatchObject({
    ...{ name: 'b', terminating: false, minRolesInAgreement: 2 },
    roles: [{ name: 'c', authority: { threshold: 1 } }, { name: 'd' }],
  });
  expect(agreeing({ min_roles_in_agreement: 1 })).toMatchObject({ minRolesInAgreement: 1 });
});

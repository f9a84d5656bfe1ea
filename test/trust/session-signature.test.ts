// The backend's signature over an exchange by key pairs: who signed it, and that it is for this exchange in every field.

import { describe, expect, it } from 'vitest';
import { signedByServer } from '../../src/trust/key-agreement.ts';
import { trustRoot } from '../../src/trust/repository.ts';
import { buildRoot, signRoleNow } from '../../src/trust/role-signing.ts';
import { checkSessionSignature } from '../../src/trust/session-signature.ts';
import { signJson } from '../../src/trust/signed-json.ts';
import { type LocalSigner, signerFromSeed } from '../../src/trust/signing-key.ts';

const signer = (seed: number): LocalSigner => signerFromSeed(new Uint8Array(32).fill(seed));
const [rootKey, one, two, stranger] = [signer(1), signer(2), signer(3), signer(4)] as const;

function rootWith(...time: readonly LocalSigner[]) {
  const keys = { keys: [rootKey.publicKey], threshold: 1 };
  const roles = { root: keys, timestamp: keys, snapshot: keys, targets: keys };
  const online = { keys: time.map(({ publicKey }) => publicKey), threshold: time.length };
  const payload = buildRoot({
    ...{ version: 1, expiresMs: Date.UTC(2030, 0, 1) },
    roles: time.length === 0 ? roles : { ...roles, time: online },
  });
  const trust = trustRoot(signRoleNow(payload, [rootKey]));
  if (!trust.ok) throw new Error(trust.reason);
  return trust.value.root;
}

const exchanged = { serial: 'CO-1', clientNonce: 'c', serverNonce: 's', challenge: 'x' };
const keys = { clientKey: '11'.repeat(32), serverKey: '22'.repeat(32) };

function codeOf(
  signed: Readonly<Record<string, string>>,
  signers: readonly LocalSigner[] = [one],
  root = rootWith(one),
): string {
  const verdict = checkSessionSignature(signJson(signed, signers), root, exchanged, keys);
  return verdict.ok ? 'accepted' : verdict.code;
}

const right = signedByServer(exchanged, keys);

describe('a signature over an exchange', () => {
  it('is accepted for this exchange', () => {
    expect(codeOf(right)).toBe('accepted');
  });

  it.each(Object.keys(right).filter((name) => name !== '_type'))(
    'is none for another %s',
    (name) => {
      expect(codeOf({ ...right, [name]: `${right[name]}0` })).toBe('ARBITRARY_SOFTWARE');
    },
  );

  it('needs all keys of the role that the Root asks for', () => {
    expect(codeOf(right, [stranger])).toBe('ARBITRARY_SOFTWARE');
    expect(codeOf(right, [rootKey])).toBe('ARBITRARY_SOFTWARE');
    expect(codeOf(right, [one], rootWith(one, two))).toBe('ARBITRARY_SOFTWARE');
    expect(codeOf(right, [one, two], rootWith(one, two))).toBe('accepted');
    expect(codeOf(right, [one], rootWith())).toBe('ARBITRARY_SOFTWARE');
  });

  it('of another form is malformed', () => {
    expect(codeOf({ ...right, _type: 'time' })).toBe('MALFORMED');
    expect(codeOf({ ...right, more: '' })).toBe('MALFORMED');
    const verdict = checkSessionSignature(null, rootWith(one), exchanged, keys);
    expect(verdict.ok ? 'accepted' : verdict.code).toBe('MALFORMED');
  });
});

it('that is refused says where, and what is wrong', () => {
  const of = (signed: Readonly<Record<string, string>>, signers: readonly LocalSigner[]) =>
    checkSessionSignature(signJson(signed, signers), rootWith(one), exchanged, keys);
  expect(of(right, [stranger])).toEqual({
    ...{ ok: false, code: 'ARBITRARY_SOFTWARE', where: 'session signature' },
    reason: 'is not signed by the role "time" of the Director\'s Root version 1',
  });
  expect(of({ ...right, serial: 'CO-2' }, [one])).toEqual({
    ...{ ok: false, code: 'ARBITRARY_SOFTWARE', where: 'session signature' },
    reason: 'is for another exchange',
  });
});

// Signed time: thresholds of the Director's role, the nonce of the asker, and a clock that never goes back.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RepositoryTrust } from '../../src/trust/repository.ts';
import { trustRoot } from '../../src/trust/repository.ts';
import { buildRoot, type RoleKeys, signRoleNow } from '../../src/trust/role-signing.ts';
import {
  generateSigner,
  type LocalSigner,
  type Signer,
  signerFromSeed,
} from '../../src/trust/signing-key.ts';
import { checkTime, type SignedJson, signTime } from '../../src/trust/time-attestation.ts';
import { withChange } from '../support/json-change.ts';

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const NONCE = '000102030405060708090a0b0c0d0e0f';
const OTHER = 'ff0102030405060708090a0b0c0d0e0f';

/** In the dialect `tuf` an id is any text. */
const SECOND_ID = 'ff'.repeat(32);

const signer = (seed: number): LocalSigner => signerFromSeed(new Uint8Array(32).fill(seed));
const rootKey = signer(1);
const [one, two, stranger] = [signer(2), signer(3), signer(4)] as const;

type Root = RepositoryTrust['root'];

function rootWith(time: RoleKeys | undefined): Root {
  const keys = { keys: [rootKey.publicKey], threshold: 1 };
  const roles = { root: keys, timestamp: keys, snapshot: keys, targets: keys };
  const payload = buildRoot({
    version: 1,
    expiresMs: NOW_MS,
    roles: time === undefined ? roles : { ...roles, time },
  });
  const trust = trustRoot(signRoleNow(payload, [rootKey]));
  if (!trust.ok) throw new Error(trust.reason);
  return trust.value.root;
}

const root = rootWith({ keys: [one.publicKey], threshold: 1 });

function codeOf(json: unknown, how: { root?: Root; nonce?: string; floorMs?: number } = {}) {
  const verdict = checkTime(json, how.root ?? root, how.nonce ?? NONCE, how.floorMs ?? 0);
  return verdict.ok ? verdict.value.timeMs : verdict.code;
}

describe('a time attestation', () => {
  const signed = signTime({ timeMs: NOW_MS + 0.7, nonces: [OTHER, NONCE] }, one);

  it('gives whole milliseconds to everybody whose nonce is in it', () => {
    expect(signed.signed).toEqual({
      _type: 'time',
      time: '2026-01-31T12:00:00.000Z',
      nonces: [OTHER, NONCE],
    });
    expect(codeOf(signed)).toBe(NOW_MS);
    expect(codeOf(signed, { nonce: OTHER })).toBe(NOW_MS);
    expect(codeOf(new TextEncoder().encode(JSON.stringify(signed)))).toBe(NOW_MS);
  });

  it('that is missing is a freeze', () => {
    expect(codeOf(null)).toBe('FREEZE');
    expect(codeOf(undefined)).toBe('FREEZE');
  });

  it('that answers somebody else is a freeze: it may be an old one', () => {
    expect(codeOf(signed, { nonce: '22'.repeat(16) })).toBe('FREEZE');
    expect(codeOf(signed, { nonce: '' })).toBe('FREEZE');
    expect(codeOf(signTime({ timeMs: NOW_MS, nonces: [] }, one))).toBe('FREEZE');
  });

  it('never goes back', () => {
    expect(codeOf(signed, { floorMs: NOW_MS - 1 })).toBe(NOW_MS);
    expect(codeOf(signed, { floorMs: NOW_MS })).toBe(NOW_MS);
    expect(codeOf(signed, { floorMs: NOW_MS + 1 })).toBe('ROLLBACK');
  });

  it('that an attacker repeats and dates back is found in this order: nonce, then floor', () => {
    expect(codeOf(signed, { nonce: '22'.repeat(16), floorMs: NOW_MS + 1 })).toBe('FREEZE');
  });

  it.each<[string, string, unknown]>([
    ['another time', 'signed/time', '2026-02-01T00:00:00.000Z'],
    ['another nonce', 'signed/nonces/0', '33'.repeat(16)],
    ['one more nonce', 'signed/nonces/2', '33'.repeat(16)],
    ['no signature', 'signatures', []],
    ['the id of another key', 'signatures/0/keyid', stranger.keyId],
    ['another hash', 'signatures/0/hash/digest', '00'.repeat(32)],
    ['another method', 'signatures/0/method', 'ecdsa-sha2-nistp256'],
    ['another signature', 'signatures/0/sig', '11'.repeat(64)],
  ])('with %s is refused: ARBITRARY_SOFTWARE', (_name, path, value) => {
    expect(codeOf(withChange(signed, path, value))).toBe('ARBITRARY_SOFTWARE');
  });

  it.each<[string, string, unknown]>([
    ['a number as time', 'signed/time', NOW_MS],
    ['seconds only', 'signed/time', '2026-01-31T12:00:00Z'],
    ['a local time', 'signed/time', '2026-01-31T12:00:00.000+01:00'],
    ['a short nonce', 'signed/nonces', ['00']],
    ['65 nonces', 'signed/nonces', Array(65).fill(NONCE)],
    ['another type', 'signed/_type', 'version-report'],
    ['one field more', 'signed/x', 1],
    ['no nonces', 'signed/nonces', undefined],
  ])('with %s is refused: MALFORMED', (_name, path, value) => {
    expect(codeOf(withChange(signed, path, value))).toBe('MALFORMED');
  });

  it('of a key that is not in the role is worth nothing', () => {
    expect(codeOf(signTime({ timeMs: NOW_MS, nonces: [NONCE] }, stranger))).toBe(
      'ARBITRARY_SOFTWARE',
    );
    // Also when it is a key of the Root, with every other right there is.
    expect(codeOf(signTime({ timeMs: NOW_MS, nonces: [NONCE] }, rootKey))).toBe(
      'ARBITRARY_SOFTWARE',
    );
  });

  it('a Root without the role knows nobody who may say what time it is', () => {
    const verdict = checkTime(signed, rootWith(undefined), NONCE, 0);
    expect(verdict).toMatchObject({ code: 'ARBITRARY_SOFTWARE', where: 'time attestation' });
    expect(verdict.ok ? '' : verdict.reason).toContain('no role "time"');
  });

  it('no value whatever gets through or throws', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(checkTime(value, root, NONCE, 0).ok).toBe(false);
      }),
    );
  });
});

describe('a threshold of two', () => {
  const strictRoot = rootWith({ keys: [one.publicKey, two.publicKey], threshold: 2 });
  const sign = (...signers: LocalSigner[]): SignedJson =>
    signTime({ timeMs: NOW_MS, nonces: [NONCE] }, signers);

  it('wants two different keys', () => {
    expect(codeOf(sign(one, two), { root: strictRoot })).toBe(NOW_MS);
    expect(codeOf(sign(two, one, stranger), { root: strictRoot })).toBe(NOW_MS);
    expect(codeOf(sign(one), { root: strictRoot })).toBe('ARBITRARY_SOFTWARE');
    expect(codeOf(sign(one, one), { root: strictRoot })).toBe('ARBITRARY_SOFTWARE');
    expect(codeOf(sign(one, stranger), { root: strictRoot })).toBe('ARBITRARY_SOFTWARE');
  });
});

describe('one key under two ids', () => {
  it('counts once, also where ids are opaque', () => {
    const payload = structuredClone(
      buildRoot({
        version: 1,
        expiresMs: NOW_MS,
        roles: Object.fromEntries(
          ['root', 'timestamp', 'snapshot', 'targets', 'time'].map((role) => [
            role,
            { keys: [rootKey.publicKey], threshold: 1 },
          ]),
        ),
      }),
    );
    const roles = payload.roles as Record<string, { keyids: string[]; threshold: number }>;
    const keys = payload.keys as Record<string, object>;
    keys[SECOND_ID] = keys[rootKey.keyId]!;
    roles.time = { keyids: [rootKey.keyId, SECOND_ID], threshold: 2 };
    const trust = trustRoot(signRoleNow(payload, [rootKey]), 'tuf');
    if (!trust.ok) throw new Error(trust.reason);
    const signed = signTime({ timeMs: NOW_MS, nonces: [NONCE] }, rootKey);
    const [signature] = signed.signatures;
    const twice = { ...signed, signatures: [signature, { ...signature, keyid: SECOND_ID }] };
    expect(codeOf(twice, { root: trust.value.root })).toBe('ARBITRARY_SOFTWARE');
  });
});

describe('signers of other kinds', () => {
  it('ECDSA', () => {
    const { signer: ecdsa } = generateSigner('ecdsa-p256');
    const signed = signTime({ timeMs: NOW_MS, nonces: [NONCE] }, ecdsa);
    expect(codeOf(signed, { root: rootWith({ keys: [ecdsa.publicKey], threshold: 1 }) })).toBe(
      NOW_MS,
    );
  });

  it('a token that answers later', async () => {
    const token: Signer = { ...one, sign: (bytes) => Promise.resolve(one.sign(bytes)) };
    const signed = signTime({ timeMs: NOW_MS, nonces: [NONCE] }, token);
    expect(signed).toBeInstanceOf(Promise);
    expect(codeOf(await signed)).toBe(NOW_MS);
  });
});

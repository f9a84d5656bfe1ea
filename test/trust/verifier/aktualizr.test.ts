// The dialect of aktualizr and its servers: taken by those who ask for it, refused by everybody else.

import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';
import { describe, expect, it } from 'vitest';
import { FullVerification } from '../../../src/trust/full-verification.ts';
import type { Dialect } from '../../../src/trust/profile.ts';
import { filesOf, restoreTrust, trustRoot, versionsOf } from '../../../src/trust/repository.ts';
import { must } from './support.ts';

const NOW_MS = Date.UTC(2026, 8, 1);
const EXPIRES = '2027-01-01T00:00:00Z';

interface OldKey {
  readonly keyId: string;
  readonly json: object;
  readonly privateKey: KeyObject;
}

/** As their servers name it: the SHA-256 of the canonical public key text, which says nothing of type and scheme. */
function oldKey(type: 'RSA' | 'ED25519'): OldKey {
  const { publicKey, privateKey } =
    type === 'RSA'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ed25519');
  const text =
    type === 'RSA'
      ? publicKey.export({ type: 'spki', format: 'pem' }).toString()
      : Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('hex');
  const keyId = createHash('sha256').update(canonicalize(text)).digest('hex');
  return { keyId, json: { keytype: type, keyval: { public: text } }, privateKey };
}

const RSA = oldKey('RSA');
const ED = oldKey('ED25519');

function signature({ keyId, privateKey }: OldKey, bytes: Uint8Array) {
  const rsa = privateKey.asymmetricKeyType === 'rsa';
  const sig = rsa
    ? sign('sha256', bytes, { key: privateKey, padding: 6, saltLength: 32 })
    : sign(null, bytes, privateKey);
  const method = rsa ? 'rsassa-pss-sha256' : 'ed25519';
  return { keyid: keyId, method, sig: sig.toString('base64') };
}

function file(type: string, fields: object, key: OldKey = ED): Uint8Array {
  const signed = { _type: type, expires: EXPIRES, version: 1, ...fields };
  const bytes = new TextEncoder().encode(canonicalize(signed));
  return new TextEncoder().encode(JSON.stringify({ signatures: [signature(key, bytes)], signed }));
}

function root(roles: readonly string[], fields: object = {}): Uint8Array {
  const own = (keyid: string) => ({ keyids: [keyid], threshold: 1 });
  return file(
    'Root',
    {
      consistent_snapshot: false,
      keys: { [RSA.keyId]: RSA.json, [ED.keyId]: ED.json },
      roles: Object.fromEntries(
        roles.map((role) => [role, own(role === 'root' ? RSA.keyId : ED.keyId)]),
      ),
      ...fields,
    },
    RSA,
  );
}

const IMAGE = { length: 1000, hashes: { sha256: 'ab'.repeat(32), sha512: 'cd'.repeat(64) } };

function meta(bytes: Uint8Array) {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { version: 1, length: bytes.length, hashes: { sha256 } };
}

/** A pair of repositories as `aktualizr-repo` makes them. */
function repositories(
  options: { order?: object; release?: object; assignment?: object; directorTargets?: object } = {},
) {
  const director = {
    'root.json': root(['root', 'targets']),
    'targets.json': file('Targets', {
      targets: {
        'app-2': {
          ...IMAGE,
          custom: {
            ecuIdentifiers: { 'serial-1': { hardwareId: 'board-1' } },
            uri: null,
            ...options.assignment,
          },
          ...options.order,
        },
      },
      ...options.directorTargets,
    }),
  };
  const targets = file('Targets', {
    targets: {
      'app-2': {
        ...IMAGE,
        custom: { hardwareIds: ['board-1'], name: 'app', version: '2', targetFormat: null },
        ...options.release,
      },
    },
  });
  const snapshot = file('Snapshot', { meta: { 'targets.json': meta(targets) } });
  const images = {
    'root.json': root(['root', 'targets', 'snapshot', 'timestamp']),
    'timestamp.json': file('Timestamp', { meta: { 'snapshot.json': meta(snapshot) } }),
    'snapshot.json': snapshot,
    'targets.json': targets,
  };
  return { director, images } as {
    director: Record<string, Uint8Array>;
    images: Record<string, Uint8Array>;
  };
}

function verify(files: ReturnType<typeof repositories>, dialect: Dialect = 'aktualizr') {
  const full = new FullVerification({
    trust: {
      director: must(trustRoot(files.director['root.json']!, dialect)),
      images: must(trustRoot(files.images['root.json']!, dialect)),
    },
    nowMs: NOW_MS,
    vin: undefined,
    ecus: [{ serial: 'serial-1', hardwareId: 'board-1' }],
    primary: true,
  });
  const asked: string[] = [];
  for (let next = full.next(); next !== undefined; next = full.next()) {
    asked.push(`${next.repository} ${next.request.file}`);
    const bytes = files[next.repository][next.request.file];
    full.accept(bytes === undefined ? { kind: 'missing' } : { kind: 'bytes', bytes });
  }
  return { full, asked, outcome: full.outcome! };
}

describe('the dialect of aktualizr', () => {
  it('verifies: no Timestamp and Snapshot of the Director, unversioned names, old keys', () => {
    const { asked, outcome, full } = verify(repositories());
    expect(outcome).toMatchObject({
      ok: true,
      value: [
        {
          serial: 'serial-1',
          hardwareId: 'board-1',
          name: 'app-2',
          length: 1000,
          sha256: 'ab'.repeat(32),
        },
      ],
    });
    expect(asked).toEqual([
      'director 2.root.json',
      'director targets.json',
      'images 2.root.json',
      'images timestamp.json',
      'images snapshot.json',
      'images targets.json',
    ]);
    expect(versionsOf(full.trust.director)).toEqual({ root: 1, targets: 1 });
    const kept = must(restoreTrust(filesOf(full.trust.images), 'aktualizr'));
    expect(versionsOf(kept)).toEqual(versionsOf(full.trust.images));
  });

  it('is never taken by the others', () => {
    const { director } = repositories();
    for (const dialect of ['strict', 'tuf'] as const) {
      expect(trustRoot(director['root.json']!, dialect)).toMatchObject({ code: 'MALFORMED' });
    }
  });

  it.each([
    ['another length', { order: { length: 1001 } }, 'REPOSITORIES_DISAGREE'],
    ['another hash', { order: { hashes: { sha256: '00'.repeat(32) } } }, 'REPOSITORIES_DISAGREE'],
    [
      'a second hash that is wrong',
      { order: { hashes: { ...IMAGE.hashes, sha512: '00'.repeat(64) } } },
      'REPOSITORIES_DISAGREE',
    ],
    [
      'no common hash',
      { release: { hashes: { sha384: 'cd'.repeat(48) } } },
      'REPOSITORIES_DISAGREE',
    ],
    [
      'an image for other hardware',
      { release: { custom: { hardwareIds: ['board-2'] } } },
      'WRONG_HARDWARE',
    ],
    [
      'other hardware of the ECU',
      { assignment: { ecuIdentifiers: { 'serial-1': { hardwareId: 'board-2' } } } },
      'WRONG_HARDWARE',
    ],
    [
      'an ECU that is not there',
      { assignment: { ecuIdentifiers: { 'serial-2': { hardwareId: 'board-1' } } } },
      'UNKNOWN_ECU',
    ],
    [
      'a delegation of the Director',
      { directorTargets: { delegations: { keys: {}, roles: [] } } },
      'DELEGATION_IN_DIRECTOR',
    ],
    ['an expired Director', { directorTargets: { expires: '2026-01-01T00:00:00Z' } }, 'FREEZE'],
  ])('refuses %s', (_, options, code) => {
    expect(verify(repositories(options)).outcome).toMatchObject({ ok: false, code });
  });

  it('takes a hash that only one of them names', () => {
    const { sha256 } = IMAGE.hashes;
    expect(verify(repositories({ order: { hashes: { sha256 } } })).outcome.ok).toBe(true);
  });

  it('takes the version 0 of a Director that has never said anything', () => {
    const files = repositories({ directorTargets: { targets: {}, version: 0 } });
    expect(verify(files).outcome).toEqual({ ok: true, value: [] });
  });

  it('still counts keys by what they are', () => {
    const other = { ...RSA, keyId: 'f'.repeat(64) };
    const signed = {
      _type: 'Root',
      expires: EXPIRES,
      version: 1,
      consistent_snapshot: false,
      keys: { [RSA.keyId]: RSA.json, [other.keyId]: RSA.json },
      roles: { root: { keyids: [RSA.keyId, other.keyId], threshold: 2 } },
    };
    const bytes = new TextEncoder().encode(canonicalize(signed));
    const signatures = [signature(RSA, bytes), signature(other, bytes)];
    const twice = new TextEncoder().encode(JSON.stringify({ signed, signatures }));
    expect(trustRoot(twice, 'aktualizr')).toMatchObject({ code: 'ARBITRARY_SOFTWARE' });
  });

  it('gives nobody the roles that a Director does not have', () => {
    const files = repositories();
    const trust = must(trustRoot(files.director['root.json']!, 'aktualizr'));
    expect(trust.root.metadata.signed.roles.timestamp?.keyIDs).toEqual([]);
  });
});

// Keys are told apart by what they are: the same key in another form, under another id, is still one key.

import { createHash, ECDH, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';
import { describe, expect, it } from 'vitest';
import { type Dialect, RULES } from '../../../src/trust/profile.ts';
import { readKeys } from '../../../src/trust/public-key.ts';
import type { JsonObject } from '../../../src/trust/strict-json.ts';

const MESSAGE = new TextEncoder().encode('{"a":1}');

interface Key {
  readonly keytype: string;
  readonly scheme: string;
  readonly keyval: { readonly public: string };
}

function key(keytype: string, scheme: string, value: string): Key {
  return { keytype, scheme, keyval: { public: value } };
}

function idOf(json: unknown): string {
  return createHash('sha256').update(canonicalize(json)).digest('hex');
}

function pem(publicKey: KeyObject): string {
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

function read(keys: Readonly<Record<string, unknown>>, dialect: Dialect = 'strict') {
  return readKeys(keys as JsonObject, RULES[dialect], 'root');
}

/** The ring of keys under their right ids. */
function ring(dialect: Dialect, ...keys: readonly Key[]) {
  const verdict = read(Object.fromEntries(keys.map((json) => [idOf(json), json])), dialect);
  if (!verdict.ok) throw new Error(verdict.reason);
  return [...verdict.value.values()];
}

const ed = generateKeyPairSync('ed25519');
const edHex = Buffer.from(ed.publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('hex');
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ecPoint = (() => {
  const { x, y } = ec.publicKey.export({ format: 'jwk' });
  return `04${Buffer.from(x!, 'base64url').toString('hex')}${Buffer.from(y!, 'base64url').toString('hex')}`;
})();
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

const edSignature = sign(null, MESSAGE, ed.privateKey).toString('hex');
const ecSignature = sign('sha256', MESSAGE, ec.privateKey).toString('hex');

describe('keys', () => {
  it('verify what their private half signed, and nothing else', () => {
    const padding = 6; // RSA_PKCS1_PSS_PADDING
    const cases: readonly [Key, string][] = [
      [key('ed25519', 'ed25519', edHex), edSignature],
      [key('ed25519', 'ed25519', pem(ed.publicKey)), edSignature],
      [key('ecdsa', 'ecdsa-sha2-nistp256', pem(ec.publicKey)), ecSignature],
      [key('ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256', ecPoint), ecSignature],
      [
        key('rsa', 'rsassa-pss-sha256', pem(rsa.publicKey)),
        sign('sha256', MESSAGE, { key: rsa.privateKey, padding }).toString('hex'),
      ],
    ];
    for (const [json, signature] of cases) {
      const [one] = ring('tuf', json);
      expect(one?.verify(MESSAGE, signature), json.scheme).toBe(true);
      expect(one?.verify(MESSAGE.subarray(1), signature)).toBe(false);
      const otherFirst = signature.startsWith('00') ? '01' : '00';
      expect(one?.verify(MESSAGE, `${otherFirst}${signature.slice(2)}`)).toBe(false);
      for (const nonsense of ['', 'zz', signature.slice(1), `${signature}zz`, ` ${signature}`]) {
        expect(one?.verify(MESSAGE, nonsense)).toBe(false);
      }
    }
  });

  it('are the same key in every form', () => {
    const compressed = ECDH.convertKey(
      ecPoint,
      'prime256v1',
      'hex',
      'hex',
      'compressed',
    ).toString();
    const forms = ring(
      'tuf',
      key('ecdsa', 'ecdsa-sha2-nistp256', pem(ec.publicKey)),
      key('ecdsa', 'ecdsa-sha2-nistp256', `${pem(ec.publicKey)}\n`),
      key('ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256', ecPoint),
      key('ecdsa', 'ecdsa-sha2-nistp256', compressed),
    );
    expect(forms).toHaveLength(4);
    expect(new Set(forms.map(({ material }) => material)).size).toBe(1);
    const [hex, upper, text] = ring(
      'tuf',
      key('ed25519', 'ed25519', edHex),
      key('ed25519', 'ed25519', edHex.toUpperCase()),
      key('ed25519', 'ed25519', pem(ed.publicKey)),
    );
    expect(upper?.material).toBe(hex?.material);
    expect(text?.material).toBe(hex?.material);
  });

  it('strict: an id that is not its key is refused', () => {
    const json = key('ed25519', 'ed25519', edHex);
    expect(read({ [idOf(json)]: json }).ok).toBe(true);
    expect(read({ ['0'.repeat(64)]: json })).toMatchObject({ code: 'KEY_CONFUSION' });
    expect(read({ ['0'.repeat(64)]: json }, 'tuf').ok).toBe(true);
  });

  it('strict: one key under two right ids is refused', () => {
    const one = key('ed25519', 'ed25519', edHex);
    const two = key('ed25519', 'ed25519', pem(ed.publicKey));
    expect(read({ [idOf(one)]: one, [idOf(two)]: two })).toMatchObject({
      code: 'KEY_CONFUSION',
      reason: expect.stringContaining('one and the same key'),
    });
  });

  it('strict: schemes other than Ed25519 and ECDSA P-256 sign nothing', () => {
    expect(ring('strict', key('rsa', 'rsassa-pss-sha256', pem(rsa.publicKey)))).toEqual([]);
    expect(ring('strict', key('ecdsa', 'ecdsa-sha2-nistp256', ecPoint))).toHaveLength(1);
  });

  it.each([
    ['a scheme of the future', key('dilithium', 'dilithium', 'ff')],
    ['another type than the scheme', key('rsa', 'ed25519', edHex)],
    ['too short a key', key('ed25519', 'ed25519', edHex.slice(2))],
    ['no hex', key('ed25519', 'ed25519', `${edHex.slice(2)}zz`)],
    ['a key of another curve', key('ecdsa', 'ecdsa-sha2-nistp384', pem(ec.publicKey))],
    ['a point beside the curve', key('ecdsa', 'ecdsa-sha2-nistp256', `04${'11'.repeat(64)}`)],
    ['a key of another kind', key('ed25519', 'ed25519', pem(ec.publicKey))],
    ['a private key', key('ed25519', 'ed25519', '-----BEGIN PRIVATE KEY-----')],
    [
      'a short RSA key',
      key(
        'rsa',
        'rsassa-pss-sha256',
        pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey),
      ),
    ],
  ])('%s signs nothing, and takes no other key with it', (_, json) => {
    const good = key('ed25519', 'ed25519', edHex);
    for (const dialect of ['strict', 'tuf'] as const) {
      const keys = ring(dialect, json, good).map(({ keyId }) => keyId);
      expect(keys).toEqual([idOf(good)]);
    }
  });

  it('a key that is none at all refuses a strict file, and is ignored in TUF', () => {
    const good = key('ed25519', 'ed25519', edHex);
    for (const bad of [7, null, {}, { keytype: 'x', scheme: 'y', keyval: { public: 7 } }]) {
      expect(read({ bad, [idOf(good)]: good })).toMatchObject({ code: 'MALFORMED' });
      const loose = read({ bad, [idOf(good)]: good }, 'tuf');
      expect(loose.ok && [...loose.value.keys()]).toEqual([idOf(good)]);
    }
  });

  it('aktualizr: capitals, no scheme, base64 signatures', () => {
    const json = { keytype: 'ED25519', keyval: { public: edHex } };
    expect(read({ k: json }, 'tuf')).toMatchObject({ ok: true, value: new Map() });
    const old = read({ k: json }, 'aktualizr');
    if (!old.ok) throw new Error(old.reason);
    const base64 = Buffer.from(edSignature, 'hex').toString('base64');
    expect(old.value.get('k')?.verify(MESSAGE, base64)).toBe(true);
    expect(old.value.get('k')?.verify(MESSAGE, edSignature)).toBe(true);
    const [modern] = ring('tuf', key('ed25519', 'ed25519', edHex));
    expect(modern?.verify(MESSAGE, base64)).toBe(false);
  });
});

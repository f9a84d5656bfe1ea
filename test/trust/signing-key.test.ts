// Keys: vectors of the RFCs, PEM files with and without a passphrase, one spelling for one key.

import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import {
  ed25519PublicKey,
  generateSigner,
  generateX25519,
  keyIdOf,
  type PublicKeyJson,
  signerFromPem,
  signerFromSeed,
  toPem,
  verifyWith,
  x25519Agree,
  x25519PublicKey,
} from '../../src/trust/signing-key.ts';

// RFC 8032 7.1, tests 1 to 3.
const RFC_8032 = [
  {
    seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    seed: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
];

const BYTES = new TextEncoder().encode('what is signed');

describe('Ed25519', () => {
  it.each(RFC_8032)('RFC 8032 7.1: seed $seed', ({ seed, publicKey, message, signature }) => {
    const signer = signerFromSeed(fromHex(seed));
    expect(signer.publicKey).toEqual({
      keytype: 'ed25519',
      scheme: 'ed25519',
      keyval: { public: publicKey },
    });
    expect(signer.sign(fromHex(message))).toBe(signature);
    expect(verifyWith(signer.publicKey, fromHex(message), signature)).toBe(true);
  });

  it('a key id is the SHA-256 of the canonical JSON of type, scheme and value', () => {
    const { publicKey } = RFC_8032[0]!;
    const canonical = `{"keytype":"ed25519","keyval":{"public":"${publicKey}"},"scheme":"ed25519"}`;
    const expected = createHash('sha256').update(canonical).digest('hex');
    const json = ed25519PublicKey(fromHex(publicKey));
    expect(keyIdOf(json)).toBe(expected);
    // Whatever else stands in a key does not make another key of it.
    expect(
      keyIdOf({ ...json, comment: 'x', keyval: { ...json.keyval, private: '' } } as never),
    ).toBe(expected);
  });

  it('a seed of another length is refused', () => {
    expect(() => signerFromSeed(new Uint8Array(31))).toThrow('an ed25519 private key has 32 bytes');
    expect(() => signerFromSeed(new Uint8Array(64))).toThrow(RangeError);
  });

  it('takes its randomness from whom it is told', () => {
    const random = { bytes: () => fromHex(RFC_8032[0]!.seed), fraction: () => 0 };
    const { signer } = generateSigner('ed25519', random);
    expect(signer.publicKey.keyval.public).toBe(RFC_8032[0]!.publicKey);
    expect(generateSigner().signer.keyId).not.toBe(generateSigner().signer.keyId);
  });
});

describe.each(['ed25519', 'ecdsa-p256'] as const)('a key of %s', (algorithm) => {
  const { signer, privateKey } = generateSigner(algorithm);
  const signature = signer.sign(BYTES);

  it('verifies what it has signed and nothing else', () => {
    expect(verifyWith(signer.publicKey, BYTES, signature)).toBe(true);
    expect(verifyWith(signer.publicKey, BYTES.subarray(1), signature)).toBe(false);
    expect(verifyWith(generateSigner(algorithm).signer.publicKey, BYTES, signature)).toBe(false);
    for (let at = 0; at < signature.length; at += 2) {
      const byte = Number.parseInt(signature.slice(at, at + 2), 16) ^ 1;
      const changed = `${signature.slice(0, at)}${byte.toString(16).padStart(2, '0')}${signature.slice(at + 2)}`;
      expect(verifyWith(signer.publicKey, BYTES, changed)).toBe(false);
    }
  });

  it('garbage is no signature', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(verifyWith(signer.publicKey, BYTES, text)).toBe(false);
      }),
    );
    for (const text of ['', '0', 'zz', `${signature}00`, ` ${signature}`, signature.slice(2)]) {
      expect(verifyWith(signer.publicKey, BYTES, text), text).toBe(false);
    }
  });

  it('comes back from its PEM file', () => {
    const pem = toPem(privateKey);
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(signerFromPem(pem).keyId).toBe(signer.keyId);
  });

  it('comes back from an encrypted PEM file with the right passphrase only', () => {
    const pem = toPem(privateKey, 'four words are better');
    expect(pem).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    expect(signerFromPem(pem, 'four words are better').keyId).toBe(signer.keyId);
    expect(() => signerFromPem(pem, 'four words are worse')).toThrow();
    expect(() => signerFromPem(pem)).toThrow();
    expect(() => toPem(privateKey, '')).toThrow('an empty passphrase protects nothing');
  });

  it('one key has one spelling: another one has signed nothing', () => {
    const { publicKey } = signer;
    const other = (change: (text: string) => string): PublicKeyJson => ({
      ...publicKey,
      keyval: { public: change(publicKey.keyval.public) },
    });
    const spellings =
      algorithm === 'ed25519'
        ? [other((hex) => hex.toUpperCase()), other((hex) => `${hex.slice(0, 2)} ${hex.slice(2)}`)]
        : [other((pem) => pem.trimEnd()), other((pem) => pem.replaceAll('\n', '\r\n'))];
    for (const spelling of [
      ...spellings,
      { ...publicKey, scheme: 'rsassa-pss-sha256' },
      { ...publicKey, keytype: 'rsa' },
      { ...publicKey, scheme: algorithm === 'ed25519' ? 'ecdsa-sha2-nistp256' : 'ed25519' },
      { ...publicKey, keyval: { public: '' } },
    ]) {
      expect(keyIdOf(spelling)).not.toBe(signer.keyId);
      expect(verifyWith(spelling, BYTES, signature)).toBe(false);
    }
  });
});

describe('keys of other kinds', () => {
  const pemOf = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString();

  it('sign nothing', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const curve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey;
    const agreement = generateKeyPairSync('x25519').privateKey;
    expect(() => signerFromPem(pemOf(rsa))).toThrow('a key of kind rsa signs nothing here');
    expect(() => signerFromPem(pemOf(curve))).toThrow('a key of kind secp256k1');
    expect(() => signerFromPem(pemOf(agreement))).toThrow('a key of kind x25519');
    expect(() => signerFromPem('no key at all')).toThrow();
  });
});

describe('X25519', () => {
  it('RFC 7748 6.1', () => {
    const alice = fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
    const bob = fromHex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
    const alicePublic = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';
    const bobPublic = 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f';
    const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    expect(toHex(x25519PublicKey(alice))).toBe(alicePublic);
    expect(toHex(x25519PublicKey(bob))).toBe(bobPublic);
    expect(toHex(x25519Agree(alice, fromHex(bobPublic))!)).toBe(shared);
    expect(toHex(x25519Agree(bob, fromHex(alicePublic))!)).toBe(shared);
  });

  it('is a pair of keys that agree', () => {
    const one = generateX25519();
    const other = generateX25519();
    const shared = x25519Agree(one.privateKey, other.publicKey);
    expect(shared).toHaveLength(32);
    expect(x25519Agree(other.privateKey, one.publicKey)).toEqual(shared);
    expect(x25519Agree(one.privateKey, one.publicKey)).not.toEqual(shared);
    expect(x25519PublicKey(one.privateKey)).toEqual(one.publicKey);
  });

  // RFC 7748 6.1 and 7: with these points everybody gets zero, or a secret that does not depend on his key.
  it.each([
    ['zero', '00'.repeat(32)],
    ['one', `01${'00'.repeat(31)}`],
    ['order 8', 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'],
    ['p - 1', `ec${'ff'.repeat(30)}7f`],
    ['31 bytes', '09'.repeat(31)],
    ['nothing', ''],
  ])('a peer without a key (%s) shares nothing', (_name, point) => {
    expect(x25519Agree(generateX25519().privateKey, fromHex(point))).toBeUndefined();
  });

  it('own keys of another length are a mistake of the caller', () => {
    expect(() => x25519PublicKey(new Uint8Array(16))).toThrow(RangeError);
    expect(() => x25519Agree(new Uint8Array(33), generateX25519().publicKey)).toThrow(RangeError);
  });
});

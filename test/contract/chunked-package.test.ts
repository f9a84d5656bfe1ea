// Packages for small devices: what a device refuses, in the order in which it can know, and what it opens in 4 KiB.

import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type PackageManifest,
  PROFILES,
  type Profile,
  type ReleaseKey,
  readReleaseKey,
  verifyPackage,
} from '../../src/contract/chunked/package.ts';
import {
  blockKeys,
  encryptedLength,
  encryptPackage,
  nonceOf,
  type PackageKey,
} from '../../src/contract/chunked/package-cipher.ts';
import { DECRYPTOR_BYTES, PackageDecryptor } from '../../src/contract/chunked/package-decryptor.ts';
import {
  generateReleaseKey,
  manifestFor,
  publicPem,
  signManifest,
} from '../../src/contract/chunked/sign-package.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';

const FACTS = { model: 'SENSOR-1', version: '1.1.0', counter: 5 };
const TO: PackageKey = { serial: 'CO-000001', deviceKey: new Uint8Array(32).fill(9) };
const KEYS = {
  default: generateReleaseKey('default'),
  rsa: generateReleaseKey('rsa'),
} as const;

function keyOf(profile: Profile): ReleaseKey {
  return readReleaseKey(publicPem(KEYS[profile]))!;
}

function imageOf(length: number): Uint8Array {
  return seededRandom(`image ${length}`).bytes(length);
}

function encrypted(manifest: PackageManifest, image: Uint8Array, to = TO): Uint8Array {
  const encryptor = encryptPackage(manifest, to, seededRandom('encryption'));
  return concatBytes(encryptor.head, encryptor.update(image), encryptor.finish());
}

/** In pieces of these sizes, again and again; the image, or the code of what is wrong. */
function open(
  manifest: PackageManifest,
  blob: Uint8Array,
  { to = TO, pieces = [1000] }: { to?: PackageKey; pieces?: readonly number[] } = {},
): Uint8Array | string {
  const memory = new Uint8Array(DECRYPTOR_BYTES);
  const decryptor = new PackageDecryptor({ manifest, to, memory });
  const plain: Uint8Array[] = [];
  for (let at = 0, piece = 0; at < blob.length; piece++) {
    const end = at + pieces[piece % pieces.length]!;
    let rest = blob.subarray(at, end);
    while (rest.length > 0) {
      const step = decryptor.take(rest);
      if (!step.ok) return step.code;
      // A view of the memory that was handed in, and no other.
      expect(step.plain.length === 0 || step.plain.buffer === memory.buffer).toBe(true);
      plain.push(step.plain.slice());
      rest = rest.subarray(step.taken);
    }
    at = end;
  }
  const end = decryptor.finish();
  return end.ok ? concatBytes(...plain) : end.code;
}

describe.each(PROFILES)('an encrypted image of profile %s', (profile) => {
  const manifestOf = (image: Uint8Array): PackageManifest =>
    manifestFor(image, { ...FACTS, profile });

  it.each([1, 15, 16, 17, 4095, 4096, 4097, 8192, 12_345])('of %d bytes opens', (length) => {
    const image = imageOf(length);
    const manifest = manifestOf(image);
    const blob = encrypted(manifest, image);
    expect(blob.length).toBe(encryptedLength(manifest));
    expect(open(manifest, blob)).toEqual(image);
    expect(open(manifest, blob, { pieces: [blob.length] })).toEqual(image);
  });

  it('opens in pieces of any size', () => {
    const image = imageOf(9000);
    const manifest = manifestOf(image);
    const blob = encrypted(manifest, image);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 6000 }), { minLength: 1, maxLength: 20 }),
        (pieces) => {
          expect(open(manifest, blob, { pieces })).toEqual(image);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('does not open with one bit changed, wherever', () => {
    const image = imageOf(5000);
    const manifest = manifestOf(image);
    const blob = encrypted(manifest, image);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8 * blob.length - 1 }), (bit) => {
        const changed = Uint8Array.from(blob);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        expect(open(manifest, changed)).toBe('DECRYPTION');
      }),
      { numRuns: 150 },
    );
  });

  it('does not open cut, continued or with blocks swapped', () => {
    const image = imageOf(3 * 4096);
    const manifest = manifestOf(image);
    const blob = encrypted(manifest, image);
    for (const length of [0, 10, 40, 5000, blob.length - 1]) {
      expect(open(manifest, blob.subarray(0, length))).toBe('LENGTH');
    }
    expect(open(manifest, concatBytes(blob, Uint8Array.of(0)))).toBe('LENGTH');
    const head = profile === 'rsa' ? 38 : 22;
    const block = profile === 'rsa' ? 4096 : 4112;
    const swapped = concatBytes(
      blob.subarray(0, head),
      blob.subarray(head + block, head + 2 * block),
      blob.subarray(head, head + block),
      blob.subarray(head + 2 * block),
    );
    expect(open(manifest, swapped)).toBe('DECRYPTION');
  });

  it('is for one device, and one package', () => {
    const image = imageOf(5000);
    const manifest = manifestOf(image);
    const blob = encrypted(manifest, image);
    const others: [PackageManifest, PackageKey][] = [
      [manifest, { ...TO, serial: 'CO-000002' }],
      [manifest, { ...TO, deviceKey: new Uint8Array(32).fill(8) }],
      [{ ...manifest, model: 'SENSOR-2' }, TO],
      [{ ...manifest, version: '1.2.0' }, TO],
      [{ ...manifest, sha256: '00'.repeat(32) }, TO],
    ];
    for (const [other, to] of others) expect(open(other, blob, { to })).toBe('DECRYPTION');
    const again = encryptPackage(manifest, TO, seededRandom('another encryption'));
    expect(again.update(image)).not.toEqual(blob.subarray(again.head.length));
  });

  it('is made of the image that was signed and of no other', () => {
    const manifest = manifestOf(imageOf(100));
    for (const wrong of [imageOf(99), imageOf(101), new Uint8Array(100)]) {
      expect(() => encrypted(manifest, wrong)).toThrow(RangeError);
    }
  });

  it('is judged before its first byte: signature, model, counter', () => {
    const manifest = manifestOf(imageOf(100));
    const signed = signManifest(manifest, KEYS[profile]);
    const device = { model: 'SENSOR-1', counter: 5, releaseKey: keyOf(profile) };
    expect(verifyPackage(signed, device)).toEqual({ ok: true, manifest });
    const faults = (change: Partial<PackageManifest>, on = device): string => {
      const verdict = verifyPackage(signManifest({ ...manifest, ...change }, KEYS[profile]), on);
      return verdict.ok ? 'ok' : verdict.code;
    };
    expect(faults({ model: 'SENSOR-2' })).toBe('MODEL');
    expect(faults({ counter: 4 })).toBe('COUNTER');
    expect(faults({ counter: 6 })).toBe('ok');
    const stranger = readReleaseKey(publicPem(generateReleaseKey(profile)))!;
    expect(faults({}, { ...device, releaseKey: stranger })).toBe('SIGNATURE');
    // What is not signed says nothing, so nothing else is said about it.
    const forged = { ...signed, manifest: { ...manifest, model: 'SENSOR-2', counter: 0 } };
    expect(verifyPackage(forged, device)).toMatchObject({ ok: false, code: 'SIGNATURE' });
    const other = PROFILES.find((each) => each !== profile)!;
    expect(faults({}, { ...device, releaseKey: keyOf(other) })).toBe('PROFILE');
  });
});

describe('with GCM', () => {
  it('an image that is not the signed one is refused at its end, whoever has encrypted it', () => {
    const image = imageOf(100);
    const manifest = manifestFor(image, { ...FACTS, profile: 'default' });
    const head = encrypted(manifest, image).subarray(0, 22);
    const { key, prefix } = blockKeys(manifest, TO, head);
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(prefix, 0, true));
    cipher.setAAD(head);
    const text = concatBytes(cipher.update(new Uint8Array(100)), cipher.final());
    expect(open(manifest, concatBytes(head, text, cipher.getAuthTag()))).toBe('DIGEST_MISMATCH');
  });
});

describe('with CBC', () => {
  it('nobody learns from the padding: the HMAC is wrong first', () => {
    const image = imageOf(100);
    const manifest = manifestFor(image, { ...FACTS, profile: 'rsa' });
    const blob = encrypted(manifest, image);
    const answers = new Set<string | Uint8Array>();
    // The padding oracle's question: every value of the last byte before the last block.
    for (let value = 1; value < 256; value++) {
      const asked = Uint8Array.from(blob);
      asked[blob.length - 32 - 17]! ^= value;
      answers.add(open(manifest, asked));
    }
    expect([...answers]).toEqual(['DECRYPTION']);
  });
});

describe('keys', () => {
  it('of another kind or size, private ones and no keys are refused', () => {
    const pem = KEYS.default.export({ type: 'pkcs8', format: 'pem' }).toString();
    for (const text of [pem, '', 'nonsense', '-----BEGIN PUBLIC KEY-----\nAAAA\n']) {
      expect(readReleaseKey(text)).toBeUndefined();
    }
    const manifest = manifestFor(imageOf(10), { ...FACTS, profile: 'default' });
    expect(() => signManifest(manifest, KEYS.rsa)).toThrow(TypeError);
  });

  it('a decryptor says how much memory it needs', () => {
    const manifest = manifestFor(imageOf(10), { ...FACTS, profile: 'default' });
    const memory = new Uint8Array(DECRYPTOR_BYTES - 1);
    expect(() => new PackageDecryptor({ manifest, to: TO, memory })).toThrow('4112 bytes');
  });
});

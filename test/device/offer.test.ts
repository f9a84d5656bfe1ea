// What a device says to an offer before the first byte has come.

import { describe, expect, it } from 'vitest';
import { readReleaseKey } from '../../src/contract/chunked/package.ts';
import { encryptedLength } from '../../src/contract/chunked/package-cipher.ts';
import { manifestFor, publicPem, signManifest } from '../../src/contract/chunked/sign-package.ts';
import { offerFault, usableBytes } from '../../src/device/offer.ts';
import { imageOf, MODEL, releaseKey } from './support.ts';

const key = releaseKey('default');
const device = {
  model: MODEL,
  counter: 5,
  releaseKey: readReleaseKey(publicPem(key))!,
};

function offer(facts: { model?: string; counter?: number } = {}) {
  const manifest = manifestFor(imageOf(5000), {
    model: MODEL,
    version: '2.0.0',
    counter: 5,
    profile: 'default',
    ...facts,
  });
  return {
    signed: signManifest(manifest, key),
    transfer: {
      id: 'ab'.repeat(8),
      image: { length: encryptedLength(manifest), sha256: 'cd'.repeat(32) },
      chunkBytes: 1024,
      prefix: null,
    },
  };
}

describe('an offer', () => {
  it('that fits is taken', () => {
    const { signed, transfer } = offer();
    expect(offerFault(signed, transfer, device, 1024)).toBeUndefined();
  });

  it('with a lower release counter than was confirmed is refused, whoever signed it', () => {
    const { signed, transfer } = offer({ counter: 4 });
    expect(offerFault(signed, transfer, device, 1024)).toMatchObject({ code: 'COUNTER' });
  });

  it('for other hardware is refused', () => {
    const { signed, transfer } = offer({ model: 'PUMP-2' });
    expect(offerFault(signed, transfer, device, 1024)).toMatchObject({ code: 'MODEL' });
  });

  it('that somebody has changed is refused', () => {
    const { signed, transfer } = offer();
    const changed = { ...signed, manifest: { ...signed.manifest, version: '2.0.1' } };
    expect(offerFault(changed, transfer, device, 1024)).toMatchObject({ code: 'SIGNATURE' });
  });

  it('of a wrong length, or in chunks that are too large for the memory, is refused', () => {
    const { signed, transfer } = offer();
    const longer = { ...transfer, image: { ...transfer.image, length: 9999 } };
    expect(offerFault(signed, longer, device, 1024)).toMatchObject({ code: 'LENGTH' });
    expect(offerFault(signed, transfer, device, 512)).toMatchObject({ code: 'CHUNK_SIZE' });
  });
});

describe('bytes of an earlier try', () => {
  const { signed, transfer } = offer();
  const { length, sha256 } = transfer.image;
  const kept = { id: 'ab', package: signed, length, sha256, chunkBytes: 1024 };
  const held = { chunks: 2, bytes: 2048, sha256: 'ef'.repeat(32) };
  const agreed = { ...transfer, prefix: { bytes: 2048, sha256: held.sha256 } };

  it('are used where both sides have the same', () => {
    expect(usableBytes(agreed, kept, held)).toBe(2048);
  });

  it('are of no use where anything differs', () => {
    const other = 'ee'.repeat(32);
    expect(usableBytes(transfer, kept, held)).toBe(0);
    expect(usableBytes(agreed, null, undefined)).toBe(0);
    expect(usableBytes(agreed, { ...kept, sha256: other }, held)).toBe(0);
    expect(usableBytes(agreed, { ...kept, chunkBytes: 512 }, held)).toBe(0);
    expect(usableBytes(agreed, kept, { ...held, sha256: other })).toBe(0);
    expect(usableBytes(agreed, kept, { ...held, bytes: 1024 })).toBe(0);
  });
});

// Chunked download, on the wire: records, manifests and encrypted images as literals that another implementation made.

import { canonicalize } from '@tufjs/canonical-json';
import { describe, expect, it } from 'vitest';
import { CHUNK_FAULT_NAMES, parseChunkFault } from '../../src/contract/chunked/faults.ts';
import {
  manifestBytes,
  manifestSchema,
  type PackageManifest,
  readReleaseKey,
  signedBy,
} from '../../src/contract/chunked/package.ts';
import { encryptedLength, encryptPackage } from '../../src/contract/chunked/package-cipher.ts';
import {
  checkRequest,
  chunkKey,
  chunkRequest,
  encodeRecord,
} from '../../src/contract/chunked/protocol.ts';
import { manifestFor } from '../../src/contract/chunked/sign-package.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { deviceKeyOf } from '../../src/trust/device-session.ts';

const SESSION = {
  id: '00112233445566778899aabbccddeeff',
  serial: 'CO-000007',
  suite: 'chacha20-poly1305',
  secret: Uint8Array.from({ length: 32 }, (_, index) => index),
} as const;
const PLAIN = Uint8Array.from({ length: 100 }, (_, index) => index * 7);
const FACTS = { model: 'SENSOR-1', version: '1.1.0', counter: 2 };
const TO = { serial: 'CO-000007', deviceKey: deviceKeyOf(new TextEncoder().encode('secret')) };
const ED25519 = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=
-----END PUBLIC KEY-----
`;
const RSA = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA+jKYTTsVLl7BdB9ksDrU
WGd7MRSIzFtEXNHCgeNuwYZKPQAd68M+JTCxJ1y1dLEL1Nmk9UCaGqfoi5TeFeh3
Ds2tQd76Vl7+FPnCbb6D2bzv4ubM4oBr9Lb9S6tIWNvABAp4Z76mTZIDRui8hRgw
8d9KycvreBm/vP8D/5vuMJ8m3Oli5Jy1mOriSmJep/8zh06kNA6Fke+IeH/EoC7G
uoMhUKz8kKH/ejru+/gt01T1flUEexlkKQuxKs/nz/ypr3bsXbSEqePkg72bgGmL
/eL/P5iHCDkdsoCcUNdJEuopcjmuxJ4eFqds0PO6yR9fBwSgDjN7LQXBqhlcC6uj
gwIDAQAB
-----END PUBLIC KEY-----
`;
const SIGNATURES = {
  default:
    '4d7ad7ec25cadd19ac9e05a88f5cb484f6e93d33360ed018c780cdd72a986257b03d61b2e94a5979ddf0e9b973' +
    '2ddbe390d8be45f1c9ac5981bb91a53f1cd40f',
  rsa:
    '92fc95944ae76112daa50a4be1626a34147b6d526f9f0f2347a65a995f8974a6e4814e0ef658f8fedef22dbbce' +
    '89f777ed63c70b774187b79010262373606b5b6de881421be15ac9c270b64c29cabd81e943428f59b87e2ac05f' +
    '66044c6c18db527753e172c6b4f015296726155196c8ad4b5dfbf7112a6f29db083fb88ba325fd4c85c2cda40a' +
    '12bf2741988520fd30e9949fff79013f1e379706a50283bcc92f914f9184382692baf9b5befe31766a76f8f296' +
    'a9fee817cab1d1484ca7b18921cfdf24d29803fffad4b2670b16fabcb3f3bf9080eeaf144ec9190dfc322d3bc8' +
    '38534cf88226f0d7c07fa2011c9ba7bb5e51b2e055bac4ae61b7eb54b4410e',
} as const;

/** Salts of 11, then IVs of 22. */
function counting() {
  let calls = 0;
  return {
    bytes: (length: number) => new Uint8Array(length).fill(0x11 * ++calls),
    fraction: () => 0,
  };
}

function encrypted(manifest: PackageManifest): string {
  const encryptor = encryptPackage(manifest, TO, counting());
  const parts = [encryptor.head, encryptor.update(PLAIN), encryptor.finish()];
  return parts.map(toHex).join('');
}

describe('on the wire', () => {
  it('a record is number, length, data and HMAC', () => {
    const key = chunkKey(SESSION, 'ab'.repeat(32));
    const record = encodeRecord(key, 1024, 3, new TextEncoder().encode('chunk!'));
    expect(toHex(record)).toBe(
      '0000000300066368756e6b21f56d78b73fae1fcaa1aaea781301db5a725c898a0ae9b30a22a65cc903036b68',
    );
    expect(() => encodeRecord(key, 1024, 0, new Uint8Array())).toThrow('this one has 0');
    expect(() => encodeRecord(key, 1024, 0, new Uint8Array(1025))).toThrow('this one has 1025');
  });

  it('the HMAC binds device, session, image, size of chunks and place', () => {
    const image = 'ab'.repeat(32);
    const data = Uint8Array.of(1, 2, 3);
    const macs = [
      encodeRecord(chunkKey(SESSION, image), 1024, 3, data),
      encodeRecord(chunkKey({ ...SESSION, serial: 'CO-000008' }, image), 1024, 3, data),
      encodeRecord(chunkKey({ ...SESSION, id: '11'.repeat(16) }, image), 1024, 3, data),
      encodeRecord(chunkKey(SESSION, 'ac'.repeat(32)), 1024, 3, data),
      encodeRecord(chunkKey(SESSION, image), 512, 3, data),
      encodeRecord(chunkKey(SESSION, image), 1024, 4, data),
    ].map((record) => toHex(record.subarray(-32)));
    expect(new Set(macs).size).toBe(macs.length);
  });

  it('a manifest is canonical JSON', () => {
    const manifest = manifestFor(PLAIN, { ...FACTS, profile: 'default' });
    const text = new TextDecoder().decode(manifestBytes(manifest));
    expect(text).toBe(
      '{"counter":2,"format":1,"length":100,"model":"SENSOR-1","profile":"default","sha256":"56fee4b12b280ea1e7c1b550002bb18b342ccbd7229cd4b147ea07aa1a691294","type":"can-ota device package","version":"1.1.0"}',
    );
    expect(text).toBe(canonicalize(manifest));
    expect(manifestSchema.parse(JSON.parse(text))).toEqual(manifest);
  });

  it.each([
    ['default', ED25519],
    ['rsa', RSA],
  ] as const)('a signature of profile %s is verified', (profile, pem) => {
    const key = readReleaseKey(pem)!;
    expect(key.profile).toBe(profile);
    const manifest = manifestFor(PLAIN, { ...FACTS, profile });
    const signature = SIGNATURES[profile];
    expect(signedBy({ manifest, signature }, key)).toBe(true);
    expect(signedBy({ manifest: { ...manifest, counter: 3 }, signature }, key)).toBe(false);
    expect(signedBy({ manifest, signature: `00${signature.slice(2)}` }, key)).toBe(false);
    expect(signedBy({ manifest, signature: signature.slice(2) }, key)).toBe(false);
  });

  it('an image of profile default is AES-256-GCM in blocks', () => {
    const manifest = manifestFor(PLAIN, { ...FACTS, profile: 'default' });
    const blob = encrypted(manifest);
    expect(blob).toBe(
      '434f4431010111111111111111111111111111111111c316ff41f81a97e2cf5bff06a98e56ce7cca12efed5864' +
        'dbdd29759ac39dfbfae7574b331f600202ab38a2e14bdf8c0a9589a210b82d1b395ca0fb25e8f6b9c998fc00b8' +
        '5fc21ba024db8228298b3627eea46e1e4216acb96da788e559a79ee4a67da77b4e56b9645a824481bc85b81bea' +
        'b90e64',
    );
    expect(encryptedLength(manifest)).toBe(fromHex(blob).length);
  });

  it('an image of profile rsa is AES-256-CBC with an HMAC over it', () => {
    const manifest = manifestFor(PLAIN, { ...FACTS, profile: 'rsa' });
    const blob = encrypted(manifest);
    expect(blob).toBe(
      '434f443101021111111111111111111111111111111122222222222222222222222222222222720ac4837d99ec' +
        '6f0a2ab71eb87f182a647f5abf9d5db2a1b2af2b828c1b4013a68d93650629af28d15c3ac447c23ee15ef60d22' +
        '272131669fcb54ebd297a651c70ce8f61bd410ddd4127b05847d91bfa60f4992deaa480e4c911d999578296641' +
        'bc3ae5fa1f2cb53d33e988cd0292932145786ae07cb96cb774f9099619a7a63e4d2ac198d6351a6964792fe971' +
        '68f9',
    );
    expect(encryptedLength(manifest)).toBe(fromHex(blob).length);
  });
});

describe('requests', () => {
  const check = { kind: 'package', ...FACTS, profile: 'default' };

  it('take 1024 bytes a chunk unless told, and 256 to 16384', () => {
    expect(checkRequest.parse(check)).toMatchObject({ chunkBytes: 1024, again: false });
    for (const chunkBytes of [256, 16_384]) {
      expect(checkRequest.parse({ ...check, chunkBytes }).chunkBytes).toBe(chunkBytes);
    }
    for (const chunkBytes of [255, 16_385, 1000.5]) {
      expect(checkRequest.safeParse({ ...check, chunkBytes }).success).toBe(false);
    }
  });

  it('ask for at most 32 chunks', () => {
    const transfer = 'abcdef0123';
    const good = [
      { transfer, from: 0, count: 32 },
      { transfer, numbers: [7, 3] },
    ];
    for (const request of good) expect(chunkRequest.parse(request)).toEqual(request);
    const bad = [
      { transfer, from: 0, count: 33 },
      { transfer, from: 0, count: 0 },
      { transfer, from: -1, count: 1 },
      { transfer, numbers: [] },
      { transfer, numbers: new Array(33).fill(1) },
      { transfer, from: 0, count: 1, numbers: [1] },
    ];
    for (const request of bad) expect(chunkRequest.safeParse(request).success).toBe(false);
  });

  it('know the faults of a bench by name and rate', () => {
    expect(CHUNK_FAULT_NAMES.map((name) => parseChunkFault(name))).toEqual(
      CHUNK_FAULT_NAMES.map((name) => [name, 1]),
    );
    expect(parseChunkFault('truncate=0.25')).toEqual(['truncate', 0.25]);
    for (const text of ['truncat', 'truncate=2', 'truncate=-1', 'truncate=', 'truncate=x', '']) {
      expect(parseChunkFault(text)).toBeUndefined();
    }
  });
});

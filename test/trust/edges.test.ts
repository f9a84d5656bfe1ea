// Lengths and words of signed things at their edges: what is just taken, what is not, and what is said of it.

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  AUTHORITY_CALCULATION,
  AUTHORITY_CHALLENGE_BYTES,
  AUTHORITY_MAC_BYTES,
  RECEIPT_BYTES,
} from '../../src/trust/authority.ts';
import { ImageDecryptor } from '../../src/trust/image-encryption.ts';
import { checkBankRecord } from '../../src/trust/image-header.ts';
import {
  readVersionReport,
  signVersionReport,
  type VersionReport,
} from '../../src/trust/manifest.ts';
import { trustRoot } from '../../src/trust/repository.ts';
import { buildRoot, signRoleNow } from '../../src/trust/role-signing.ts';
import { isCanonical, plainText, serialName, signedSchema } from '../../src/trust/signed-json.ts';
import { signerFromSeed } from '../../src/trust/signing-key.ts';
import { parseJson, quoted } from '../../src/trust/strict-json.ts';
import { checkTime, MAX_TIME_NONCES, signTime } from '../../src/trust/time-attestation.ts';
import { ECU_KEY, encrypt, factsOf, imageOf } from './image-encryption-support.ts';
import { ACCEPTED, record, SERIAL } from './image-header-support.ts';

const text = (length: number): string => 'x'.repeat(length);
const signer = signerFromSeed(new Uint8Array(32).fill(5));

describe('a version report', () => {
  const report: VersionReport = {
    ecu: 'S',
    installed: { name: 'x', version: '1', length: 0, hashes: { sha256: 'ab'.repeat(32) } },
    ...{ attack: '', time: null, counter: 0 },
  };
  const isReport = (change: object, installed: object = {}): boolean => {
    try {
      signVersionReport(
        { ...report, ...change, installed: { ...report.installed, ...installed } },
        signer,
      );
      return true;
    } catch {
      return false;
    }
  };

  it.each<[object, object, boolean]>([
    [{}, {}, true],
    [{}, { name: '' }, false],
    [{}, { name: text(256) }, true],
    [{}, { name: text(257) }, false],
    [{}, { version: '' }, true],
    [{}, { version: text(64) }, true],
    [{}, { version: text(65) }, false],
    [{}, { length: -1 }, false],
    [{}, { length: 0.5 }, false],
    [{}, { hashes: { sha256: 'ab'.repeat(31) } }, false],
    [{ ecu: '' }, {}, false],
    [{ ecu: text(64) }, {}, true],
    [{ ecu: text(65) }, {}, false],
    [{ counter: -1 }, {}, false],
    [{ time: '2030-01-31T12:00:00Z' }, {}, false],
    [{ time: '2030-01-31T12:00:00.000Z' }, {}, true],
    [{ attack: 'ROLLBACK' }, {}, true],
    [{ attack: 'NONE' }, {}, false],
  ])('%#: with %o %o is one: %s', (change, installed, expected) => {
    expect(isReport(change, installed)).toBe(expected);
  });

  it('of another ECU says whose it is', () => {
    expect(readVersionReport(signVersionReport(report, signer), 'T')).toEqual({
      ok: false,
      code: 'WRONG_ECU',
      where: 'version report of T',
      reason: 'is about S',
    });
  });
});

describe('signed JSON', () => {
  const signature = {
    keyid: 'ab'.repeat(32),
    method: 'ed25519',
    hash: { function: 'sha256', digest: 'cd'.repeat(32) },
    sig: '00',
  };
  const schema = signedSchema(z.unknown());
  const isSigned = (change: object, count = 1): boolean =>
    schema.safeParse({
      signed: {},
      signatures: Array.from({ length: count }, () => ({ ...signature, ...change })),
    }).success;

  it.each<[object, number, boolean]>([
    [{}, 0, true],
    [{}, 8, true],
    [{}, 9, false],
    [{ method: text(64) }, 1, true],
    [{ method: text(65) }, 1, false],
    [{ sig: 'ab'.repeat(512) }, 1, true],
    [{ sig: 'ab'.repeat(513) }, 1, false],
    [{ sig: '' }, 1, false],
    [{ sig: 'a' }, 1, false],
    [{ keyid: 'ab'.repeat(31) }, 1, false],
    [{ keyid: 'AB'.repeat(32) }, 1, false],
    [{ hash: { function: 'sha512', digest: 'cd'.repeat(32) } }, 1, false],
  ])('%#: %o, %i times: %s', (change, count, expected) => {
    expect(isSigned(change, count)).toBe(expected);
  });

  it('has a canonical form down to 8 levels', () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    const named = (levels: number): unknown => (levels === 0 ? 1 : { a: named(levels - 1) });
    for (const make of [nested, named]) {
      expect(isCanonical(make(8))).toBe(true);
      expect(isCanonical(make(9))).toBe(false);
    }
    for (const value of [null, true, '', 0, -1, [], {}]) expect(isCanonical(value)).toBe(true);
    for (const value of [0.5, 2 ** 53, '\ud83d', { '\ud83d': 1 }, undefined, () => 1]) {
      expect(isCanonical(value)).toBe(false);
    }
  });

  it('has names of so many characters', () => {
    const lengths = (schema: z.ZodType, ...given: readonly number[]) =>
      given.map((length) => schema.safeParse(text(length)).success);
    expect(lengths(plainText(2, 4), 1, 2, 4, 5)).toEqual([false, true, true, false]);
    expect(lengths(serialName, 0, 1, 64, 65)).toEqual([false, true, true, false]);
    expect(serialName.safeParse('-x').success).toBe(false);
    expect(plainText(0, 9).safeParse('\ud83d').success).toBe(false);
  });
});

describe('strict JSON', () => {
  const parse = (source: string) => parseJson(new TextEncoder().encode(source), 'x');
  it('has 64 levels', () => {
    expect(parse(`${'['.repeat(65)}${']'.repeat(65)}`)).toMatchObject({ ok: true });
    expect(parse(`${'['.repeat(65)}1${']'.repeat(65)}`)).toMatchObject({ ok: false });
    expect(parse(`${'['.repeat(66)}${']'.repeat(66)}`)).toMatchObject({
      reason: 'is not JSON for metadata: more than 64 levels (character 65)',
    });
  });

  it.each([
    ['"a\\\\"', 'a\\'],
    ['"a\\"b"', 'a"b'],
    ['"\\\\\\""', '\\"'],
    ['"\\u00e9\\\\"', '\u00e9\\'],
    ['9007199254740991', 9_007_199_254_740_991],
    ['-9007199254740991', -9_007_199_254_740_991],
  ])('%s', (source, value) => {
    expect(parse(source)).toEqual({ ok: true, value });
  });

  it('says where it is wrong, and what a long number begins with', () => {
    expect(parse('{"a" 1}')).toMatchObject({
      reason: 'is not JSON for metadata: ":" expected (character 5)',
    });
    expect(parse(`1${'0'.repeat(50)}`)).toMatchObject({
      reason: `is not JSON for metadata: the number 1${'0'.repeat(39)} is not whole and exact (character 51)`,
    });
    for (const number of ['9007199254740992', '-9007199254740992', '1.0', '1e1', '0.5', '-0']) {
      expect(parse(number), number).toMatchObject({ ok: false });
    }
  });

  it('quotes 80 characters of a foreign string', () => {
    expect(quoted(text(80))).toBe(`"${text(80)}"`);
    expect(quoted(text(81))).toBe(`"${text(80)}..."`);
  });
});

describe('a time', () => {
  const keys = { keys: [signer.publicKey], threshold: 1 };
  const roles = { root: keys, timestamp: keys, snapshot: keys, targets: keys };
  const rootWith = (more: object) => {
    const payload = buildRoot({ version: 3, expiresMs: 0, roles: { ...roles, ...more } });
    const trust = trustRoot(signRoleNow(payload, [signer]));
    if (!trust.ok) throw new Error(trust.reason);
    return trust.value.root;
  };
  const NONCE = '0a'.repeat(16);
  const other = signerFromSeed(new Uint8Array(32).fill(6));
  const signed = signTime({ timeMs: Date.UTC(2026, 0), nonces: [NONCE] }, signer);
  const check = (input: unknown, more: object, floorMs = 0, nonce = NONCE) =>
    checkTime(input, rootWith(more), nonce, floorMs);

  it('that is refused says what is wrong, and what to do', () => {
    const where = 'time attestation';
    expect(check(null, { time: keys })).toEqual({
      ...{ ok: false, code: 'FREEZE', where },
      reason: 'there is no signed time, so expiry cannot be checked',
    });
    expect(check(signed, {})).toEqual({
      ...{ ok: false, code: 'ARBITRARY_SOFTWARE', where },
      reason: 'Root version 3 of the Director has no role "time": add it by can-ota keys',
    });
    const two = { keys: [signer.publicKey, other.publicKey], threshold: 2 };
    expect(check(signed, { time: two })).toEqual({
      ...{ ok: false, code: 'ARBITRARY_SOFTWARE', where },
      reason: 'has right signatures of 1 keys of the role "time", 2 are needed',
    });
    expect(check(signed, { time: keys }, 0, '0b'.repeat(16))).toEqual({
      ...{ ok: false, code: 'FREEZE', where },
      reason: `does not answer nonce ${'0b'.repeat(16)}: it may be old, ask for the time again`,
    });
    expect(check(signed, { time: keys }, Date.UTC(2026, 1))).toEqual({
      ...{ ok: false, code: 'ROLLBACK', where },
      reason:
        "says 2026-01-01T00:00:00.000Z, it was 2026-02-01T00:00:00.000Z already: set the server's clock",
    });
  });

  it('answers 64 nonces', () => {
    expect(MAX_TIME_NONCES).toBe(64);
    const of = (count: number) => {
      const nonces = Array.from({ length: count }, () => NONCE);
      return check(signTime({ timeMs: 1, nonces }, signer), { time: keys });
    };
    expect(of(64)).toMatchObject({ ok: true });
    expect(of(65)).toMatchObject({ ok: false, code: 'MALFORMED' });
  });
});

describe('a bank record', () => {
  it('that is refused says what is wrong', () => {
    const where = 'image header';
    expect(checkBankRecord(record, new Set(), SERIAL)).toEqual({
      ...{ ok: false, code: 'ARBITRARY_SOFTWARE', where },
      reason: 'its Root is not one that this ECU has accepted',
    });
    expect(checkBankRecord(record, ACCEPTED, 'BENCH-INV')).toEqual({
      ...{ ok: false, code: 'WRONG_ECU', where },
      reason: 'is for ECU BENCH-EDT, this is BENCH-INV',
    });
    expect(checkBankRecord(new Uint8Array(1_048_577), ACCEPTED, SERIAL)).toEqual({
      ...{ ok: false, code: 'MALFORMED', where },
      reason: 'has 1048577 bytes, 1048576 are taken',
    });
    const json = JSON.parse(new TextDecoder().decode(record));
    const changed = { ...json, header: { ...json.header, version: '9' } };
    const bytes = new TextEncoder().encode(JSON.stringify(changed));
    expect(checkBankRecord(bytes, ACCEPTED, SERIAL)).toEqual({
      ...{ ok: false, code: 'IMAGE_MISMATCH', where },
      reason: 'differs from what was signed about the image',
    });
  });

  it('may have 1 MiB', () => {
    const padded = new Uint8Array(1_048_576).fill(0x20);
    padded.set(record);
    expect(checkBankRecord(padded, ACCEPTED, SERIAL)).toMatchObject({ ok: true });
  });
});

describe('the decryptor', () => {
  const BLOCK = 4096;
  const image = imageOf(3 * BLOCK);
  const header = encrypt(image).subarray(0, encrypt(image).length - 3 * (BLOCK + 16));
  const from = (received: number, bytes = header) =>
    new ImageDecryptor(
      { privateKey: ECU_KEY.privateKey, ...factsOf(image) },
      { header: bytes, received },
    );

  it('goes on behind a whole block before the last', () => {
    for (const received of [0, BLOCK, 2 * BLOCK]) {
      expect(from(received).position.received).toBe(received);
    }
    for (const received of [1, BLOCK - 1, BLOCK + 1, 3 * BLOCK, 4 * BLOCK]) {
      expect(() => from(received)).toThrow(
        `not the end of a block: ${received} of ${3 * BLOCK} bytes`,
      );
    }
    expect(() => from(BLOCK, header.subarray(1))).toThrow('the header is not whole');
  });
});

it('service 84 names its roles by these numbers, with MACs and challenges of 16 bytes', () => {
  expect(AUTHORITY_CALCULATION).toEqual({ tester: 1, factory: 2 });
  expect([AUTHORITY_MAC_BYTES, AUTHORITY_CHALLENGE_BYTES, RECEIPT_BYTES]).toEqual([16, 16, 16]);
});

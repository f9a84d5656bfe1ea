// The outside of a signed file: type, version, expiry and signatures, as each dialect wants them.

import { describe, expect, it } from 'vitest';
import { canonicalForms } from '../../src/trust/canonical-form.ts';
import { openEnvelope } from '../../src/trust/metadata.ts';
import {
  type Dialect,
  MAX_BYTES,
  MAX_DELEGATIONS,
  MAX_ROOTS,
  RULES,
} from '../../src/trust/profile.ts';

const KEY = 'ab'.repeat(32);
const file = (signed: object, signatures: unknown = [{ keyid: KEY, sig: '00' }]): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ signed, signatures }));

function open(dialect: Dialect, change: object = {}, signatures?: unknown) {
  const type = dialect === 'aktualizr' ? 'Targets' : 'targets';
  const signed = { _type: type, version: 1, expires: '2030-01-31T12:00:00Z', ...change };
  return openEnvelope('targets', file(signed, signatures), 'file', dialect);
}

const isTaken = (...given: Parameters<typeof open>): boolean => open(...given).ok;

describe('the expiry', () => {
  it.each<[string, boolean]>([
    ['2030-01-31T12:00:00Z', true],
    ['2028-02-29T23:59:59Z', true],
    ['2030-02-29T12:00:00Z', false],
    ['2030-01-31T24:00:00Z', false],
    ['2030-01-31T12:00:00.5Z', false],
    ['2030-01-31T12:00:00.000Z', false],
    ['2030-01-31T12:00:00+00:00', false],
    ['2030-01-31T13:00:00+01:00', false],
    ['2030-01-31', false],
    [' 2030-01-31T12:00:00Z', false],
  ])('%s in the strict dialect: %s', (expires, expected) => {
    expect(isTaken('strict', { expires })).toBe(expected);
  });

  it.each<[unknown, number | undefined]>([
    ['2030-01-31T12:00:00Z', 0],
    ['2030-01-31T12:00:00.5Z', 500],
    ['2030-01-31T12:00:00.123456789Z', 123],
    ['2030-01-31T12:00:00.1234567890Z', undefined],
    ['2030-01-31T13:00:00+01:00', 0],
    ['2030-01-31T11:30:00-00:30', 0],
    ['2030-01-31T12:00:00', undefined],
    ['2030-01-31 12:00:00Z', undefined],
    ['tomorrow', undefined],
    [1_900_000_000, undefined],
  ])('%s elsewhere', (expires, afterMs) => {
    for (const dialect of ['tuf', 'aktualizr'] as const) {
      const opened = open(dialect, { expires });
      expect(opened.ok && opened.value.expiresMs).toBe(
        afterMs === undefined ? false : Date.UTC(2030, 0, 31, 12) + afterMs,
      );
    }
  });
});

describe('the rest', () => {
  it('of a version is a whole number from 1, from 0 in the dialect of aktualizr', () => {
    for (const dialect of ['strict', 'tuf', 'aktualizr'] as const) {
      expect(isTaken(dialect, { version: 1 })).toBe(true);
      expect(isTaken(dialect, { version: 0 })).toBe(dialect === 'aktualizr');
      for (const version of [-1, '1', null]) expect(isTaken(dialect, { version })).toBe(false);
    }
  });

  it('of a type is the name of the role, with a capital in the old form', () => {
    for (const dialect of ['strict', 'tuf', 'aktualizr'] as const) {
      expect(isTaken(dialect, { _type: 'targets' })).toBe(dialect !== 'aktualizr');
      expect(isTaken(dialect, { _type: 'Targets' })).toBe(dialect === 'aktualizr');
      expect(isTaken(dialect, { _type: 'snapshot' })).toBe(false);
    }
    expect(open('strict', { _type: 'root' })).toMatchObject({
      ...{ ok: false, code: 'MALFORMED', where: 'file' },
      reason: '"_type" is "root", expected "targets"',
    });
  });

  it('of signatures has each key once', () => {
    const signature = { keyid: KEY, sig: '00' };
    expect(isTaken('strict', {}, [])).toBe(true);
    expect(isTaken('strict', {}, [signature, { ...signature, keyid: 'cd'.repeat(32) }])).toBe(true);
    expect(open('strict', {}, [signature, signature])).toMatchObject({
      reason: `two signatures of key "${KEY}"`,
    });
    for (const wrong of [{ keyid: KEY }, { sig: '00' }, { keyid: 1, sig: '00' }, null]) {
      expect(open('strict', {}, [wrong])).toMatchObject({
        reason: 'a signature is not {keyid, sig}',
      });
    }
    expect(isTaken('strict', {}, {})).toBe(false);
  });

  it('opens to what is in it', () => {
    const opened = open('strict', { version: 7 });
    expect(opened).toMatchObject({
      ok: true,
      value: { kind: 'targets', dialect: 'strict', version: 7, signatures: new Map([[KEY, '00']]) },
    });
  });
});

describe('a canonical form', () => {
  const texts = (dialect: Dialect, value: Parameters<typeof canonicalForms>[0]) =>
    canonicalForms(value, RULES[dialect]).map((bytes) => new TextDecoder().decode(bytes));

  it('is one, and in the dialect of aktualizr also sorted JSON where that differs', () => {
    const value = { b: 'x\ny', a: ['\u00e9', 1, null, true] };
    const olpc = '{"a":["\u00e9",1,null,true],"b":"x\ny"}';
    expect(texts('strict', value)).toEqual([olpc]);
    expect(texts('tuf', value)).toEqual([olpc]);
    expect(texts('aktualizr', value)).toEqual([olpc, '{"a":["\\u00e9",1,null,true],"b":"x\\ny"}']);
    expect(texts('aktualizr', { a: [1] })).toEqual(['{"a":[1]}']);
  });
});

describe('the rules', () => {
  it('of the strict dialect', () => {
    expect(RULES.strict).toEqual({
      keyIds: 'recomputed',
      sameKeyTwice: 'refused',
      nfc: true,
      unreadableKey: 'refused',
      schemes: ['ed25519', 'ecdsa-sha2-nistp256'],
      oldForm: false,
      canonical: 'OLPC',
      namedFile: 'exact',
      sameVersion: 'kept',
      snapshotHash: true,
      lowestVersion: 1,
      expiry: 'seconds in UTC',
      directorSnapshot: true,
      uptaneDelegations: true,
      customFields: 'required',
    });
  });

  it('of the others, where they differ', () => {
    const { schemes: _, ...tuf } = RULES.tuf;
    expect(tuf).toEqual({
      keyIds: 'opaque',
      sameKeyTwice: 'counted once',
      nfc: false,
      unreadableKey: 'ignored',
      oldForm: false,
      canonical: 'OLPC',
      namedFile: 'exact',
      sameVersion: 'kept',
      snapshotHash: false,
      lowestVersion: 1,
      expiry: 'any ISO 8601',
      directorSnapshot: true,
      uptaneDelegations: false,
      customFields: 'required',
    });
    expect(RULES.aktualizr).toEqual({
      ...RULES.tuf,
      oldForm: true,
      canonical: 'OLPC or sorted JSON',
      namedFile: 'by content',
      sameVersion: 'replaced',
      lowestVersion: 0,
      directorSnapshot: false,
      customFields: 'optional',
    });
  });

  it('have limits', () => {
    expect(MAX_BYTES).toEqual({
      ...{ root: 512_000, timestamp: 16_384, snapshot: 2_000_000, targets: 8_388_608 },
    });
    expect([MAX_ROOTS, MAX_DELEGATIONS]).toEqual([256, 64]);
  });
});

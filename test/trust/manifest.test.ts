// Version reports and vehicle manifests: what is signed, and that nothing else passes for it.

import { createHash, createPublicKey, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ATTACKS } from '../../src/trust/attack.ts';
import {
  checkManifest,
  checkVersionReport,
  readManifest,
  readVersionReport,
  type SignedJson,
  signManifest,
  signVersionReport,
  type VersionReport,
} from '../../src/trust/manifest.ts';
import { generateSigner, signerFromSeed } from '../../src/trust/signing-key.ts';
import { signTime } from '../../src/trust/time-attestation.ts';
import { withChange } from '../support/json-change.ts';

const ecu = signerFromSeed(new Uint8Array(32).fill(1));
const primary = signerFromSeed(new Uint8Array(32).fill(2));
const stranger = signerFromSeed(new Uint8Array(32).fill(3));

const REPORT: VersionReport = {
  ecu: 'CO-000001',
  installed: {
    name: 'EDT-1.0.0-000000000000.bin',
    version: '1.0.0',
    length: 4096,
    hashes: { sha256: 'ab'.repeat(32) },
  },
  attack: '',
  time: '2026-01-31T12:00:00.000Z',
  counter: 7,
};

const bytesOf = (json: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(json));

function codeOf(verdict: { readonly ok: boolean; readonly code?: string }): string {
  return verdict.ok ? 'accepted' : verdict.code!;
}

describe('a version report', () => {
  const signed = signVersionReport(REPORT, ecu);

  it('has every attribute of 5.4.2.1.2, checked by hand', () => {
    const canonical =
      '{"_type":"version-report","attack":"","counter":7,"ecu":"CO-000001","installed":{"hashes":{"sha256":"' +
      `${'ab'.repeat(32)}"},"length":4096,"name":"EDT-1.0.0-000000000000.bin","version":"1.0.0"},` +
      '"time":"2026-01-31T12:00:00.000Z"}';
    const { hash, keyid, method, sig } = signed.signatures[0]!;
    expect(signed.signatures).toHaveLength(1);
    expect({ hash, keyid, method }).toEqual({
      keyid: ecu.keyId,
      method: 'ed25519',
      hash: { function: 'sha256', digest: createHash('sha256').update(canonical).digest('hex') },
    });
    const key = createPublicKey({
      key: {
        kty: 'OKP',
        crv: 'Ed25519',
        x: Buffer.from(ecu.publicKey.keyval.public, 'hex').toString('base64url'),
      },
      format: 'jwk',
    });
    expect(verify(null, Buffer.from(canonical), key, Buffer.from(sig, 'hex'))).toBe(true);
  });

  it('is accepted as bytes and as JSON that was parsed before', () => {
    expect(checkVersionReport(bytesOf(signed), ecu.publicKey)).toEqual({ ok: true, value: REPORT });
    expect(checkVersionReport(signed, ecu.publicKey, 'CO-000001')).toEqual({
      ok: true,
      value: REPORT,
    });
    expect(readVersionReport(bytesOf(signed), 'CO-000001')).toEqual({
      ok: true,
      value: { signed, report: REPORT },
    });
  });

  it('fits into a data identifier with room to spare', () => {
    const longest = signVersionReport(
      {
        ecu: 'X'.repeat(64),
        installed: { ...REPORT.installed, name: 'n'.repeat(128), version: 'v'.repeat(64) },
        attack: 'REPOSITORIES_DISAGREE',
        time: REPORT.time,
        counter: Number.MAX_SAFE_INTEGER,
      },
      ecu,
    );
    expect(bytesOf(longest).length).toBeLessThan(2048);
  });

  it('is signed with ECDSA keys too', () => {
    const { signer } = generateSigner('ecdsa-p256');
    const other = signVersionReport(REPORT, signer);
    expect(other.signatures[0]!.method).toBe('ecdsa-sha2-nistp256');
    expect(checkVersionReport(other, signer.publicKey).ok).toBe(true);
  });

  it.each<[string, string, unknown]>([
    ['another image', 'signed/installed/hashes/sha256', 'cd'.repeat(32)],
    ['another version', 'signed/installed/version', '2.0.0'],
    ['an attack taken away', 'signed/attack', 'ROLLBACK'],
    ['a higher counter', 'signed/counter', 8],
    ['another time', 'signed/time', '2026-01-31T12:00:00.001Z'],
    ['no time', 'signed/time', null],
    ['no signature', 'signatures', []],
    ['a signature under a strange id', 'signatures/0/keyid', stranger.keyId],
    ['the hash of something else', 'signatures/0/hash/digest', '00'.repeat(32)],
    ['another method', 'signatures/0/method', 'rsassa-pss-sha256'],
    ['a damaged signature', 'signatures/0/sig', '00'.repeat(64)],
    ['a short signature', 'signatures/0/sig', '00'],
  ])('%s is refused: UNSIGNED_REPORT', (_name, path, value) => {
    expect(codeOf(checkVersionReport(withChange(signed, path, value), ecu.publicKey))).toBe(
      'UNSIGNED_REPORT',
    );
  });

  it('the right hash does not make up for a wrong signature, nor the other way round', () => {
    const other = signVersionReport({ ...REPORT, counter: 8 }, ecu);
    const { sig } = signed.signatures[0]!;
    const { hash } = other.signatures[0]!;
    const mixed = withChange(other, 'signatures/0/sig', sig);
    expect(codeOf(checkVersionReport(mixed, ecu.publicKey))).toBe('UNSIGNED_REPORT');
    const hashOfOther = withChange(signed, 'signatures/0/hash', hash);
    expect(codeOf(checkVersionReport(hashOfOther, ecu.publicKey))).toBe('UNSIGNED_REPORT');
  });

  it('of another key is refused, a second signature of another key does no harm', () => {
    const forged = signVersionReport(REPORT, stranger);
    expect(codeOf(checkVersionReport(forged, ecu.publicKey))).toBe('UNSIGNED_REPORT');
    const both = { ...signed, signatures: [...forged.signatures, ...signed.signatures] };
    expect(codeOf(checkVersionReport(both, ecu.publicKey))).toBe('accepted');
  });

  it('of another ECU is refused where the ECU is known', () => {
    expect(codeOf(checkVersionReport(signed, ecu.publicKey, 'CO-000002'))).toBe('WRONG_ECU');
    expect(codeOf(readVersionReport(signed, 'CO-000002'))).toBe('WRONG_ECU');
  });

  it.each<[string, string, unknown]>([
    ['another field', 'signed/extra', 1],
    ['another field beside the signatures', 'extra', 1],
    ['another field of a signature', 'signatures/0/extra', 1],
    ['a negative counter', 'signed/counter', -1],
    ['half a byte', 'signed/installed/length', 0.5],
    ['a counter as text', 'signed/counter', '7'],
    ['an unknown attack', 'signed/attack', 'WEATHER'],
    ['a date that is none', 'signed/time', '2026-02-30T00:00:00.000Z'],
    ['a time without milliseconds', 'signed/time', '2026-01-31T12:00:00Z'],
    ['SHA-256 in capitals', 'signed/installed/hashes/sha256', 'AB'.repeat(32)],
    ['another hash function', 'signatures/0/hash/function', 'md5'],
    ['half a surrogate pair', 'signed/installed/name', '\ud800'],
    ['a serial that is a path', 'signed/ecu', '../x'],
    ['nine signatures', 'signatures', (old: unknown[]) => Array.from({ length: 9 }, () => old[0])],
    ['no payload', 'signed', undefined],
  ])('%s is refused: MALFORMED', (_name, path, value) => {
    const verdict = checkVersionReport(withChange(signed, path, value), ecu.publicKey);
    expect(codeOf(verdict)).toBe('MALFORMED');
  });

  it('names the field that is wrong', () => {
    const verdict = checkVersionReport(
      withChange(signed, 'signed/installed/length', -1),
      ecu.publicKey,
      'CO-000001',
    );
    expect(verdict).toMatchObject({ where: 'version report of CO-000001' });
    expect(verdict.ok ? '' : verdict.reason).toContain('"signed.installed.length"');
  });

  it.each([
    ['a name that stands twice', '{"signed":{},"signed":{},"signatures":[]}'],
    ['a byte order mark', '\ufeff{}'],
    ['no JSON', 'report'],
    ['nothing', ''],
  ])('bytes with %s are refused: MALFORMED', (_name, text) => {
    expect(codeOf(checkVersionReport(new TextEncoder().encode(text), ecu.publicKey))).toBe(
      'MALFORMED',
    );
  });

  it('no value whatever gets through or throws', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(checkVersionReport(value, ecu.publicKey).ok).toBe(false);
      }),
    );
  });

  it('every attack code can be told', () => {
    for (const attack of ['', ...ATTACKS] as const) {
      const report = { ...REPORT, attack };
      expect(checkVersionReport(signVersionReport(report, ecu), ecu.publicKey)).toEqual({
        ok: true,
        value: report,
      });
    }
  });

  it('what nobody would accept is not signed', () => {
    expect(() => signVersionReport({ ...REPORT, counter: -1 }, ecu)).toThrow();
  });
});

describe('a vehicle manifest', () => {
  const reports = {
    'CO-000001': signVersionReport(REPORT, ecu),
    'CO-000002': signVersionReport({ ...REPORT, ecu: 'CO-000002' }, primary),
  };
  const manifest = { vin: '1CANXTABENCH00001', primary: 'CO-000002', reports };
  const signed = signManifest(manifest, primary);

  it('comes back as it was signed', () => {
    expect(checkManifest(bytesOf(signed), primary.publicKey)).toEqual({
      ok: true,
      value: manifest,
    });
    expect(checkManifest(JSON.parse(JSON.stringify(signed)), primary.publicKey).ok).toBe(true);
    expect(readManifest(signed)).toEqual({ ok: true, value: { signed, manifest } });
  });

  it.each<[string, string, unknown]>([
    ['another vehicle', 'signed/vin', '1CANXTABENCH00002'],
    ['another Primary', 'signed/primary', 'CO-000009'],
    ['a report left out', 'signed/reports/CO-000001', undefined],
    ['a report changed', 'signed/reports/CO-000001/signed/counter', 1],
    [
      'two reports swapped',
      'signed/reports',
      (map: typeof reports) => ({ 'CO-000001': map['CO-000002'], 'CO-000002': map['CO-000001'] }),
    ],
    ['no signature', 'signatures', []],
  ])('%s is refused: UNSIGNED_REPORT', (_name, path, value) => {
    expect(codeOf(checkManifest(withChange(signed, path, value), primary.publicKey))).toBe(
      'UNSIGNED_REPORT',
    );
  });

  it('of another key is refused', () => {
    expect(codeOf(checkManifest(signManifest(manifest, stranger), primary.publicKey))).toBe(
      'UNSIGNED_REPORT',
    );
  });

  it('a report that its ECU did not sign is in it, and is found by its own check', () => {
    const forged = withChange(reports['CO-000001'], 'signed/counter', 99) as SignedJson;
    const taken = checkManifest(
      signManifest({ ...manifest, reports: { ...reports, 'CO-000001': forged } }, primary),
      primary.publicKey,
    );
    if (!taken.ok) throw new Error(taken.reason);
    const { reports: got } = taken.value;
    expect(codeOf(checkVersionReport(got['CO-000001'], ecu.publicKey, 'CO-000001'))).toBe(
      'UNSIGNED_REPORT',
    );
    expect(codeOf(checkVersionReport(got['CO-000002'], primary.publicKey, 'CO-000002'))).toBe(
      'accepted',
    );
  });

  it('a report of another form does not spoil the others', () => {
    const odd: SignedJson = { signatures: [], signed: { something: ['else', null, 1] } };
    const taken = checkManifest(
      signManifest({ ...manifest, reports: { ...reports, 'CO-000003': odd } }, primary),
      primary.publicKey,
    );
    expect(codeOf(taken)).toBe('accepted');
  });

  it.each<[string, unknown]>([
    ['a half number', { half: 0.5 }],
    ['half a surrogate pair', '\udc00'],
    ['many levels', Array.from({ length: 20 }).reduce((inner) => [inner], 1 as unknown)],
    ['nothing', undefined],
  ])('a report with %s has no canonical form: MALFORMED', (_name, payload) => {
    const copy = withChange(signed, 'signed/reports/CO-000001/signed', payload);
    expect(codeOf(checkManifest(copy, primary.publicKey))).toBe('MALFORMED');
  });

  it('a name that is no serial number is refused', () => {
    for (const name of ['a b', '', '../x', 'x'.repeat(65)]) {
      const text = JSON.stringify(signed).replaceAll('"CO-000001":', `${JSON.stringify(name)}:`);
      expect(codeOf(checkManifest(JSON.parse(text), primary.publicKey)), name).toBe('MALFORMED');
    }
  });

  it('a name that would change the object is left out of it, and then the signature is wrong', () => {
    const text = JSON.stringify(signed).replace('"CO-000001":', '"__proto__":');
    const verdict = checkManifest(JSON.parse(text), primary.publicKey);
    expect(codeOf(verdict)).toBe('UNSIGNED_REPORT');
    expect(codeOf(checkManifest(new TextEncoder().encode(text), primary.publicKey))).toBe(
      'MALFORMED',
    );
  });

  it('one key never signs one thing that reads as another', () => {
    const time = signTime({ timeMs: 0, nonces: [] }, primary);
    expect(codeOf(checkManifest(time, primary.publicKey))).toBe('MALFORMED');
    expect(codeOf(checkVersionReport(time, primary.publicKey))).toBe('MALFORMED');
    expect(codeOf(checkVersionReport(signed, primary.publicKey))).toBe('MALFORMED');
    expect(codeOf(checkManifest(reports['CO-000002'], primary.publicKey))).toBe('MALFORMED');
  });

  it('no value whatever gets through or throws', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(checkManifest(value, primary.publicKey).ok).toBe(false);
      }),
    );
  });
});

// The record beside a bank: what an ECU accepts before a boot, years later too, and what it does not.

import { describe, expect, it } from 'vitest';
import type { VerifiedTarget } from '../../src/trust/director.ts';
import {
  checkBankRecord,
  encodeBankRecord,
  headerOf,
  type ImageHeader,
} from '../../src/trust/image-header.ts';
import {
  buildRoot,
  parseSignedRole,
  roleKeysOf,
  signRoleNow,
} from '../../src/trust/role-signing.ts';
import { signerFromSeed } from '../../src/trust/signing-key.ts';
import { withChange } from '../support/json-change.ts';
import {
  ACCEPTED,
  codeOf,
  digestOf,
  director,
  HEADER,
  images,
  payloadWith,
  record,
  root,
  SERIAL,
  TARGET,
  targets,
} from './image-header-support.ts';

const stranger = signerFromSeed(new Uint8Array(32).fill(9));

function editRecord(path: string, value: unknown): Uint8Array {
  const json: unknown = JSON.parse(new TextDecoder().decode(record));
  return new TextEncoder().encode(JSON.stringify(withChange(json, path, value)));
}

describe('a bank record', () => {
  it('gives the header that was signed, however long ago that expired', () => {
    expect(checkBankRecord(record, ACCEPTED, SERIAL)).toEqual({ ok: true, value: HEADER });
  });

  it('has the header of what was verified', () => {
    const target: VerifiedTarget = {
      serial: SERIAL,
      hardwareId: 'EDT-HW-1',
      name: HEADER.name,
      length: 65_536,
      hashes: { sha256: HEADER.sha256 },
      sha256: HEADER.sha256,
      ecu: 'EDT',
      version: '2.0.0',
      releaseCounter: 3,
      dependencies: { INV: '>=1.0.0', BMS: '1.2.0' },
      encrypt: true,
      forced: false,
      address: undefined,
      notes: 'faster',
      encryption: undefined,
    };
    expect(headerOf(target)).toEqual(HEADER);
  });

  it.each<[keyof ImageHeader, unknown]>([
    ['name', 'EDT-3.0.0-abababababab.bin'],
    ['version', '3.0.0'],
    ['length', 65_537],
    ['sha256', 'cd'.repeat(32)],
    ['securityCounter', 4],
    ['securityCounter', 2],
    ['dependencies', {}],
    ['dependencies', { INV: '>=1.0.0', BMS: '1.2.0', CGW: '1.0.0' }],
  ])('whose %s is not what was signed is refused: IMAGE_MISMATCH', (field, value) => {
    expect(codeOf(editRecord(`header/${field}`, value))).toBe('IMAGE_MISMATCH');
  });

  it('for other hardware is refused', () => {
    expect(codeOf(editRecord('header/hardwareId', 'EDT-HW-2'))).toBe('WRONG_HARDWARE');
  });

  it('of another ECU is refused, also when its header is rewritten', () => {
    expect(codeOf(record, { serial: 'BENCH-INV' })).toBe('WRONG_ECU');
    const rewritten = editRecord('header/serial', 'BENCH-INV');
    expect(codeOf(rewritten, { serial: 'BENCH-INV' })).toBe('WRONG_ECU');
  });

  it('under a Root that was never accepted is refused, whoever signed it', () => {
    expect(codeOf(record, { roots: new Set() })).toBe('ARBITRARY_SOFTWARE');
    const roles = Object.fromEntries(
      ['root', 'timestamp', 'snapshot', 'targets'].map((role) => [
        role,
        { keys: [stranger.publicKey], threshold: 1 },
      ]),
    );
    const own = signRoleNow(buildRoot({ version: 1, expiresMs: 0, roles }), [stranger]);
    const forged = encodeBankRecord(HEADER, signRoleNow(payloadWith(), [stranger]), own);
    expect(codeOf(forged)).toBe('ARBITRARY_SOFTWARE');
    expect(codeOf(forged, { roots: new Set([digestOf(own)]) })).toBe('accepted');
  });

  it('under an older Root that was accepted still boots', () => {
    const payload = parseSignedRole(root).signed;
    const roles = Object.fromEntries(
      ['root', 'timestamp', 'snapshot', 'targets'].map((role) => [
        role,
        roleKeysOf(payload, role)!,
      ]),
    );
    const next = signRoleNow(
      buildRoot({
        version: 2,
        expiresMs: Date.UTC(2100, 0),
        roles: { ...roles, targets: { keys: [stranger.publicKey], threshold: 1 } },
      }),
      [director.root],
    );
    const both = new Set([digestOf(root), digestOf(next)]);
    expect(codeOf(record, { roots: both })).toBe('accepted');
    // The revoked key signs nothing new under the new Root.
    expect(codeOf(encodeBankRecord(HEADER, targets, next), { roots: both })).toBe(
      'ARBITRARY_SOFTWARE',
    );
  });

  it.each([
    ['the image repository', images.targets],
    ['another role', director.snapshot],
    ['a stranger', stranger],
  ])('signed by %s is refused: ARBITRARY_SOFTWARE', (_name, signer) => {
    const forged = encodeBankRecord(HEADER, signRoleNow(payloadWith(), [signer]), root);
    expect(codeOf(forged)).toBe('ARBITRARY_SOFTWARE');
  });

  it('without signatures is refused', () => {
    const bare = signRoleNow(payloadWith(), []);
    expect(codeOf(encodeBankRecord(HEADER, bare, root))).toBe('ARBITRARY_SOFTWARE');
  });

  it('whose Targets assign two images is refused', () => {
    const payload = payloadWith();
    const two = { ...payload, targets: { [HEADER.name]: TARGET, 'other.bin': TARGET } };
    const signed = signRoleNow(two, [director.targets]);
    expect(codeOf(encodeBankRecord(HEADER, signed, root))).toBe('DUPLICATE_ECU');
  });

  it('whose Targets have nothing for this ECU is refused', () => {
    const none = withChange(TARGET, 'custom/ecuIdentifiers', {});
    const signed = signRoleNow(payloadWith(none), [director.targets]);
    expect(codeOf(encodeBankRecord(HEADER, signed, root))).toBe('WRONG_ECU');
  });

  it.each<[string, string, unknown]>([
    ['another format', 'format', 'can-ota-bank-2'],
    ['no header', 'header', undefined],
    ['one field more', 'extra', 1],
    ['one field more in its header', 'header/extra', 1],
    ['a negative length', 'header/length', -1],
    ['no Root', 'root', undefined],
    ['a Targets file that is none', 'targets', '{}'],
  ])('with %s is refused: MALFORMED', (_name, path, value) => {
    expect(codeOf(editRecord(path, value))).toBe('MALFORMED');
  });

  it('of random bytes, of nothing, or without end is refused', () => {
    expect(codeOf(new Uint8Array())).toBe('MALFORMED');
    expect(codeOf(Uint8Array.of(0xff, 0xfe))).toBe('MALFORMED');
    const endless = checkBankRecord(new Uint8Array(2_000_000).fill(0x20), ACCEPTED, SERIAL);
    expect(endless).toMatchObject({ code: 'MALFORMED', reason: expect.stringContaining('taken') });
  });
});

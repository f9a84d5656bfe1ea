// The TMU's identity.json: what is accepted, and that a mistake is named without showing a secret.

import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/core/errors.ts';
import { formatIdentity, type IdentityFile, parseIdentity } from '../../src/trust/identity-file.ts';
import { withChange } from '../support/json-change.ts';

const SECRET = 'ab'.repeat(32);
const IDENTITY: IdentityFile = {
  format: 1,
  vin: '1CANXTABENCH00001',
  serial: 'CO-000001',
  hwId: '0123456789abcdef0123456789abcdef',
  deviceSecret: SECRET,
  signingSeed: 'cd'.repeat(32),
  agreementKey: '44'.repeat(32),
  ecus: {
    EDT: {
      serial: 'CO-000002',
      hardwareId: 'EDT-HW-1',
      securityAccessKey: 'ef'.repeat(16),
      encryptionKey: '55'.repeat(32),
    },
    OTHER_MAKE: { serial: 'CO-000003', hardwareId: 'X' },
  },
  approvalKey: '12'.repeat(32),
};

const parse = (json: unknown): IdentityFile => parseIdentity(JSON.stringify(json), 'identity.json');

/** The message of the error. */
function messageOf(text: string): string {
  try {
    parseIdentity(text, 'identity.json');
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).where).toBe('identity.json');
    expect((error as Error).cause).toBeUndefined();
    return (error as Error).message;
  }
  return 'accepted';
}

describe('identity.json', () => {
  it('comes back as it was written', () => {
    expect(parseIdentity(formatIdentity(IDENTITY), 'identity.json')).toEqual(IDENTITY);
    expect(formatIdentity(IDENTITY)).toMatch(/^\{\n {2}"format": 1,\n/);
    expect(formatIdentity(IDENTITY).endsWith('}\n')).toBe(true);
  });

  it('needs no approval key, and no key of ECUs of another make', () => {
    const { approvalKey, ...rest } = IDENTITY;
    expect(parse(rest)).toEqual(rest);
    expect(parse({ ...rest, ecus: {} }).ecus).toEqual({});
  });

  it.each<[string, string, unknown]>([
    ['format', 'format', 2],
    ['vin', 'vin', ''],
    ['serial', 'serial', '../CO'],
    ['deviceSecret', 'deviceSecret', `${SECRET}00`],
    ['deviceSecret', 'deviceSecret', SECRET.toUpperCase()],
    ['deviceSecret', 'deviceSecret', undefined],
    ['signingSeed', 'signingSeed', 'ab'],
    ['approvalKey', 'approvalKey', 'ab'.repeat(31)],
    ['ecus.edt', 'ecus/edt', { serial: 'CO-000009', hardwareId: 'X' }],
    ['ecus.EDT.serial', 'ecus/EDT/serial', undefined],
    ['ecus.EDT.hardwareId', 'ecus/EDT/hardwareId', 1],
    ['ecus.EDT.securityAccessKey', 'ecus/EDT/securityAccessKey', 'ab'.repeat(15)],
    ['ecus.EDT.securityAccessKey', 'ecus/EDT/securityAccessKey', 'ab'.repeat(65)],
  ])('a wrong %s is named', (field, path, value) => {
    const message = messageOf(JSON.stringify(withChange(IDENTITY, path, value)));
    expect(message).toContain(`identity.json: ${field}: `);
    expect(message).not.toContain(SECRET);
  });

  it('a field too many is named', () => {
    expect(messageOf(JSON.stringify({ ...IDENTITY, deviceSecrte: SECRET }))).toContain(
      'deviceSecrte',
    );
    expect(messageOf(JSON.stringify(withChange(IDENTITY, 'ecus/EDT/key', SECRET)))).toContain(
      'ecus.EDT',
    );
  });

  it('one serial number belongs to one device', () => {
    expect(messageOf(JSON.stringify(withChange(IDENTITY, 'ecus/EDT/serial', 'CO-000001')))).toBe(
      'identity.json: ecus.EDT.serial: CO-000001 is the serial of the TMU, too',
    );
    expect(
      messageOf(JSON.stringify(withChange(IDENTITY, 'ecus/OTHER_MAKE/serial', 'CO-000002'))),
    ).toBe('identity.json: ecus.OTHER_MAKE.serial: CO-000002 is the serial of EDT, too');
  });

  it('a damaged file shows nothing of what is in it', () => {
    const text = formatIdentity(IDENTITY);
    for (const damaged of [
      text.slice(0, 100),
      text.replace(SECRET, `${SECRET}"`),
      '',
      '[]',
      'null',
    ]) {
      const message = messageOf(damaged);
      expect(message).toMatch(/^identity\.json: /);
      expect(message).not.toContain('abab');
    }
  });

  it('what cannot be read is not written', () => {
    expect(() => formatIdentity({ ...IDENTITY, deviceSecret: 'x' })).toThrow('deviceSecret');
  });
});

// Passphrases from files and the environment, and signatures as tokens give them.

import { generateKeyPairSync, sign, verify } from 'node:crypto';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { InputError } from '../../src/core/errors.ts';
import { readSecretLine } from '../../src/core/secret-file.ts';
import { passphraseSource } from '../../src/signing/passphrase.ts';
import { ecdsaDer, tokenSigner } from '../../src/signing/pkcs11.ts';
import { temporaryFolder } from '../cli/keys-support.ts';
import { mockSigner } from '../support/mock-repository.ts';

async function secretFile(text: string, mode = 0o600): Promise<string> {
  const file = path.join(await temporaryFolder(), 'secret');
  await fs.writeFile(file, text);
  await fs.chmod(file, mode);
  return file;
}

describe('a passphrase', () => {
  it('is the first line of a file', async () => {
    const passphraseFile = await secretFile('correct horse battery\r\nsecond line\n');
    const source = await passphraseSource({ passphraseFile });
    expect(await source.toOpen('any')).toBe('correct horse battery');
    expect(await source.forNewKeys()).toBe('correct horse battery');
  });

  it('comes from the environment, unless a file is given', async () => {
    vi.stubEnv('CAN_OTA_PASSPHRASE', 'from the environment');
    try {
      expect(await (await passphraseSource({})).toOpen('any')).toBe('from the environment');
      const passphraseFile = await secretFile('from the file');
      expect(await (await passphraseSource({ passphraseFile })).toOpen('any')).toBe(
        'from the file',
      );
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('of a new key is long; a PIN that opens a token may be short', async () => {
    const source = await passphraseSource({ passphraseFile: await secretFile('123456') });
    expect(await source.toOpen('token')).toBe('123456');
    await expect(source.forNewKeys()).rejects.toThrow(/at least 12 characters/);
  });

  it('is nothing where nobody gave one', async () => {
    const source = await passphraseSource({});
    expect(await source.forNewKeys()).toBeUndefined();
    expect(await source.toOpen('any')).toBeUndefined();
    const asking = await passphraseSource({ passphrase: true });
    await expect(asking.forNewKeys()).rejects.toThrow(/--passphrase-file FILE/);
  });

  it.each([
    ['that others can read', 0o644, 'x', /chmod 600/],
    ['that its group can write', 0o620, 'x', /chmod 600/],
    ['that is empty', 0o600, '\nsecond', /is empty/],
  ])('is not taken from a file %s', async (_name, mode, text, message) => {
    const failure = await readSecretLine(await secretFile(text, mode), '--x').catch(
      (error) => error,
    );
    expect(failure).toBeInstanceOf(InputError);
    expect(failure.message).toMatch(message);
    expect(failure.where).toBe('--x');
  });
});

describe('a key in a token', () => {
  it.each([
    ['0102', '3006020101020102'],
    ['80ff', '300802020080020200ff'],
    ['0000', '3006020100020100'],
    ['00010080', '300702010102020080'],
  ])('r and s %s are DER %s', (raw, der) => {
    expect(ecdsaDer(Buffer.from(raw, 'hex')).toString('hex')).toBe(der);
  });

  it('signs ECDSA in the form that metadata wants', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    for (let round = 0; round < 50; round++) {
      const bytes = Buffer.from(`metadata ${round}`);
      const raw = sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      expect(verify('sha256', bytes, publicKey, ecdsaDer(raw))).toBe(true);
    }
  });

  it('without its package or module says what is missing', async () => {
    const place = { module: '/nowhere/pkcs11.so', token: 'ceremony', label: 'x' };
    const signer = tokenSigner(place, mockSigner('x').publicKey, '1234');
    await expect(signer.sign(new Uint8Array())).rejects.toThrow(
      /npm install graphene-pk11@2|cannot be used as a PKCS#11 module/,
    );
  });
});

// --ca, --client-cert and --client-key: what is read, and what is refused with the option's name.

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InputError } from '../../src/core/errors.ts';
import { type NetworkOptions, networkOf } from '../../src/link/network.ts';
import { pem } from '../support/link-servers.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'can-ota-network-'));
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY']) {
    vi.stubEnv(name, undefined);
    vi.stubEnv(name.toLowerCase(), undefined);
  }
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

async function file(name: string, text: string, mode = 0o600): Promise<string> {
  const place = path.join(folder, name);
  await writeFile(place, text);
  await chmod(place, mode);
  return place;
}

async function refusal(options: NetworkOptions): Promise<string> {
  const error = await networkOf(options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  return (error as Error).message;
}

describe('files of TLS', () => {
  it('a CA, and a certificate with its key in one file or in two', async () => {
    const ca = await file('ca.pem', `text before\n${pem('ca.pem')}${pem('other-ca.pem')}`, 0o644);
    const both = await file('both.pem', pem('client.pem') + pem('client.key'));
    const clientCert = await file('client.pem', pem('client.pem') + pem('ca.pem'), 0o644);
    const clientKey = await file('client.key', pem('client.key'));
    for (const options of [{}, { ca }, { ca, clientCert: both }, { clientCert, clientKey }]) {
      expect(await networkOf(options)).toMatchObject({ fetch: expect.any(Function) });
    }
  });

  it('what is wrong is named with the option', async () => {
    const clientCert = await file('client.pem', pem('client.pem'));
    const clientKey = await file('client.key', pem('client.key'));
    const damaged = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    expect(await refusal({ ca: path.join(folder, 'none') })).toMatch(/^--ca: .*does not exist/);
    expect(await refusal({ ca: clientKey })).toMatch(/^--ca: .*holds no certificate/);
    expect(await refusal({ ca: await file('bad.pem', damaged) })).toMatch(
      /^--ca: .*certificate 1 is damaged/,
    );
    expect(await refusal({ clientKey })).toMatch(/^--client-cert: is missing/);
    expect(await refusal({ clientCert })).toMatch(/^--client-key: .*holds no private key/);
    const other = await file('other.key', pem('stranger.key'));
    expect(await refusal({ clientCert, clientKey: other })).toMatch(
      /^--client-key: is not the key of the first certificate/,
    );
    await chmod(clientKey, 0o644);
    expect(await refusal({ clientCert, clientKey })).toMatch(
      /^--client-key: others than its owner/,
    );
    expect(await refusal({ clientCert, clientKey: 'pkcs11:token=a' })).toMatch(/local TLS proxy/);
  });
});

it('a proxy that cannot be used is refused at the start, where a server needs it', async () => {
  vi.stubEnv('ALL_PROXY', 'socks5://127.0.0.1:1080');
  await expect(networkOf({}, 'http://ota.example')).rejects.toThrow(/ALL_PROXY: names a socks5/);
  vi.stubEnv('NO_PROXY', 'ota.example');
  expect((await networkOf({}, 'http://ota.example')).transport).toHaveProperty('open');
});

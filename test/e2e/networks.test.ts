// docs/operations/networks.md with a real proxy and a real TLS server: the commands of the page, as they stand there.

import { createPrivateKey } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { forwardProxy, listening, pem } from '../support/link-servers.ts';
import { DocsPage } from './support/docs-page.ts';
import { atTheEnd, root, run, scenario } from './support/processes.ts';
import { image, type TestBackend, TestFactory, type TestVehicle } from './support/vehicle.ts';

const FIXTURES = path.join(root, 'test', 'fixtures', 'tls');
const CA = path.join(FIXTURES, 'ca.pem');

/** TLS in front of a backend, as a proxy of an operator does it. Resolves to its port. */
async function tlsInFront(backend: TestBackend, options: ServerOptions = {}): Promise<number> {
  const certificate = { key: pem('server.key'), cert: pem('server.pem') };
  const front = createServer({ ...certificate, ...options }, (incoming, answer) => {
    const { method, headers } = incoming;
    const target = new URL(incoming.url ?? '/', backend.url);
    const onward = request(target, { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    incoming.pipe(onward);
  });
  const opened = await listening(front);
  atTheEnd(() => void opened[Symbol.asyncDispose]());
  return opened.port;
}

/** The page's daemon looks once here, and what it finds is an update or nothing new. */
function onceIn(state: string, vehicle: TestVehicle): Readonly<Record<string, string>> {
  const more = vehicle.shared.map((word) => `'${word}'`).join(' ');
  return { '/var/lib/can-ota': `'${state}' --once ${more} || test $? -eq 5` };
}

describe('the page networks', () => {
  scenario('leads through a proxy, to an own CA, and with a client certificate', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const backend = await factory.backend();
    const page = await DocsPage.open('operations/networks');
    const at = (name: string): string => path.join(page.place, name);
    const vehicle = await factory.vehicle();
    const state = await factory.state();
    const port = await tlsInFront(backend);

    const proxy = await forwardProxy(port);
    atTheEnd(() => void proxy[Symbol.asyncDispose]());
    await backend.release(await image('EDT', 3000, '2.0.0'));
    await page.does('A proxy on the way out', {
      env: { NODE_EXTRA_CA_CERTS: CA },
      replace: {
        'http://proxy.example:3128': `http://127.0.0.1:${proxy.port}`,
        // The certificate of the tests is for this name, which goes to the proxy here.
        'NO_PROXY=localhost,127.0.0.1,': 'NO_PROXY=',
        'https://ota.example ': 'https://localhost ',
        ...onceIn(state, vehicle),
      },
    });
    expect(proxy.seen).toContain('CONNECT localhost:443');
    expect(await vehicle.version('EDT')).toBe('2.0.0');

    const url = `https://localhost:${port}`;
    await page.use('ceremony', backend.keys);
    await page.use('release.token', await backend.tokenFile());
    await backend.release(await image('EDT', 3000, '3.0.0'));
    await page.does('An own CA', {
      replace: {
        'https://ota.example': url,
        '/etc/can-ota/ca.pem': CA,
        '/etc/ssl/certs/ca-certificates.crt': CA,
        ...onceIn(state, vehicle),
      },
    });
    expect(await vehicle.version('EDT')).toBe('3.0.0');

    const strict = await tlsInFront(backend, {
      ca: pem('ca.pem'),
      requestCert: true,
      rejectUnauthorized: true,
    });
    const secret = async (name: string, text: string): Promise<void> => {
      await writeFile(at(name), text);
      await chmod(at(name), 0o600);
    };
    const key = createPrivateKey(pem('client.key'));
    const passphrase = 'of the key';
    await secret('tmu.key', pem('client.key'));
    await secret('tmu.pem', pem('client.pem'));
    await secret('both.pem', pem('client.pem') + pem('client.key'));
    await secret('passphrase.txt', `${passphrase}\n`);
    const form = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase } as const;
    await secret('locked.key', String(key.export(form)));
    const deviceKey = await run(['keys', 'device-key', '--out', at('release.pem')]);
    expect(await deviceKey.code()).toBe(0);
    const token = ['server', 'token', 'line', '--role', 'factory', '--data', backend.data];
    expect(await (await run([...token, '--out', at('factory.token')])).code()).toBe(0);
    const enrolled = await run([
      ...['device', 'enroll', '--model', 'PUMP-1', '--release-key', at('release.pem.pub')],
      ...['--state-dir', at('pump'), '--server', backend.url],
      ...['--token-file', at('factory.token')],
    ]);
    expect(await enrolled.code(), String(enrolled)).toBe(0);
    await backend.release(await image('EDT', 3000, '4.0.0'));
    await page.does('A client certificate', {
      // Of the block with the PKCS#11 token.
      url: backend.url,
      env: { CAN_OTA_CA: CA },
      replace: {
        'https://ota.example': `https://localhost:${strict}`,
        '--state-dir pump': '--state-dir pump --once || test $? -eq 5',
        ...onceIn(state, vehicle),
      },
    });
    expect(await vehicle.version('EDT')).toBe('4.0.0');

    const large = page.starts('Large images', {
      replace: { 'can-ota server': 'can-ota server --port 0' },
    });
    await large.line(/listening on/);
    page.expectAllTried([
      'The backend behind nginx',
      'A client certificate as the second factor of devices',
    ]);
  });
});

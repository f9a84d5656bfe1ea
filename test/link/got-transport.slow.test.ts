// The transport on real sockets: through proxies, with an own CA and a client certificate, and what it says of faults.

import http from 'node:http';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { describeError } from '../../src/core/errors.ts';
import type { LinkOptions } from '../../src/link/agents.ts';
import { createGotTransport } from '../../src/link/got-transport.ts';
import type { LinkError } from '../../src/link/link-error.ts';
import { forwardProxy, listening, pem, tlsServer } from '../support/link-servers.ts';

const ca = pem('ca.pem');
const client = { certificate: pem('client.pem'), key: pem('client.key') };

async function ask(url: string, link: Partial<LinkOptions> = {}): Promise<string> {
  const transport = createGotTransport({ environment: {}, ...link });
  const { status, body } = await transport.open({ method: 'GET', url: new URL(url), headers: {} });
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return `${status} ${Buffer.concat(pieces)}`;
}

async function fault(url: string, link: Partial<LinkOptions> = {}): Promise<LinkError> {
  return ask(url, link).then(
    (answer) => {
      throw new Error(`answered ${answer}`);
    },
    (error: LinkError) => error,
  );
}

describe('proxies', () => {
  it('takes plain requests and tunnels, with a name and password', async () => {
    const backend = http.createServer((request, response) => response.end(request.url));
    await using plain = await listening(backend);
    await using proxy = await forwardProxy(plain.port);
    const environment = { HTTP_PROXY: `http://me:s%40cret@127.0.0.1:${proxy.port}` };
    expect(await ask('http://backend.invalid:8080/a?b=1', { environment })).toBe('200 /a?b=1');
    expect(proxy.seen).toEqual(['http://backend.invalid:8080/a?b=1']);
    expect(proxy.authorization).toEqual([`Basic ${Buffer.from('me:s@cret').toString('base64')}`]);
    const direct = { ...environment, NO_PROXY: '127.0.0.1' };
    await ask(`http://127.0.0.1:${plain.port}/`, { environment: direct });
    expect(proxy.seen).toHaveLength(1);
  });

  it('verifies the server behind a tunnel, with its own CA and client certificate', async () => {
    await using server = await tlsServer('server', {
      requestCert: true,
      rejectUnauthorized: true,
      ca,
    });
    await using proxy = await forwardProxy(server.port);
    const environment = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    const answer = await ask('https://localhost/x', { environment, ca, ...client });
    expect(answer).toBe('200 GET /x');
    expect(proxy.seen).toEqual(['CONNECT localhost:443']);
    const wrong = await fault('https://elsewhere.example/', { environment, ca, ...client });
    expect(wrong.code).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    const nameless = await fault('https://localhost/x', { environment, ca });
    expect(nameless.message).toMatch(/localhost wants a client certificate: give --client-cert/);
  });

  it('says what the proxy answers, and never its password', async () => {
    await using asks = await forwardProxy(9, {
      status: 407,
      text: 'Proxy Authentication Required',
    });
    await using refuses = await forwardProxy(9, { status: 403, text: 'Forbidden' });
    const through = (port: number, user = '') => ({
      environment: { HTTPS_PROXY: `http://${user}127.0.0.1:${port}` },
    });
    const missing = await fault('https://backend.invalid/', through(asks.port));
    expect(missing.message).toMatch(
      /wants a name and password: HTTPS_PROXY=http:\/\/USER:PASSWORD@/,
    );
    const wrong = await fault('https://backend.invalid/', through(asks.port, 'me:secret@'));
    expect(wrong.message).toMatch(/refuses the name and password in HTTPS_PROXY/);
    expect(wrong.message).not.toContain('secret');
    const forbidden = await fault('https://backend.invalid/', through(refuses.port));
    expect(forbidden.message).toMatch(/\(HTTPS_PROXY\) does not connect and answers 403/);
    const gone = await fault('http://backend.invalid/', {
      environment: { http_proxy: 'http://127.0.0.1:9' },
    });
    expect(gone.message).toMatch(/the proxy http:\/\/127.0.0.1:9 \(http_proxy\) cannot be reached/);
    expect(gone.explained).toBe(true);
  });
});

describe('TLS', () => {
  it('believes the given CA only, and shows the given certificate', async () => {
    await using server = await tlsServer('server', {
      requestCert: true,
      rejectUnauthorized: true,
      ca,
    });
    const url = `https://127.0.0.1:${server.port}/x`;
    expect(await ask(url, { ca, ...client })).toBe('200 GET /x');
    const unknown = await fault(url, { ca: pem('other-ca.pem'), ...client });
    expect(unknown.message).toMatch(/signed by none of the CAs in --ca/);
  });

  it.each([
    ['server', {}, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', /signed by an unknown CA: .*--ca FILE/],
    ['expired', { ca }, 'CERT_HAS_EXPIRED', /has expired: renew it; .*clock/],
    ['future', { ca }, 'CERT_NOT_YET_VALID', /is not valid yet: the clock of this machine/],
    [
      'other-name',
      { ca },
      'ERR_TLS_CERT_ALTNAME_INVALID',
      /is for DNS:elsewhere.example: use a name/,
    ],
  ])('%s: names what is wrong with the certificate', async (name, link, code, words) => {
    await using server = await tlsServer(name);
    const error = await fault(`https://127.0.0.1:${server.port}/`, link);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(words);
    expect(error.explained).toBe(true);
  });

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`a client certificate that is missing or refused, ${maxVersion}`, async () => {
      await using server = await tlsServer('server', {
        requestCert: true,
        rejectUnauthorized: true,
        ca,
        maxVersion,
      });
      const url = `https://127.0.0.1:${server.port}/`;
      const missing = await fault(url, { ca });
      expect(missing.message).toMatch(/(wants|may want) a client certificate/);
      const expired = { certificate: pem('client-expired.pem'), key: pem('client-expired.key') };
      const refused = await fault(url, { ca, ...expired });
      expect(refused.message).toMatch(/refuses? the client certificate/);
      const stranger = { certificate: pem('stranger.pem'), key: pem('stranger.key') };
      expect((await fault(url, { ca, ...stranger })).message).toMatch(
        /refuses? the client certificate|wants a client certificate of another CA/,
      );
    });
  }

  it('plain HTTP on a TLS port, and TLS on a plain port', async () => {
    await using plain = await listening(http.createServer((_request, response) => response.end()));
    const noTls = await fault(`https://127.0.0.1:${plain.port}/`, { ca });
    expect(noTls.message).toMatch(/does not speak TLS on this port: use http:\/\/127/);
    await using tls = await tlsServer('server');
    const noHttp = await fault(`http://127.0.0.1:${tls.port}/`);
    expect(noHttp.message).toMatch(/use https:\/\/127/);
    // As OpenSSL and many proxies answer: an alert record.
    const alert = net.createServer((socket) =>
      socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 70]))),
    );
    await using alerting = await listening(alert);
    const record = await fault(`http://127.0.0.1:${alerting.port}/`);
    expect(record.message).toMatch(/speaks TLS on this port: use https/);
  });

  it('no version in common', async () => {
    await using server = await tlsServer('server', {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const error = await fault(`https://127.0.0.1:${server.port}/`, { ca });
    expect(error.message).toMatch(/no TLS version in common/);
    // The pointers and source lines of OpenSSL help no reader.
    expect(describeError(error)).not.toMatch(/error:0A|\.c:/);
  });
});

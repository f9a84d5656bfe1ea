// HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, as curl reads them.

import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/core/errors.ts';
import { type Environment, proxyFor, proxyText } from '../../src/link/proxy-environment.ts';

const proxied = (url: string, env: Environment): string | undefined =>
  proxyFor(new URL(url), env)?.url.href;

describe('the proxy of a request', () => {
  it.each([
    ['http://a.example/', { HTTP_PROXY: 'http://p:3128' }, 'http://p:3128/'],
    ['http://a.example/', { http_proxy: 'http://p:3128' }, 'http://p:3128/'],
    [
      'http://a.example/',
      { http_proxy: 'http://low:1', HTTP_PROXY: 'http://up:2' },
      'http://low:1/',
    ],
    ['https://a.example/', { HTTP_PROXY: 'http://p:3128' }, undefined],
    ['https://a.example/', { HTTPS_PROXY: 'http://p:3128' }, 'http://p:3128/'],
    ['http://a.example/', { HTTPS_PROXY: 'http://p:3128' }, undefined],
    ['https://a.example/', { ALL_PROXY: 'http://all:1' }, 'http://all:1/'],
    ['http://a.example/', { all_proxy: 'http://all:1', HTTP_PROXY: 'http://p:2' }, 'http://p:2/'],
    ['http://a.example/', { HTTP_PROXY: 'p:3128' }, 'http://p:3128/'],
    ['http://a.example/', { HTTP_PROXY: 'https://p' }, 'https://p/'],
    ['http://a.example/', { HTTP_PROXY: ' http://u:s%40@p:1 ' }, 'http://u:s%40@p:1/'],
    ['http://a.example/', { http_proxy: '', HTTP_PROXY: 'http://p:1' }, 'http://p:1/'],
    ['http://127.0.0.1:8080/', { HTTP_PROXY: 'http://p:1' }, 'http://p:1/'],
    ['http://a.example/', {}, undefined],
  ])('%s with %o: %s', (url, env, expected) => {
    expect(proxied(url, env)).toBe(expected);
  });

  it.each([
    ['a.example', 'http://a.example/', true],
    ['a.example', 'http://b.a.example/', true],
    ['.a.example', 'http://a.example/', true],
    ['.a.example', 'http://b.a.example/', true],
    ['*.a.example', 'http://b.a.example/', true],
    ['a.example', 'http://ba.example/', false],
    ['A.Example.', 'http://a.EXAMPLE/', true],
    ['a.example', 'http://a.example./', true],
    ['*', 'http://anything/', true],
    ['x, a.example ,y', 'http://a.example/', true],
    ['x a.example', 'http://a.example/', true],
    ['a.example:8080', 'http://a.example:8080/', true],
    ['a.example:8080', 'http://a.example/', false],
    ['a.example:443', 'https://a.example/', true],
    ['127.0.0.1', 'http://127.0.0.1:9/', true],
    ['27.0.0.1', 'http://127.0.0.1/', false],
    ['10.0.0.0/8', 'http://10.1.2.3/', true],
    ['10.0.0.0/8', 'http://11.1.2.3/', false],
    ['10.0.0.0/8', 'http://ten.example/', false],
    ['::1', 'http://[::1]:80/', true],
    ['[::1]', 'http://[::1]/', true],
    ['[::1]:81', 'http://[::1]/', false],
    ['fd00::/8', 'http://[fd12::1]/', true],
    ['fd00::/8', 'http://[fe80::1]/', false],
    ['10.0.0.0/99', 'http://10.1.2.3/', false],
    ['.', 'http://a.example/', false],
    ['', 'http://a.example/', false],
  ])('NO_PROXY=%s: %s goes direct: %s', (list, url, direct) => {
    for (const name of ['NO_PROXY', 'no_proxy']) {
      const env = { HTTP_PROXY: 'http://p:1', HTTPS_PROXY: 'http://p:1', [name]: list };
      expect(proxied(url, env) === undefined).toBe(direct);
    }
  });

  it.each(['socks5://p:1', 'ftp://p', 'http://', 'p:port'])('refuses %s by name', (value) => {
    const ask = () => proxied('http://a.example/', { ALL_PROXY: value });
    expect(ask).toThrow(InputError);
    expect(ask).toThrow(/ALL_PROXY: .*expected http:\/\/HOST:PORT/);
    // Not where no request takes it.
    expect(proxied('http://a.example/', { ALL_PROXY: value, NO_PROXY: '*' })).toBeUndefined();
  });

  it('is shown without its password', () => {
    const proxy = proxyFor(new URL('http://a/'), { HTTP_PROXY: 'http://u:secret@p:1' })!;
    expect(proxyText(proxy)).toBe('http://p:1 (HTTP_PROXY)');
  });
});

// --suite hmac is refused where its messages could be read on the network.

import { describe, expect, it } from 'vitest';
import { requirePrivateWay } from '../../src/cli/suite.ts';
import { InputError } from '../../src/core/errors.ts';

describe('a suite without encryption', () => {
  it.each([
    'http://ota.example.com',
    'http://10.0.0.7:8080',
    'http://127.example.com',
    'http://[fe80::1]',
  ])('is refused for %s', (server) => {
    expect(() => requirePrivateWay('hmac', server)).toThrow(InputError);
    expect(() => requirePrivateWay('hmac', server)).toThrow(/hmac does not encrypt.*https/);
    expect(() => requirePrivateWay('aes-256-gcm', server)).not.toThrow();
  });

  it.each([
    'https://ota.example.com',
    'http://127.0.0.1:8080',
    'http://localhost',
    'http://[::1]:80',
    'nonsense',
  ])('is no matter for %s', (server) =>
    expect(() => requirePrivateWay('hmac', server)).not.toThrow(),
  );
});

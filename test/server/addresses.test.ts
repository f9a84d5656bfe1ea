// Addresses: one spelling, networks, and whom a proxy may speak for.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AddressList,
  canonicalAddress,
  clientAddress,
} from '../../server/platform/auth/addresses.ts';
import { InputError } from '../../src/core/errors.ts';

describe('canonicalAddress', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['::FFFF:7f00:0001', '127.0.0.1'],
    ['0:0:0:0:0:ffff:10.1.2.3', '10.1.2.3'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['', undefined],
    ['localhost', undefined],
    ['127.1', undefined],
    ['1.2.3.4:80', undefined],
    ['[::1]', undefined],
  ])('%s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  it('survives any text and is idempotent', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), (text) => {
        const once = canonicalAddress(text);
        if (once !== undefined) expect(canonicalAddress(once)).toBe(once);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('AddressList', () => {
  it('holds networks and single addresses of both families', () => {
    const list = new AddressList(
      ['10.0.0.0/8', '192.168.1.7', 'fd00::/8', '::ffff:172.16.0.0/108'],
      'x',
    );
    for (const inside of ['10.255.0.1', '192.168.1.7', 'fd12::1', '172.16.3.4']) {
      expect(list.has(inside), inside).toBe(true);
    }
    for (const outside of ['11.0.0.1', '192.168.1.8', 'fe80::1', '172.32.0.1', 'nonsense', '']) {
      expect(list.has(outside), outside).toBe(false);
    }
  });

  it.each(['10.0.0.0/33', 'fd00::/129', 'example.com', '10.0.0/8', '', '10.0.0.0/-1', '1.2.3.4/x'])(
    'refuses %j and names the option',
    (entry) => {
      const build = () => new AddressList([entry], '--allow-ip');
      expect(build).toThrow(InputError);
      expect(build).toThrow(/--allow-ip/);
    },
  );
});

describe('clientAddress', () => {
  const trusted = new AddressList(['10.0.0.0/8'], 'x');

  it('believes nobody unless told', () => {
    expect(clientAddress('10.0.0.1', '1.2.3.4', false)).toBe('10.0.0.1');
    expect(clientAddress('9.9.9.9', '1.2.3.4', trusted)).toBe('9.9.9.9');
  });

  it('reads from the right, as far as the hops are trusted', () => {
    expect(clientAddress('::ffff:10.0.0.1', '1.1.1.1, 2.2.2.2, 10.0.0.2', trusted)).toBe('2.2.2.2');
    expect(clientAddress('10.0.0.1', '10.0.0.3', trusted)).toBe('10.0.0.3');
    expect(clientAddress('9.9.9.9', '1.1.1.1, 2.2.2.2', 'direct-peer')).toBe('2.2.2.2');
  });

  it.each([
    ['2.2.2.2:5678', '2.2.2.2'],
    ['[2001:db8::7]:443', '2001:db8::7'],
    ['[2001:db8::7]', '2001:db8::7'],
    ['2001:DB8::7', '2001:db8::7'],
    ['"[2001:db8::7]:443"', '2001:db8::7'],
    ['[::ffff:2.2.2.2]:80', '2.2.2.2'],
    ['9.9.9.9:1, 2.2.2.2:5678, 10.0.0.9:80', '2.2.2.2'],
    ['2.2.2.2:', undefined],
    ['2.2.2.2:port', undefined],
    ['[2001:db8::7', undefined],
    ['[2.2.2.2]x', undefined],
  ])('reads an address with port or brackets: %s', (header, expected) => {
    expect(clientAddress('10.0.0.1', header, trusted)).toBe(expected);
    if (!header.includes(',')) {
      expect(clientAddress('9.9.9.9', header, 'direct-peer')).toBe(expected);
    }
  });

  it('knows no address when a trusted proxy sends something else', () => {
    expect(clientAddress('10.0.0.1', '1.1.1.1, unknown', trusted)).toBeUndefined();
    expect(clientAddress('10.0.0.1', '', 'direct-peer')).toBeUndefined();
  });
});

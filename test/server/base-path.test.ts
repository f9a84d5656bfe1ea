// The path below which a proxy serves us: how it is written, and when it is taken off what comes in.

import { describe, expect, it } from 'vitest';
import {
  readBasePath,
  requireBasePath,
  withoutBase,
} from '../../server/platform/http/base-path.ts';
import { InputError } from '../../src/core/errors.ts';

describe('a base path', () => {
  it.each([
    ['/ota', '/ota'],
    ['/ota/', '/ota'],
    ['ota', '/ota'],
    ['/', ''],
    ['', ''],
    ['/a, /b', '/a/b'],
    ['/a/b-c.d_~', '/a/b-c.d_~'],
    ['//evil.example', undefined],
    ['/a//b', undefined],
    ['https://evil.example', undefined],
    ['/a/../b', undefined],
    ['/.', undefined],
    ['/a"onload=', undefined],
    ['/%2e', undefined],
    ['\\\\evil', undefined],
  ])('%s is %s', (text, expected) => {
    expect(readBasePath(text)).toBe(expected);
  });

  it('of an option is refused by name', () => {
    expect(() => requireBasePath('/a b')).toThrow(InputError);
    expect(() => requireBasePath('/a b')).toThrow(/--base-path: .*expected \/ota/);
  });

  it.each([
    ['/ota/login', '/login'],
    ['/login', '/login'],
    ['/ota', '/'],
    ['/ota/', '/'],
    // A proxy has taken it off already: this one is ours.
    ['/ota/check', '/ota/check'],
    ['/ota/ota/check', '/ota/check'],
    ['/other', '/other'],
    ['/otax/login', '/otax/login'],
    ['/ota/nothing', '/nothing'],
  ])('%s is %s to the routes', (path, expected) => {
    const routes = new Set(['/', '/login', '/ota/check']);
    expect(withoutBase(path, '/ota', (each) => routes.has(each))).toBe(expected);
  });
});

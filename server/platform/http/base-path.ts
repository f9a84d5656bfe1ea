// The path below which a proxy serves us: in front of every link, redirect and cookie, and taken off what comes in.

import { InputError } from '../../../src/core/errors.ts';

const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~-]+)*$/;

/**
 * `/ota/`, `ota` and `/ota` are `/ota`; nothing and `/` are empty. `/a, /b` of two proxies is `/a/b`. Undefined for
 * anything else: what stands in links must not lead to another server.
 */
export function readBasePath(text: string): string | undefined {
  const path = text
    .split(',')
    .map((part) => part.trim().replace(/\/$/, ''))
    .map((part) => (part === '' || part.startsWith('/') ? part : `/${part}`))
    .join('');
  return path.length <= 200 && PATH.test(path) ? path : undefined;
}

/** Throws InputError. */
export function requireBasePath(text: string): string {
  const path = readBasePath(text);
  if (path !== undefined) return path;
  throw new InputError('--base-path', `${JSON.stringify(text)} is not a path: expected /ota`);
}

/**
 * The path as routes know it. A proxy may have taken the base off already, and `/ota/check` is a path of ours too:
 * the base is taken off only where the rest leads somewhere.
 */
export function withoutBase(
  path: string,
  base: string,
  isRoute: (path: string) => boolean,
): string {
  if (base === '' || (path !== base && !path.startsWith(`${base}/`))) return path;
  const rest = path.slice(base.length) || '/';
  return isRoute(rest) || !isRoute(path) ? rest : path;
}

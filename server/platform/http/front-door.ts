// In front of everything: how a request arrived, and whether that address may ask at all.

import type { Middleware } from 'koa';
import type { Clock } from '../../../src/core/clock.ts';
import { type AddressList, clientAddress, type ProxyTrust } from '../auth/addresses.ts';
import type { AuditTrail } from '../auth/audit-trail.ts';
import { readBasePath, withoutBase } from './base-path.ts';
import { HttpProblem } from './errors.ts';
import type { RequestState } from './request.ts';

/** Sets address, host, TLS and base path of the request. Refuses nothing. */
export function arrival(options: {
  trust: ProxyTrust;
  secureCookies: boolean | undefined;
  /** Empty: a trusted proxy may name one. */
  basePath: string;
  /** True for a path that some route answers. */
  isRoute(path: string, method: string): boolean;
  clock: Clock;
}): Middleware<RequestState> {
  let second = Number.NaN;
  let date = '';
  /** The same text for all answers of a second. */
  const httpDate = (wallMs: number): string => {
    const now = Math.floor(wallMs / 1000);
    if (now !== second) {
      second = now;
      date = new Date(wallMs).toUTCString();
    }
    return date;
  };
  return async (ctx, next) => {
    // Node's own date is that of the machine, whatever the clock says by which everything else here is signed.
    ctx.set('Date', httpDate(options.clock.wallMs()));
    const peer = ctx.req.socket.remoteAddress;
    // The proxy's other fields are worth as much as its address: nothing unless it is trusted.
    const viaProxy = options.trust !== false && isTrusted(peer, options.trust);
    const told = (name: string): string | undefined =>
      viaProxy ? header(ctx.req.headers[name]) : undefined;
    const forwardedFor = header(ctx.req.headers['x-forwarded-for']);
    const { state } = ctx;
    state.address = clientAddress(peer, forwardedFor, options.trust) ?? 'unknown';
    state.viaProxy = viaProxy;
    state.secure =
      options.secureCookies ?? told('x-forwarded-proto')?.split(',').at(-1)?.trim() === 'https';
    state.host = told('x-forwarded-host') ?? ctx.get('Host');
    state.base = options.basePath || (readBasePath(told('x-forwarded-prefix') ?? '') ?? '');
    if (state.base !== '') {
      ctx.path = withoutBase(ctx.path, state.base, (path) => options.isRoute(path, ctx.method));
      keepCookiesBelow(ctx.cookies, `${state.base}/`);
    }
    ctx.cookies.secure = state.secure;
    await next();
  };
}

/** Refuses an address that is not on the list with 403, for every path. */
export function frontDoor(options: {
  allow: AddressList;
  audit: AuditTrail;
}): Middleware<RequestState> {
  return async (ctx, next) => {
    const { address } = ctx.state;
    if (!options.allow.has(address)) {
      await options.audit.record({ action: 'refused.address', address });
      throw new HttpProblem(
        403,
        'ADDRESS_NOT_ALLOWED',
        'this address may not use the server: its operator can add it to the list of allowed networks',
      );
    }
    await next();
  };
}

/** Other programs below other paths of the same host must not get our session. */
function keepCookiesBelow(
  cookies: { set(name: string, value?: string | null, options?: object): unknown },
  path: string,
): void {
  const set = cookies.set.bind(cookies);
  cookies.set = (name, value, options) => set(name, value, { ...options, path });
}

function isTrusted(peer: string | undefined, trust: ProxyTrust): boolean {
  if (trust === false) return false;
  if (trust === 'direct-peer') return true;
  const address = clientAddress(peer, undefined, false);
  return address !== undefined && trust.has(address);
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

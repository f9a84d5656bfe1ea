// In front of everything: who is asking, and whether that address may ask at all.

import type { Middleware } from 'koa';
import type { Clock } from '../../src/core/clock.ts';
import { type AddressList, clientAddress, type ProxyTrust } from '../auth/addresses.ts';
import type { AuditLog } from '../db/audit.ts';
import { HttpProblem } from '../errors.ts';
import type { RequestState } from './context.ts';

/** Sets address, host and TLS of the request; an address that is not on the list gets 403 for every path. */
export function frontDoor(options: {
  allow: AddressList;
  trust: ProxyTrust;
  secureCookies: boolean | undefined;
  audit: AuditLog;
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
    const address = clientAddress(peer, header(ctx.req.headers['x-forwarded-for']), options.trust);
    // The proxy's other fields are worth as much as its address: nothing unless it is trusted.
    const viaProxy = options.trust !== false && isTrusted(peer, options.trust);
    const proto = viaProxy ? header(ctx.req.headers['x-forwarded-proto']) : undefined;
    ctx.state.address = address ?? 'unknown';
    ctx.state.secure = options.secureCookies ?? proto?.split(',').at(-1)?.trim() === 'https';
    ctx.state.host =
      (viaProxy ? header(ctx.req.headers['x-forwarded-host']) : undefined) ?? ctx.get('Host');
    ctx.cookies.secure = ctx.state.secure;
    if (address === undefined || !options.allow.has(address)) {
      await options.audit.record({ action: 'refused.address', address: ctx.state.address });
      throw new HttpProblem(
        403,
        'ADDRESS_NOT_ALLOWED',
        'this address may not use the server: its operator can add it to the list of allowed networks',
      );
    }
    await next();
  };
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

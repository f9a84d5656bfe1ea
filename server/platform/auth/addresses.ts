// Addresses: one spelling for each, lists of networks, and who is really asking when a proxy stands between.

import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { InputError } from '../../../src/core/errors.ts';

/** What is allowed when nothing is said: this machine only. */
export const LOOPBACK_CIDRS = ['127.0.0.0/8', '::1/128'] as const;

/**
 * The one spelling of an address: IPv6 compressed, an IPv4 address mapped into IPv6 as IPv4, no zone.
 * Undefined for anything that is not an address.
 */
export function canonicalAddress(text: string): string | undefined {
  const address = text.replace(/%.*$/, '');
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return undefined;
  const compressed = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(compressed);
  if (mapped === null) return compressed;
  const [high = 0, low = 0] = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

/**
 * The address of one hop of X-Forwarded-For. Some proxies add the port (Azure, IIS), and IPv6 then stands in brackets;
 * RFC 7239 adds quotes.
 */
function forwardedAddress(hop: string): string | undefined {
  const text = hop.trim().replace(/^"(.*)"$/, '$1');
  const [, inside] =
    /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text) ?? /^([0-9.]+):\d{1,5}$/.exec(text) ?? [];
  return canonicalAddress(inside ?? text);
}

/** Networks in CIDR notation. */
export class AddressList {
  readonly #list = new BlockList();

  /** `where` names the option in messages. Throws InputError for an entry that is no network. */
  constructor(cidrs: readonly string[], where: string) {
    for (const cidr of cidrs) {
      const [, given = '', length] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(cidr.trim()) ?? [];
      const address = canonicalAddress(given);
      if (address === undefined) {
        throw new InputError(
          where,
          `${JSON.stringify(cidr)} is not an address or network: expected for example 10.0.0.0/8, 192.168.1.7 or fd00::/8`,
        );
      }
      const bits = isIPv4(address) ? 32 : 128;
      // A network that was written as ::ffff:10.0.0.0/104 is the IPv4 network 10.0.0.0/8.
      const offset = isIPv4(address) && isIPv6(given) ? 96 : 0;
      const prefix = length === undefined ? bits : Number(length) - offset;
      if (prefix < 0 || prefix > bits) {
        throw new InputError(where, `${cidr}: the prefix must be 0 to ${bits + offset}`);
      }
      this.#list.addSubnet(address, prefix, isIPv4(address) ? 'ipv4' : 'ipv6');
    }
  }

  /** `address` in its canonical spelling. */
  has(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }
}

/** Which peers are believed when they say whom they speak for: none, the direct peer, or those of a list. */
export type ProxyTrust = false | 'direct-peer' | AddressList;

/**
 * The address of the client. `X-Forwarded-For` is read from the right, only as far as each hop is trusted:
 * what stands further left can be written by every client. Undefined when a trusted proxy says something
 * that is not an address.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  trust: ProxyTrust,
): string | undefined {
  let address = canonicalAddress(peer ?? '');
  if (trust === false || forwardedFor === undefined || address === undefined) return address;
  const hops = forwardedFor.split(',').map((hop) => hop.trim());
  if (trust === 'direct-peer') return forwardedAddress(hops.at(-1) ?? '');
  for (const hop of hops.reverse()) {
    if (!trust.has(address)) break;
    const next = forwardedAddress(hop);
    if (next === undefined) return undefined;
    address = next;
  }
  return address;
}

/** What a limit counts by. An IPv6 client owns at least a /64 and could use another address for each try. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const rest = tail.split(':').filter((group) => group !== '');
  if (address.includes('::')) {
    while (groups.length + rest.length < 8) groups.push('0');
  }
  return [...groups, ...rest].slice(0, 4).join(':');
}

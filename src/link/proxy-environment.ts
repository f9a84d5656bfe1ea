// Chooses the proxy of a request from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, like curl.

import { BlockList, isIP, isIPv4 } from 'node:net';
import { InputError } from '../core/errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface LinkProxy {
  /** Address of the proxy: `http://[user:password@]host:port` or `https://...`. */
  readonly url: URL;
  /** Name of the variable, for messages. */
  readonly variable: string;
}

/**
 * The proxy for an address, undefined for a direct request. A lower-case variable has precedence over the upper-case
 * one, the variable of the scheme over ALL_PROXY, and an empty variable counts as missing. Throws InputError for a
 * proxy that cannot be used.
 */
export function proxyFor(url: URL, env: Environment): LinkProxy | undefined {
  const scheme = url.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const variable = [scheme, scheme.toUpperCase(), 'all_proxy', 'ALL_PROXY'].find(
    (name) => (env[name] ?? '').trim() !== '',
  );
  if (variable === undefined) return undefined;
  if (goesDirect(url, env.no_proxy || env.NO_PROXY || '')) return undefined;
  return { url: parseProxy((env[variable] ?? '').trim(), variable), variable };
}

/** The proxy for messages: its address without name and password, and its variable. */
export function proxyText({ url, variable }: LinkProxy): string {
  return `${url.origin} (${variable})`;
}

function parseProxy(text: string, variable: string): URL {
  // `host:port` without a scheme means an HTTP proxy.
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '') return url;
  const scheme = url?.protocol.replace(':', '') ?? '';
  const what = scheme.startsWith('socks')
    ? `names a ${scheme} proxy, and only HTTP proxies are supported`
    : 'is not the address of a proxy';
  throw new InputError(
    variable,
    `${what}: expected http://HOST:PORT or http://USER:PASSWORD@HOST:PORT`,
  );
}

/**
 * Whether NO_PROXY covers the address. Entries are separated by commas or spaces: `*`, a name (which covers all names
 * below it, with or without a leading dot), an address, or a network in CIDR notation. All but networks can have
 * `:PORT`.
 */
function goesDirect(url: URL, list: string): boolean {
  const host = bare(url.hostname);
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => entry === '*' || covers(entry.toLowerCase(), host, port));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry.includes('/')) return networkHolds(entry, host);
  const { name, only } = splitPort(entry);
  if (only !== undefined && only !== port) return false;
  if (isIP(name) !== 0 || isIP(host) !== 0) return sameAddress(name, host);
  const suffix = name.replace(/^\*?\./, '').replace(/\.$/, '');
  return suffix !== '' && (host === suffix || host.endsWith(`.${suffix}`));
}

/** Splits `host`, `host:port`, `[::1]`, `[::1]:port` and `::1`. */
function splitPort(entry: string): { readonly name: string; readonly only?: string } {
  const [, inside, port] =
    /^\[([^\]]+)\](?::(\d+))?$/.exec(entry) ?? /^([^:]+):(\d+)$/.exec(entry) ?? [];
  if (inside === undefined) return { name: entry };
  return port === undefined ? { name: inside } : { name: inside, only: port };
}

function sameAddress(entry: string, host: string): boolean {
  return isIP(entry) !== 0 && networkHolds(`${entry}/${isIPv4(entry) ? 32 : 128}`, host);
}

function networkHolds(cidr: string, host: string): boolean {
  const [, text = '', bits = ''] = /^(.+)\/(\d{1,3})$/.exec(cidr) ?? [];
  const network = bare(text);
  const [family, hostFamily] = [isIP(network), isIP(host)];
  if (family === 0 || family !== hostFamily || Number(bits) > (family === 4 ? 32 : 128)) {
    return false;
  }
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, Number(bits), type);
  return list.check(host, type);
}

/** The host name in lower case, without IPv6 brackets and without the dot of a fully qualified name. */
function bare(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

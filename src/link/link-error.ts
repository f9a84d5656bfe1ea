// Why a connection failed, in a sentence that says what to do: TLS, proxies, and the wrong scheme for a port.

import { describeError, systemErrorCode } from '../core/errors.ts';
import { type LinkProxy, proxyText } from './proxy-environment.ts';

/** A failed connection. `code` is that of Node or OpenSSL. */
export class LinkError extends Error {
  readonly code: string;
  /** True when the message says what to do, so that general advice would mislead. */
  readonly explained: boolean;

  /** `message` already has the text of the cause, so OpenSSL's line is not shown twice. */
  constructor(code: string, message: string, explained: boolean) {
    super(message);
    this.name = 'LinkError';
    this.code = code;
    this.explained = explained;
  }
}

/** Facts of the connection, for the advice. */
export interface LinkFacts {
  readonly url: URL;
  readonly proxy?: LinkProxy | undefined;
  readonly hasCa: boolean;
  readonly hasClientCertificate: boolean;
}

/** The error with a sentence of advice in front, where the cause is known. */
export function linkError(error: unknown, facts: LinkFacts): LinkError {
  const code = systemErrorCode(error) ?? 'NETWORK';
  const own = readable(describeError(rootOf(error)));
  const advice = proxyAdvice(code, error, facts) ?? tlsAdvice(code, error, facts);
  const via = facts.proxy === undefined ? '' : `, through the proxy ${proxyText(facts.proxy)}`;
  const message = advice === undefined ? `${own}${via}` : `${advice} (${own}${via})`;
  return new LinkError(code, message, advice !== undefined);
}

/** OpenSSL's line without pointers, source locations and advice about options of Node. */
function readable(text: string): string {
  return text
    .replace(/(?:write EPROTO )?[0-9A-F]+:error:[0-9A-F]+:[^:]*:[^:]*:([^:]*):[^\n]*/g, '$1')
    .replace(/; if the root CA is installed locally.*/, '')
    .trim();
}

function proxyAdvice(code: string, error: unknown, { proxy }: LinkFacts): string | undefined {
  if (proxy === undefined) return undefined;
  const name = proxyText(proxy);
  if (code === 'ERR_PROXY_TUNNEL') {
    const status = statusOf(error);
    if (status === 407) return wantsPassword(proxy);
    return `the proxy ${name} does not connect${status === undefined ? '' : ` and answers ${status}`}: ask its operator, or add the host to NO_PROXY`;
  }
  const { address, port } = (rootOf(error) ?? {}) as { address?: unknown; port?: unknown };
  const isProxy = port === undefined ? true : String(port) === portOf(proxy.url);
  if (['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'].includes(code)) {
    if (address !== undefined && !isProxy) return undefined;
    return `the proxy ${name} cannot be reached: check ${proxy.variable}, or add the host to NO_PROXY`;
  }
  return undefined;
}

function wantsPassword(proxy: LinkProxy): string {
  const given = proxy.url.username !== '';
  return given
    ? `the proxy ${proxyText(proxy)} refuses the name and password in ${proxy.variable}`
    : `the proxy ${proxyText(proxy)} wants a name and password: ${proxy.variable}=${proxy.url.protocol}//USER:PASSWORD@${proxy.url.host}`;
}

/** Certificates that no known CA has signed (X509_V_ERR_*). */
const UNKNOWN_CA = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
]);

/** Other faults of a certificate chain. */
const BAD_CERTIFICATE: Readonly<Record<string, string>> = {
  CERT_REVOKED: 'has been revoked',
  CERT_SIGNATURE_FAILURE: 'has a signature that is wrong',
  INVALID_CA: 'was issued by a certificate that is not a CA',
  INVALID_PURPOSE: 'is not for servers (its extended key usage forbids it)',
  PATH_LENGTH_EXCEEDED: 'has a chain that is longer than its CA allows',
  CERT_CHAIN_TOO_LONG: 'has a chain that is too long',
  EE_KEY_TOO_SMALL: 'has a key that is too short',
  CA_KEY_TOO_SMALL: 'is signed by a CA with a key that is too short',
  CA_MD_TOO_WEAK: 'is signed with a digest that is too weak (SHA-1 or MD5)',
};

function tlsAdvice(code: string, error: unknown, facts: LinkFacts): string | undefined {
  const { url, hasCa, hasClientCertificate } = facts;
  const host = url.host;
  if (UNKNOWN_CA.has(code)) {
    return hasCa
      ? `the certificate of ${host} is signed by none of the CAs in --ca: add the CA that signed it to that file`
      : `the certificate of ${host} is signed by an unknown CA: name the file with the CA's certificate by --ca FILE`;
  }
  if (code === 'CERT_HAS_EXPIRED') {
    return `the certificate of ${host}, or of its CA, has expired: renew it; if it has not, the clock of this machine is ahead`;
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return `the certificate of ${host} is not valid yet: the clock of this machine is probably behind, set it`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `the certificate of ${host} is for ${namesOf(error)}: use a name that it has in the address, or get a certificate for ${url.hostname}`;
  }
  const bad = BAD_CERTIFICATE[code];
  if (bad !== undefined) return `the certificate of ${host} ${bad}: renew it`;
  const text = `${code} ${describeError(error)}`.replaceAll('_', ' ').toLowerCase();
  if (!isTls(url, text)) return plainAdvice(code, error, url);
  if (/alert certificate required/.test(text)) return wantsCertificate(host, hasClientCertificate);
  const refusal =
    /alert (bad certificate|unsupported certificate|certificate revoked|certificate expired|certificate unknown|unknown ca|access denied|decrypt error)/.exec(
      text,
    )?.[1];
  if (refusal !== undefined) {
    // Before TLS 1.3 no alert names a missing client certificate.
    if (!hasClientCertificate) return wantsCertificate(host, false);
    return `${host} refuses the client certificate (${refusal}): check --client-cert, its validity, and the CA that ${host} trusts for clients`;
  }
  if (/wrong version number|packet length too long|http request|bad record type/.test(text)) {
    return `${host} does not speak TLS on this port: use http://${host}, or the port that speaks TLS`;
  }
  if (
    /unsupported protocol|alert protocol version|no protocols available|version too (low|high)|wrong ssl version/.test(
      text,
    )
  ) {
    return `${host} and this program have no TLS version in common: TLS 1.2 or 1.3 is needed`;
  }
  if (/alert handshake failure|no shared cipher|no ciphers available/.test(text)) {
    // TLS 1.2 has one alert for both.
    const certificate = hasClientCertificate
      ? 'it refuses the client certificate'
      : 'it wants a client certificate (--client-cert, --client-key)';
    return `${host} ended the TLS handshake: ${certificate}, or it has no cipher in common with this program`;
  }
  if (/unrecognized name/.test(text)) {
    return `${host} has no certificate for the name ${url.hostname}: check the address`;
  }
  if (/socket hang up|before secure tls connection/.test(text)) {
    // Some servers send no alert.
    const certificate = hasClientCertificate
      ? 'it may refuse the client certificate'
      : 'it may want a client certificate (--client-cert, --client-key), or speak no TLS on this port';
    return `${host} closed the connection without an answer: ${certificate}; if it restarts, try again`;
  }
  return undefined;
}

/** The names in the server's certificate. */
function namesOf(error: unknown): string {
  const { cert } = (rootOf(error) ?? {}) as {
    cert?: { subjectaltname?: unknown; subject?: { CN?: unknown } };
  };
  const names = cert?.subjectaltname ?? cert?.subject?.CN;
  return typeof names === 'string' ? names.slice(0, 200) : 'another name';
}

function wantsCertificate(host: string, given: boolean): string {
  return given
    ? `${host} wants a client certificate of another CA: --client-cert is not from a CA that it names`
    : `${host} wants a client certificate: give --client-cert FILE and --client-key FILE`;
}

/** Whether the error comes from TLS, or from a connection that should be TLS. */
function isTls(url: URL, text: string): boolean {
  return url.protocol === 'https:' || text.includes('ssl');
}

/** Advice for a plain request to a port that speaks TLS. */
function plainAdvice(code: string, error: unknown, url: URL): string | undefined {
  if (code.startsWith('HPE_')) {
    const packet = (rootOf(error) as { rawPacket?: Uint8Array } | undefined)?.rawPacket;
    // RFC 8446 5.1: a TLS record begins with its type, 21 for an alert and 22 for a handshake, and version 3.x.
    if (packet !== undefined && [21, 22].includes(packet[0] ?? 0) && packet[1] === 3) {
      return `${url.host} speaks TLS on this port: use https://${url.host}`;
    }
    return `${url.host} does not answer in HTTP: check the port`;
  }
  if (code === 'ECONNRESET' && describeError(error).includes('socket hang up')) {
    return `${url.host} closed the connection without an answer: if its port speaks TLS, use https://${url.host}; if it restarts, try again`;
  }
  return undefined;
}

/**
 * Advice for an answer that comes from the network and not from the backend: a redirect, or the HTML page of a proxy
 * or TLS front end. Undefined for any other answer.
 */
export function answerAdvice(
  status: number,
  location: string | null | undefined,
  body: string,
  url: URL,
): string | undefined {
  if (status >= 300 && status < 400 && typeof location === 'string') {
    const shown = (URL.parse(location, url.href)?.href ?? location).replace(/\p{Cc}/gu, ' ');
    return `it names the Location ${shown.slice(0, 300)}, and only downloads of images follow one: if that is the backend, give its address as --server; if a network wants its terms accepted, accept them`;
  }
  if (status === 407) {
    return 'the proxy wants a name and password: HTTP_PROXY=http://USER:PASSWORD@HOST:PORT';
  }
  if (status !== 400 && status !== 403 && (status < 495 || status > 497)) return undefined;
  const text = body.slice(0, 4096);
  if (status === 496 || /no required ssl certificate was sent/i.test(text)) {
    return wantsCertificate(url.host, false);
  }
  if (status === 495 || /the ssl certificate error/i.test(text)) {
    return `${url.host} refuses the client certificate: check --client-cert, its validity, and the CA that ${url.host} trusts for clients`;
  }
  if (status === 497 || PLAIN_ON_TLS.test(text)) {
    return `${url.host} speaks TLS on this port: use https://${url.host}`;
  }
  return undefined;
}

/** Texts of nginx, Apache and Go for a plain request to their TLS port. */
const PLAIN_ON_TLS =
  /plain http request was sent to https port|speaking plain http to an ssl-enabled|sent an http request to an https server/i;

function portOf(url: URL): string {
  return url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
}

/** The innermost error, because libraries wrap the errors of Node. */
function rootOf(error: unknown): unknown {
  let root = error;
  while (root instanceof Error && root.cause !== undefined) root = root.cause;
  return root;
}

function statusOf(error: unknown): number | undefined {
  const { statusCode } = (rootOf(error) ?? {}) as { statusCode?: unknown };
  return typeof statusCode === 'number' ? statusCode : undefined;
}

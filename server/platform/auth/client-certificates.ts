// The second factor of devices: a client certificate that a trusted proxy has seen in TLS and hands on in a header.

import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../../src/core/clock.ts';
import { InputError } from '../../../src/core/errors.ts';
import { certificatesIn } from '../../../src/trust/certificates.ts';
import { HttpProblem } from '../http/errors.ts';
import type { AppContext } from '../http/request.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { RegisteredDevice } from './identity.ts';

export interface CertificateOptions {
  /** PEM of the CAs that issue certificates of devices. */
  readonly ca: string;
  /** The one header that the trusted proxy always sets; `Client-Cert` (RFC 9440) unless told. */
  readonly header?: string;
}

const CERTIFICATE_HEADER = 'Client-Cert';

/** Certificates that were read already: a device sends the same one with every request. */
const CACHED = 1000;
/** A certificate with its chain is a few KiB. */
const LONGEST = 16 * 1024;

interface Shown {
  readonly names: ReadonlySet<string>;
  readonly fromMs: number;
  readonly toMs: number;
  /** Undefined: one of our CAs has issued it. */
  readonly fault: string | undefined;
}

export class ClientCertificates {
  readonly #cas: readonly X509Certificate[];
  readonly #header: string;
  readonly #clock: Clock;
  readonly #seen = new Map<string, Shown | undefined>();

  /** Throws InputError for what is no certificate of a CA, and for a header that cannot be one. */
  constructor({ ca, header = CERTIFICATE_HEADER }: CertificateOptions, clock: Clock) {
    this.#cas = certificatesIn(ca, '--device-ca', 'the file');
    const other = this.#cas.find((certificate) => !certificate.ca);
    if (other !== undefined) {
      throw new InputError('--device-ca', `${other.subject} is not a certificate of a CA`);
    }
    if (!/^[A-Za-z0-9-]{1,64}$/.test(header)) {
      throw new InputError('--client-cert-header', `${header} is not the name of a header`);
    }
    this.#header = header.toLowerCase();
    this.#clock = clock;
  }

  /** Throws HttpProblem 403 unless the request came with a certificate of this device. */
  async require(ctx: AppContext, audit: AuditTrail, device: RegisteredDevice): Promise<void> {
    const fault = this.#fault(ctx, device);
    if (fault === undefined) return;
    const { address } = ctx.state;
    const detail = `client certificate: ${fault}`.slice(0, 200);
    await audit.record({ action: 'refused.device', who: device.serial, address, detail });
    throw new HttpProblem(
      403,
      'DEVICE_CERTIFICATE',
      `this server wants the client certificate of the device, too: ${fault}`,
    );
  }

  #fault(ctx: AppContext, device: RegisteredDevice): string | undefined {
    // Every client can write a header: only the proxy has seen the handshake.
    if (!ctx.state.viaProxy) return 'the request did not come through a trusted proxy';
    const value = ctx.req.headers[this.#header];
    const text = (Array.isArray(value) ? value[0] : value) ?? '';
    if (text === '') return 'none was shown (--client-cert, --client-key of the client)';
    const shown = this.#read(text);
    if (shown === undefined) return `the proxy's header ${this.#header} cannot be read`;
    if (shown.fault !== undefined) return shown.fault;
    const nowMs = this.#clock.wallMs();
    if (nowMs < shown.fromMs) return 'it is not valid yet';
    if (nowMs > shown.toMs) return 'it has expired';
    const own = [device.serial, device.hwId, device.vin];
    if (own.some((name) => name !== undefined && shown.names.has(name))) return undefined;
    return `it is for ${[...shown.names].join(', ').slice(0, 100) || 'no name'}, and this device is ${device.serial}`;
  }

  #read(text: string): Shown | undefined {
    if (this.#seen.has(text)) return this.#seen.get(text);
    const certificate = parseHeader(text);
    const shown = certificate && this.#examine(certificate);
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size < CACHED) break;
      this.#seen.delete(oldest);
    }
    this.#seen.set(text, shown);
    return shown;
  }

  #examine(certificate: X509Certificate): Shown {
    const issued = this.#cas.some(
      (ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey),
    );
    return {
      names: namesOf(certificate),
      fromMs: certificate.validFromDate.getTime(),
      toMs: certificate.validToDate.getTime(),
      fault: issued ? undefined : 'none of the CAs in --device-ca has issued it',
    };
  }
}

/**
 * RFC 9440 2.1 (`:BASE64 of DER:`), percent-encoded PEM ($ssl_client_escaped_cert of nginx), or the bare Base64 of
 * HAProxy and Traefik. Undefined for anything else.
 */
function parseHeader(text: string): X509Certificate | undefined {
  if (text.length > LONGEST) return undefined;
  try {
    const plain = text.includes('%') ? decodeURIComponent(text) : text;
    if (plain.includes('-----BEGIN CERTIFICATE-----')) return new X509Certificate(plain);
    const [, base64] = /^:?([A-Za-z0-9+/=]+):?(?:,|$)/.exec(plain.trim()) ?? [];
    return base64 === undefined ? undefined : new X509Certificate(Buffer.from(base64, 'base64'));
  } catch {
    return undefined;
  }
}

/** The common name, and each DNS name and URI; of a URI also what stands behind its last `:` or `/`. */
function namesOf(certificate: X509Certificate): ReadonlySet<string> {
  const { subject, subjectaltname = '' } = certificate.toLegacyObject();
  const names = new Set<string>([subject.CN ?? []].flat());
  for (const entry of subjectaltname.split(', ')) {
    const [, kind, name] = /^(DNS|URI):([^"]+)$/.exec(entry) ?? [];
    if (name === undefined) continue;
    names.add(name);
    if (kind === 'URI') names.add(name.replace(/^.*[:/]/, ''));
  }
  return names;
}

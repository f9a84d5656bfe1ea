// X.509 certificates in PEM: the files of --ca, --client-cert and --device-ca.

import { X509Certificate } from 'node:crypto';
import { InputError } from '../core/errors.ts';

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * All certificates of a text, in their order. `where` names the option, `what` the file. Throws InputError if there is no
 * certificate, or one that cannot be read.
 */
export function certificatesIn(text: string, where: string, what: string): X509Certificate[] {
  const all = text.match(PEM);
  if (all === null) {
    throw new InputError(
      where,
      `${what} holds no certificate: expected PEM with BEGIN CERTIFICATE (openssl x509 -inform der -in FILE converts DER)`,
    );
  }
  return all.map((pem, index) => {
    try {
      return new X509Certificate(pem);
    } catch (cause) {
      throw new InputError(where, `${what}: certificate ${index + 1} is damaged`, { cause });
    }
  });
}

// The network settings of this process: proxies of the environment, --ca, --client-cert and --client-key.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { InputError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import { readSecretLine, requireOwnerOnly } from '../core/secret-file.ts';
import { readTextFile } from '../core/text-file.ts';
import { certificatesIn } from '../trust/certificates.ts';
import type { LinkOptions } from './agents.ts';
import { fetchOver } from './fetch-transport.ts';
import { createGotTransport, type GotTransport } from './got-transport.ts';
import { proxyFor } from './proxy-environment.ts';

/** Options of each command that uses a server (`withNetwork`). */
export interface NetworkOptions {
  readonly ca?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly clientKeyPassphrase?: string;
}

export interface Network {
  readonly transport: GotTransport;
  readonly fetch: typeof fetch;
}

/**
 * Makes the network settings. Throws InputError for a file without a valid certificate or key, for a key that does not
 * belong to its certificate, and for one of `servers` whose proxy cannot be used.
 */
export async function networkOf(
  options: NetworkOptions,
  ...servers: readonly (string | undefined)[]
): Promise<Network> {
  const environment = process.env;
  for (const server of servers) {
    const url = URL.parse(server ?? '');
    if (url !== null) proxyFor(url, environment);
  }
  const transport = createGotTransport({ environment, ...(await tlsOf(options)) });
  return { transport, fetch: fetchOver(transport) };
}

async function tlsOf(options: NetworkOptions): Promise<Omit<LinkOptions, 'environment'>> {
  const { ca, clientCert, clientKey, clientKeyPassphrase } = options;
  const trusted = ca === undefined ? {} : { ca: await readCertificates(ca, '--ca') };
  if (clientCert === undefined) {
    if (clientKey === undefined && clientKeyPassphrase === undefined) return trusted;
    throw new InputError('--client-cert', 'is missing: --client-key is the key of a certificate');
  }
  const certificate = await readCertificates(clientCert, '--client-cert');
  // One file may hold both, as with curl.
  const keyFile = clientKey ?? clientCert;
  await refuseToken(keyFile);
  await requireOwnerOnly(keyFile, '--client-key');
  const key = await readTextFile(keyFile, '--client-key');
  if (!key.includes('PRIVATE KEY-----')) {
    throw new InputError(
      '--client-key',
      `${keyFile} holds no private key: expected PEM with BEGIN PRIVATE KEY`,
    );
  }
  const passphrase =
    clientKeyPassphrase === undefined
      ? undefined
      : await readSecretLine(clientKeyPassphrase, '--client-key-passphrase');
  checkPair(certificate, clientCert, openKey(key, keyFile, passphrase));
  return { ...trusted, certificate, key, ...defined({ passphrase }) };
}

/** Refuses a key in a token, because Node's TLS needs the bytes of the key. */
async function refuseToken(keyFile: string): Promise<void> {
  if (!keyFile.startsWith('pkcs11:')) return;
  throw new InputError(
    '--client-key',
    'a key in a PKCS#11 token cannot be used here: let a local TLS proxy hold it (docs/operations/networks.md) and give its address as the server',
  );
}

/** Reads a file of certificates. Throws InputError unless each of them is valid. */
async function readCertificates(file: string, option: string): Promise<string> {
  const all = certificatesIn(await readTextFile(file, option), option, file);
  return all.map((certificate) => certificate.toString()).join('');
}

function openKey(pem: string, file: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...defined({ passphrase }) });
  } catch (cause) {
    const encrypted = /ENCRYPTED/.test(pem);
    const why = !encrypted
      ? 'it is damaged'
      : passphrase === undefined
        ? 'it is encrypted: give --client-key-passphrase FILE'
        : 'the passphrase is wrong, or it is damaged';
    throw new InputError('--client-key', `${file} cannot be opened: ${why}`, { cause });
  }
}

/** Checks that the key belongs to the first certificate, which is the client's own; the rest is its chain. */
function checkPair(certificate: string, file: string, key: KeyObject): void {
  if (new X509Certificate(certificate).checkPrivateKey(key)) return;
  throw new InputError(
    '--client-key',
    `is not the key of the first certificate in ${file}: put the client's own certificate first, its chain behind it`,
  );
}

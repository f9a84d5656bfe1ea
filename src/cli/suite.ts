// The option --suite: cipher of sealed messages, and a check that messages without encryption use TLS.

import { isIP } from 'node:net';
import { Option } from 'commander';
import { InputError } from '../core/errors.ts';
import { encrypts, SUITES, type Suite } from '../trust/sealed-session.ts';

export function suiteOption(): Option {
  return new Option(
    '--suite <name>',
    'cipher of sealed messages. hmac does not encrypt: messages cannot be changed or replayed, but they can be ' +
      'read on the network, so the server must be https (or this machine). Encrypted images stay encrypted under their own keys',
  )
    .choices(SUITES)
    .default(SUITES[0]);
}

/** Throws InputError where messages of this suite could be read on the network to this server. */
export function requirePrivateWay(suite: Suite, server: string): void {
  const url = URL.parse(server);
  // An invalid address is refused elsewhere, with its own message.
  if (encrypts(suite) || url === null || url.protocol === 'https:' || isLoopback(url)) return;
  throw new InputError(
    '--suite',
    `${suite} does not encrypt, and ${url.origin} is reached without TLS: commands, configuration and telemetry ` +
      `could be read on the network. Give an https address, or a suite that encrypts, such as ${SUITES[0]}`,
  );
}

function isLoopback({ hostname }: URL): boolean {
  if (hostname === 'localhost' || hostname === '[::1]') return true;
  return isIP(hostname) === 4 && hostname.startsWith('127.');
}

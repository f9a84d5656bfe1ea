// The option --suite: how sealed messages travel, and where messages in the clear are refused.

import { isIP } from 'node:net';
import { Option } from 'commander';
import { InputError } from '../core/errors.ts';
import { encrypts, SUITES, type Suite } from '../trust/sealed-session.ts';

export function suiteOption(): Option {
  return new Option(
    '--suite <name>',
    'cipher of sealed messages. hmac is none: nobody can change or replay a message, but whoever is on the way can ' +
      'read it, so the server must be https (or this machine). Encrypted images stay encrypted under their own keys',
  )
    .choices(SUITES)
    .default(SUITES[0]);
}

/** Throws InputError where the messages of this suite could be read on the way to this server. */
export function requirePrivateWay(suite: Suite, server: string): void {
  const url = URL.parse(server);
  // What is no address at all is refused elsewhere, with the right words.
  if (encrypts(suite) || url === null || url.protocol === 'https:' || isLoopback(url)) return;
  throw new InputError(
    '--suite',
    `${suite} does not encrypt, and ${url.origin} is reached without TLS: anybody on the way could read commands, ` +
      `configuration and telemetry. Give an https address, or a suite that encrypts, such as ${SUITES[0]}`,
  );
}

function isLoopback({ hostname }: URL): boolean {
  if (hostname === 'localhost' || hostname === '[::1]') return true;
  return isIP(hostname) === 4 && hostname.startsWith('127.');
}

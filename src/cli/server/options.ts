// Options of `can-ota server` and of the commands on its data folder.

import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  CHUNK_FAULT_NAMES,
  type ChunkFaultRates,
  parseChunkFault,
} from '../../contract/chunked/faults.ts';
import { LARGEST_IMAGE_BYTES } from '../../core/image-limit.ts';
import { command, withNetwork, withOutput } from '../program-options.ts';

export function addServer(program: Command): void {
  const server = withNetwork(
    withOutput(
      command(
        program,
        'server',
        'The backend: releases, nonces, downloads, upload page, audit log.',
        `can-ota server user add alice --role admin --data data
       can-ota server --port 8080 --data data --allow-ip 127.0.0.1/32 --allow-ip 10.0.0.0/8
       can-ota server --data data --trust trust --devices required
       can-ota server --data dir --trust trust --role director --images-url http://images:8081`,
      ),
    ),
  )
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <number>', 'port to listen on, 0 for any', port, 8080)
    .option(
      '--data <dir>',
      'can-ota.db (the database), images/, incoming/ (uploads under way), lineage.json, server.lock',
      'can-ota-data',
    )
    .option('--allow-ip <cidr...>', 'addresses that may connect (default: this machine only)')
    .option(
      '--trust-proxy <cidr...>',
      'proxies whose X-Forwarded-For, -Proto, -Host and -Prefix headers are trusted',
    )
    .option(
      '--base-path <path>',
      'path of a proxy that the pages are below, like /ota (default: X-Forwarded-Prefix of a trusted proxy)',
    )
    .option('--max-upload <MiB>', 'largest image', mebibytes, 64)
    .option('--secure-cookies', 'cookies for HTTPS only (behind a TLS proxy)')
    .option(
      '--trust <dir>',
      'online keys and Roots (can-ota keys export-online): only signed releases are offered',
    )
    .addOption(
      new Option('--role <role>', 'with --trust: both repositories, or one of them')
        .choices(['all', 'director', 'images'])
        .default('all'),
    )
    .option('--images-url <url>', 'with --role director: where the image repository is')
    .option(
      '--images-token-file <file>',
      'with --role director: a token of role director of the image repository, to encrypt images',
    )
    .option('--passphrase-file <file>', 'opens the online keys (or set CAN_OTA_PASSPHRASE)')
    .addOption(
      new Option(
        '--devices <when>',
        'when vehicles must log in: from the first device on, or always',
      )
        .choices(['auto', 'required'])
        .default('auto'),
    )
    .option(
      '--device-ca <file>',
      'second factor: each device also shows a client certificate of a CA in this file, with its serial, chip number or VIN as name; needs --trust-proxy',
    )
    .option(
      '--client-cert-header <name>',
      'with --device-ca: header in which the proxy hands the certificate on (default: Client-Cert)',
    )
    .option(
      '--encrypted-sessions',
      'refuse sealed sessions of devices that do not encrypt (tmu and device run with --suite hmac)',
    )
    .option('--bench', 'allow --fault; not for servers of real devices')
    .option(
      '--fault <name[=rate]>',
      `with --bench, spoil chunked downloads on purpose (repeatable; RATE 0 to 1, default 1): ${CHUNK_FAULT_NAMES.join(', ')}`,
      chunkFault,
      {},
    )
    .action(async (options) => (await import('./server.ts')).server(options));
  addRegistry(server);
  withOutput(
    command(
      server,
      'restored',
      'Run this after the data folder was restored from a backup: it continues above all numbers that were used since.',
      `can-ota server restored --data data
     can-ota server restored --data data --json`,
    ),
  )
    .option(
      '--data <dir>',
      'can-ota.db (the database), images/, incoming/ (uploads under way), lineage.json, server.lock',
      'can-ota-data',
    )
    .action(async (options) => (await import('./restored.ts')).restored(options));
  const user = command(
    server,
    'user',
    'Users who may log in.',
    `can-ota server user add alice --role admin --data data
     can-ota server user list --data data`,
  );
  const people = (name: string, summary: string, examples: string): Command =>
    withOutput(command(user, name, summary, examples)).option(
      '--data <dir>',
      'can-ota.db (the database), images/, incoming/ (uploads under way), lineage.json, server.lock',
      'can-ota-data',
    );
  people(
    'add',
    'Add a user; the password is asked for, or read from standard input.',
    `can-ota server user add alice --role admin --data data
     can-ota server user add bob --role viewer --data data < password.txt`,
  )
    .argument('<name>')
    .addOption(
      new Option('--role <role>', 'admin may upload, viewer may only look')
        .choices(['admin', 'viewer'])
        .makeOptionMandatory(),
    )
    .action(async (name, options) => (await import('./user.ts')).addPerson(name, options));
  people('list', 'List the users.', 'can-ota server user list --data data --json').action(
    async (options) => (await import('./user.ts')).listPeople(options),
  );
  people(
    'password',
    'Change a password; it is asked for, or read from standard input.',
    'can-ota server user password alice --data data',
  )
    .argument('<name>')
    .action(async (name, options) =>
      (await import('./user.ts')).changePersonPassword(name, options),
    );
  people(
    'remove',
    'Remove a user and end their sessions.',
    'can-ota server user remove alice --data data',
  )
    .argument('<name>')
    .action(async (name, options) => (await import('./user.ts')).removePerson(name, options));
}

function addRegistry(server: Command): void {
  withOutput(
    command(
      server,
      'token',
      'A token for a program: factory (can-ota provision), release (can-ota release add), operator (can-ota config, command, telemetry, campaign cancel), director.',
      `can-ota server token line-1 --role factory --data data --out factory-token.txt
       can-ota server token --list --data data
       can-ota server token line-1 --remove --data data`,
    ),
  )
    .argument('[name]')
    .addOption(
      new Option('--role <role>', 'purpose of the token, which is printed once').choices([
        'factory',
        'release',
        'director',
        'operator',
      ]),
    )
    .option('--out <file>', 'write it to a new file that only you can read')
    .option('--days <number>', 'how many days it is valid', days, 730)
    .option('--remove', 'refuse it from its next request on')
    .option('--list', 'show names, roles, expiry and last use')
    .option(
      '--data <dir>',
      'can-ota.db (the database), images/, incoming/ (uploads under way), lineage.json, server.lock',
      'can-ota-data',
    )
    .action(async (name, options) => (await import('./token.ts')).token(name, options));
  const device = command(
    server,
    'device',
    'Registered devices.',
    `can-ota server device list --data data
     can-ota server device revoke CO-000002 --data data`,
  );
  const registered = (name: string, summary: string, example: string): Command =>
    withOutput(command(device, name, summary, example)).option(
      '--data <dir>',
      'can-ota.db (the database), images/, incoming/ (uploads under way), lineage.json, server.lock',
      'can-ota-data',
    );
  registered(
    'list',
    'Serial, status, vehicle, ECU, hardware id and chip of each.',
    'can-ota server device list --data data --json',
  ).action(async (options) => (await import('./token.ts')).devices(options));
  registered(
    'revoke',
    'Refuse a device from its next request on.',
    'can-ota server device revoke CO-000002 --data data',
  )
    .argument('<serial>')
    .action(async (serial, options) =>
      (await import('./token.ts')).setDevice(serial, 'revoked', options),
    );
  registered(
    'activate',
    'Accept a device that was revoked, or whose provisioning was not finished.',
    'can-ota server device activate CO-000002 --data data',
  )
    .argument('<serial>')
    .action(async (serial, options) =>
      (await import('./token.ts')).setDevice(serial, 'active', options),
    );
  registered(
    'reopen',
    'Let the same chip be provisioned again after it lost its flash or its state directory; its old keys are refused.',
    'can-ota server device reopen CO-000002 --data data',
  )
    .argument('<serial>')
    .action(async (serial, options) => (await import('./token.ts')).reopen(serial, options));
}

function chunkFault(value: string, all: ChunkFaultRates): ChunkFaultRates {
  const parsed = parseChunkFault(value);
  if (parsed === undefined) {
    throw new InvalidArgumentError(
      `expected NAME or NAME=RATE with a rate from 0 to 1, like truncate=0.2; the names are ${CHUNK_FAULT_NAMES.join(', ')}`,
    );
  }
  return { ...all, [parsed[0]]: parsed[1] };
}

function days(value: string): number {
  return number(value, 0.01, 36_500, 'days');
}

function mebibytes(value: string): number {
  return number(value, 0.001, Math.floor(LARGEST_IMAGE_BYTES / 2 ** 20), 'MiB');
}

function port(value: string): number {
  const parsed = number(value, 0, 65_535, 'a port');
  if (!Number.isInteger(parsed)) throw new InvalidArgumentError('expected a whole number');
  return parsed;
}

function number(value: string, minimum: number, maximum: number, what: string): number {
  const parsed = Number(value);
  if (value.trim() === '' || !(parsed >= minimum && parsed <= maximum)) {
    throw new InvalidArgumentError(`expected ${what} from ${minimum} to ${maximum}`);
  }
  return parsed;
}

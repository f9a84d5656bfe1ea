// Common parts of the command definitions: help with examples and exit codes, output, bus and vehicle options.

import { type Command, Option } from 'commander';
import { LOG_FORMATS } from './log-format.ts';

export const EXIT_CODES = `
Exit codes:
  0 success                      7 security validation failed   13 ECU silent or refused
  1 mistake in can-ota           8 precondition failed          14 state directory or bus in use
  2 bad option, file or field    9 rollback completed           15 disk full, no permission
  3 rejected by the driver      10 rollback failed             130 ended by SIGINT
  4 deferred by the driver      11 backend unavailable         143 ended by SIGTERM
  5 up to date                  12 bus unavailable
  6 download integrity failed`;

export function command(
  program: Command,
  name: string,
  summary: string,
  examples: string,
): Command {
  return program
    .command(name)
    .description(summary)
    .addHelpText(
      'after',
      `\nExamples:\n${examples.trim().replaceAll(/^ */gm, '  $ ')}\n${EXIT_CODES}`,
    );
}

export function withOutput(target: Command): Command {
  return target
    .option('--json', 'machine-readable output, one JSON object per line')
    .addOption(
      new Option('--log-level <level>', 'what is logged to standard error')
        .choices(['silent', 'error', 'warn', 'info', 'debug', 'trace'])
        .default('warn'),
    )
    .addOption(
      new Option(
        '--log-format <format>',
        'sentences or JSON lines (default: text on a terminal, json elsewhere)',
      ).choices(LOG_FORMATS),
    );
}

export function withBus(target: Command): Command {
  return withOutput(target)
    .option(
      '--bus <spec>',
      'vcan0, can0, socketcan:NAME, or local:NAME[?bitrate=N&data-bitrate=N] (default: vcan0, else local:bench)',
    )
    .option('--fd', 'talk CAN FD to every ECU, with frames of 64 bytes')
    .option('--trace <file>', 'write what was seen on the bus as a candump log');
}

/** Option of a command that programs ECUs. */
export function withBeside(target: Command): Command {
  return target.option(
    '--beside',
    'go on although another tester (tmu, flash, bench) is on the bus',
  );
}

export function withVehicle(target: Command): Command {
  return withBus(target).option(
    '--vehicle <file>',
    'vehicle description (default: the bench vehicle)',
  );
}

/** Options of a command that connects to a server; `networkOf` reads them. */
export function withNetwork(target: Command): Command {
  return target
    .addOption(
      new Option(
        '--ca <file>',
        "CA certificates in PEM that the server's certificate must come from (default: those of Node)",
      ).env('CAN_OTA_CA'),
    )
    .addOption(
      new Option(
        '--client-cert <file>',
        'certificate in PEM to show where the server wants one, its chain behind it',
      ).env('CAN_OTA_CLIENT_CERT'),
    )
    .addOption(
      new Option(
        '--client-key <file>',
        'its private key in PEM (default: in the file of --client-cert)',
      ).env('CAN_OTA_CLIENT_KEY'),
    )
    .addOption(
      new Option(
        '--client-key-passphrase <file>',
        'opens an encrypted --client-key: the first line of this file',
      ).env('CAN_OTA_CLIENT_KEY_PASSPHRASE'),
    )
    .addHelpText(
      'after',
      '\nHTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are read as curl reads them (docs/operations/networks.md).',
    );
}

/** Options of a command that logs in to the backend. */
export function withLogIn(target: Command): Command {
  return withNetwork(target)
    .option('--user <name>', 'user who logs in; the password is asked for')
    .option('--password-file <file>', 'the password: the first line of this file')
    .option('--token-file <file>', 'instead of a person: a token of can-ota server token');
}

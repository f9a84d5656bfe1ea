// The options of `can-ota release ...`.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { ECU_NAME, isEcuName } from '../../core/names.ts';
import { withSigning } from '../keys/options.ts';
import { command, withLogIn, withNetwork, withOutput } from '../program-options.ts';
import { addDeviceRelease, addDeviceWithdrawal } from './device-options.ts';

const RAW = 'the file is raw data, whatever it looks like';
const DEPENDENCY = new RegExp(`^(${ECU_NAME})=(.+)$`);

export function addRelease(program: Command): void {
  const release = command(
    program,
    'release',
    'Releases: signed here with offline keys, then handed to the backend.',
    `can-ota release add edt.bin --ecu EDT --version 2.1.0 --hardware EDT-HW-1 --keys ceremony
     can-ota release list --keys ceremony`,
  );

  define(
    release,
    'add',
    'Sign an image as a release, and upload image and metadata. Exit code 4: it waits for signatures and is not published.',
    `can-ota release add edt.bin --ecu EDT --version 2.1.0 --hardware EDT-HW-1 --keys ceremony
     can-ota release add build/edt.hex --ecu EDT --version 2.1.0 --hardware EDT-HW-1 --keys ceremony
     can-ota release add edt.bin --ecu EDT --version 2.1.0 --hardware EDT-HW-1 --depends 'INV=>=1.0.0' --keys ceremony --server http://127.0.0.1:8080 --user alice
     can-ota release add bms.bin --ecu BMS --version 3.0.0 --hardware BMS-HW-2 --encrypt --keys ceremony --server http://127.0.0.1:8080 --token-file release.token
     can-ota release add inv.bin --ecu INV --version 1.4.2 --hardware INV-HW-1 --forced --notes 'Keeps the motor from cutting out' --keys ceremony`,
  )
    .argument('<file>', 'the image: Intel HEX, S-records, ELF, VBF, or raw data (FILE@0x08000000)')
    .option('--raw', RAW)
    .requiredOption('--ecu <name>', 'ECU that runs it', ecuName)
    // `--version` of the program itself is an option before the command.
    .requiredOption('--version <text>', 'version of the image', versionText)
    .requiredOption('--hardware <id...>', 'hardware ids that it runs on')
    .option(
      '--counter <number>',
      'release counter: an ECU refuses counters below the last one that it has confirmed (default: highest known + 1)',
      counter,
    )
    .option('--encrypt', 'encrypt the image for each ECU that gets it')
    .option(
      '--forced',
      'a safety release: drivers are told, and not asked (conditions of the vehicle still hold)',
    )
    .option('--notes <text>', 'release notes for people', notes)
    .addOption(
      new Option(
        '--depends <ecu=range>',
        'needs this version of another ECU, like INV=>=1.0.0 (repeatable)',
      )
        .argParser(dependency)
        .default({}, 'of none'),
    )
    .action(async (file, options) => (await import('./release.ts')).addRelease(file, options));

  withFolder(
    command(
      release,
      'list',
      'List the signed releases.',
      `can-ota release list --keys ceremony
       can-ota release list --keys ceremony --json`,
    ),
  ).action(async (options) => (await import('./release.ts')).listReleases(options));

  define(
    release,
    'revoke',
    'Remove a release from the signed list: no vehicle can be told to install it any more.',
    `can-ota release revoke EDT 2.1.0 --keys ceremony
     can-ota release revoke EDT 2.1.0 --keys ceremony --server http://127.0.0.1:8080 --token-file release.token`,
  )
    .argument('<ecu>')
    .argument('<version>')
    .action(async (ecu, version, options) =>
      (await import('./release.ts')).revokeRelease(ecu, version, options),
    );

  addDeviceRelease(release);
  addDeviceWithdrawal(release);

  define(
    release,
    'push',
    'Send signed metadata to the backend: after others have signed, after a rotation, or after the backend was restored from a backup.',
    `can-ota release push --keys ceremony --server http://127.0.0.1:8080 --token-file release.token
     can-ota release push edt.bin inv.bin --keys ceremony --server http://127.0.0.1:8080 --token-file release.token`,
  )
    .argument('[image...]', 'images of signed releases that the backend has lost')
    .option('--raw', RAW)
    .action(async (files, options) => (await import('./release.ts')).pushReleases(files, options));

  withNetwork(
    withFolder(
      command(
        release,
        'pull',
        'Take over the metadata that the backend has published, after another copy of the folder was used or two copies differ.',
        `can-ota release pull --keys ceremony --server http://127.0.0.1:8080
       can-ota release pull --keys ceremony --server http://127.0.0.1:8080 --json`,
      ),
    ),
  )
    .requiredOption('--server <url>', 'the backend')
    .action(async (options) => (await import('./release.ts')).pullReleases(options));
}

function define(parent: Command, name: string, summary: string, examples: string): Command {
  return withLogIn(
    withSigning(withFolder(command(parent, name, summary, examples))).option(
      '--server <url>',
      'the backend (default: sign only)',
    ),
  );
}

function withFolder(target: Command): Command {
  return withOutput(target).option('--keys <dir>', 'folder of the key ceremony', 'can-ota-keys');
}

function ecuName(value: string): string {
  if (isEcuName(value)) return value;
  throw new InvalidArgumentError('expected 1 to 16 characters: a capital letter, then A-Z 0-9 _');
}

const VERSION = /^[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}$/;

function versionText(value: string): string {
  if (VERSION.test(value) && !value.includes('..')) return value;
  throw new InvalidArgumentError(
    'expected 1 to 32 characters 0-9 A-Z a-z . + _ - without two dots in a row, like 2.1.0',
  );
}

/** The largest counter that every reader of a release supports. */
const LARGEST_COUNTER = 2 ** 32 - 1;

function counter(value: string): number {
  const parsed = Number(value);
  if (!/^\d+$/.test(value) || parsed > LARGEST_COUNTER) {
    throw new InvalidArgumentError(`expected a whole number from 0 to ${LARGEST_COUNTER}`);
  }
  return parsed;
}

function notes(value: string): string {
  if (value.length > 2000) throw new InvalidArgumentError('at most 2000 characters');
  return value;
}

function dependency(
  value: string,
  all: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const [, ecu, range] = DEPENDENCY.exec(value) ?? [];
  const parts = range?.trim().split(/\s+/) ?? [];
  const readable = parts.every((part) => VERSION.test(part.replace(/^(>=|<=|>|<|=)/, '')));
  if (ecu === undefined || parts.length === 0 || !readable) {
    throw new InvalidArgumentError("expected ECU=RANGE, like 'INV=>=1.0.0' or 'INV=>=1.0.0 <2'");
  }
  return { ...all, [ecu]: parts.join(' ') };
}

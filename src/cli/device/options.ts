// The options of `can-ota device ...`.

import { type Command, InvalidArgumentError } from 'commander';
import { command, withNetwork, withOutput } from '../program-options.ts';
import { suiteOption } from '../suite.ts';

export function addDevice(program: Command): void {
  const device = command(
    program,
    'device',
    'The reference client of a small device: 16 KiB of working memory, two banks, chunked downloads.',
    `can-ota device enroll --model PUMP-1 --release-key release.pub.pem --server http://127.0.0.1:8080 --token-file factory.token --state-dir pump
     can-ota device run --server http://127.0.0.1:8080 --state-dir pump --once
     can-ota device status --state-dir pump`,
  );
  addEnroll(device);
  addRun(device);
  define(
    device,
    'status',
    'Show what a device runs and what it is doing; the device may be running meanwhile.',
    `can-ota device status --state-dir pump
     can-ota device status --state-dir pump --json | jq -r .state`,
  ).action(async (options) => (await import('./device.ts')).status(options));
}

function addEnroll(device: Command): void {
  withNetwork(
    define(
      device,
      'enroll',
      'Enrol a new device: it generates its secret, gets a serial from the registry, and stores the key that signs its packages.',
      `can-ota device enroll --model PUMP-1 --release-key release.pub.pem --server http://127.0.0.1:8080 --token-file factory.token --state-dir pump
     can-ota device enroll --model PUMP-1 --release-key release.pub.pem --image pump.bin@1.0.0 --server http://127.0.0.1:8080 --token-file factory.token --state-dir pump`,
    ),
  )
    .requiredOption('--server <url>', 'the backend with the registry')
    .requiredOption(
      '--token-file <file>',
      'token of "can-ota server token NAME --role factory", in a file',
    )
    .requiredOption('--model <name>', 'the hardware, as packages name it', model)
    .requiredOption(
      '--release-key <file>',
      'public key in PEM that packages are signed with: Ed25519 (profile default) or RSA-2048 (profile rsa)',
    )
    .option('--hw-id <text>', 'number of the chip (default: a new one)', hardwareId)
    .option('--image <file@version>', 'image that the factory puts into bank A', fileAtVersion)
    .action(async (options) => (await import('./device.ts')).enroll(options));
}

function addRun(device: Command): void {
  withNetwork(
    define(
      device,
      'run',
      'Power the device on: it boots, works, and checks for packages at an interval.',
      `can-ota device run --server http://127.0.0.1:8080 --state-dir pump
     can-ota device run --server http://127.0.0.1:8080 --state-dir pump --once --json
     can-ota device run --server http://127.0.0.1:8080 --state-dir pump --once --fault bad-diagnostics
     can-ota device run --server http://127.0.0.1:8080 --state-dir pump --once --fault power-cut=applying`,
    ),
  )
    .requiredOption('--server <url>', 'the backend')
    .option(
      '--device-file <file>',
      "this chip's number as text, compared with the identity (default: device-id in the state directory)",
    )
    .option('--once', 'check once; the exit code tells how it ended')
    .option('--again', 'with --once: also install a package that this device has rolled back from')
    .option('--interval <seconds>', 'time between two checks', seconds, 6 * 3600)
    .option('--chunk-size <bytes>', 'largest chunk that it accepts, 256 to 8192', chunkSize, 1024)
    .addOption(suiteOption())
    .option(
      '--fault <name[=value]>',
      'break on purpose (repeatable): refuse-boot, bad-diagnostics[=CHECK], bad-flash, power-cut=STATE',
      (value: string, all: readonly string[]) => [...all, value],
      [] as readonly string[],
    )
    .action(async (options) => (await import('./device.ts')).run(options));
}

function define(device: Command, name: string, summary: string, examples: string): Command {
  return withOutput(command(device, name, summary, examples)).requiredOption(
    '--state-dir <dir>',
    'the flash memory: identity.json, device-id, device.json, boot-record.json, bank-a.bin, bank-b.bin, download.bin, session.json, device-key.json; enrolment.json until the device is enrolled',
  );
}

function model(value: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}$/.test(value)) return value;
  throw new InvalidArgumentError('expected 1 to 64 letters, digits, . _ : + -, like PUMP-1');
}

function hardwareId(value: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}$/.test(value)) return value;
  throw new InvalidArgumentError('expected 1 to 64 letters, digits, . _ : + -');
}

function fileAtVersion(value: string): { readonly file: string; readonly version: string } {
  const match = /^(.+)@([0-9A-Za-z][0-9A-Za-z.+_-]{0,31})$/.exec(value);
  if (match === null) throw new InvalidArgumentError('expected FILE@VERSION, like pump.bin@1.0.0');
  const [, file = '', version = ''] = match;
  return { file, version };
}

function seconds(value: string): number {
  const parsed = Number(value);
  if (value.trim() !== '' && parsed >= 1 && parsed <= 30 * 86_400) return parsed;
  throw new InvalidArgumentError('expected seconds from 1 to 2592000');
}

function chunkSize(value: string): number {
  const parsed = Number(value);
  if (Number.isInteger(parsed) && parsed >= 256 && parsed <= 8192) return parsed;
  throw new InvalidArgumentError('expected a whole number of bytes from 256 to 8192');
}

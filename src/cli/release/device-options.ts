// The options of `can-ota release device` and `can-ota keys device-key`: packages for small devices.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { hardwareModel, PROFILES, packageVersion } from '../../contract/chunked/package.ts';
import { firstIssue } from '../../core/schema-issue.ts';
import { command, withLogIn, withNetwork, withOutput } from '../program-options.ts';

export function addDeviceRelease(release: Command): void {
  withNetwork(
    withOutput(
      command(
        release,
        'device',
        'Sign an image for small devices, and upload it: they fetch it in chunks.',
        `can-ota release device sensor.bin --model SENSOR-1 --version 1.1.0 --counter 2 --key device-key.pem --server http://127.0.0.1:8080 --token-file release.token
     can-ota release device sensor.bin --model SENSOR-1 --version 1.1.0 --counter 2 --profile rsa --key device-rsa.pem --server http://127.0.0.1:8080 --token-file release.token`,
      ),
    ),
  )
    .argument('<file>', 'the image')
    .requiredOption('--model <id>', 'hardware that it runs on', model)
    // `--version` of the program itself is an option before the command.
    .requiredOption('--version <text>', 'version of the image', version)
    .requiredOption(
      '--counter <number>',
      'release counter: a device refuses counters below the last one that it has confirmed',
      counter,
    )
    .addOption(profile())
    .requiredOption('--key <file>', 'private key of can-ota keys device-key')
    .option('--passphrase-file <file>', 'opens the key (or set CAN_OTA_PASSPHRASE)')
    .requiredOption('--server <url>', 'the backend')
    .requiredOption('--token-file <file>', 'a token of can-ota server token --role release')
    .action(async (file, options) => (await import('./device.ts')).releaseDevice(file, options));
}

export function addDeviceWithdrawal(release: Command): void {
  withLogIn(
    withOutput(
      command(
        release,
        'withdraw-device',
        'Withdraw a package of small devices for good: it is not offered any more, its downloads stop, and devices that run it keep it.',
        `can-ota release withdraw-device SENSOR-1 1.1.0 --reason 'Drains the battery' --server http://127.0.0.1:8080 --token-file release.token
     can-ota release withdraw-device SENSOR-1 1.1.0 --profile rsa --reason 'Drains the battery' --server http://127.0.0.1:8080 --user alice`,
      ),
    ),
  )
    .argument('<model>', 'hardware that it is for', model)
    .argument('<version>', 'version of the package', version)
    .addOption(profile())
    .requiredOption('--reason <text>', 'why: the audit log and the list of packages keep it')
    .requiredOption('--server <url>', 'the backend')
    .action(async (modelName, versionName, options) =>
      (await import('./withdraw-device.ts')).withdrawDevice(modelName, versionName, options),
    );
}

export function addDeviceKey(keys: Command): void {
  withOutput(
    command(
      keys,
      'device-key',
      'Make a key that signs packages for small devices; they get its public half at enrolment.',
      `can-ota keys device-key --out device-key.pem
     can-ota keys device-key --profile rsa --out device-rsa.pem --passphrase-file secret.txt`,
    ),
  )
    .addOption(profile())
    .requiredOption('--out <file>', 'the private key; its public half goes to FILE.pub')
    .option('--passphrase-file <file>', 'encrypt the key (or set CAN_OTA_PASSPHRASE)')
    .action(async (options) => (await import('./device.ts')).makeDeviceKey(options));
}

function profile(): Option {
  return new Option(
    '--profile <name>',
    'default: Ed25519 and AES-256-GCM; rsa: RSA-2048 PKCS #1 v1.5 and AES-256-CBC',
  )
    .choices(PROFILES)
    .default('default');
}

function model(value: string): string {
  return checked(hardwareModel.safeParse(value));
}

function version(value: string): string {
  return checked(packageVersion.safeParse(value));
}

function counter(value: string): number {
  const parsed = Number(value);
  if (!/^\d+$/.test(value) || parsed > 2 ** 32 - 1) {
    throw new InvalidArgumentError(`expected a whole number from 0 to ${2 ** 32 - 1}`);
  }
  return parsed;
}

function checked(parsed: ReturnType<typeof hardwareModel.safeParse>): string {
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(firstIssue(parsed.error).message);
}

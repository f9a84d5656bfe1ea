// The options of `can-ota keys ...`.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { command, withNetwork, withOutput } from '../program-options.ts';
import { addDeviceKey } from '../release/device-options.ts';

export function addKeys(program: Command): void {
  const keys = command(
    program,
    'keys',
    'The keys of both repositories: ceremony, rotation, signing by several people.',
    `can-ota keys init --dir ceremony --passphrase
     can-ota keys list --dir ceremony
     can-ota keys export-online trust --dir ceremony`,
  );

  withNewKeys(
    withSigning(
      define(
        keys,
        'init',
        'The standard ceremony: keys of every role, both Roots, and an image repository without images.',
        `can-ota keys init --dir ceremony --passphrase
       can-ota keys init --dir ceremony --root-keys 3 --root-threshold 2 --passphrase-file secret.txt
       can-ota keys init --dir ceremony --json`,
      ),
    ),
  )
    .option('--root-keys <number>', 'keys of each Root', count, 3)
    .option('--root-threshold <number>', 'how many of them must sign', count, 2)
    .option('--targets-keys <number>', 'keys that sign releases', count, 1)
    .option('--targets-threshold <number>', 'how many of them must sign', count, 1)
    .action(async (options) => (await import('./keys.ts')).initKeys(options));

  withNewKeys(
    withPassphrase(
      define(
        keys,
        'create',
        'Make one key, in a file or in a PKCS#11 token. No Root names it yet.',
        `can-ota keys create alice --dir ceremony --passphrase
       can-ota keys create root-1 --dir ceremony --pkcs11 /usr/lib/softhsm/libsofthsm2.so --token ceremony`,
      ).argument('<name>'),
    ),
  )
    .option('--pkcs11 <module>', 'make it in a token, through this library')
    .option('--token <label>', 'which token; its PIN is the passphrase')
    .action(async (name, options) => (await import('./keys.ts')).createKey(name, options));

  define(
    keys,
    'import',
    "Import the public half of another person's key, so that a Root can name it.",
    'can-ota keys import bob bob.json --dir ceremony',
  )
    .argument('<name>')
    .argument('<file>', "public/NAME.json of the other person's folder")
    .action(async (name, file, options) =>
      (await import('./keys.ts')).importKey(name, file, options),
    );

  define(
    keys,
    'list',
    'Show who signs what, how many days are left, and whose signature is missing.',
    `can-ota keys list --dir ceremony
     can-ota keys list --dir ceremony --json`,
  ).action(async (options) => (await import('./keys.ts')).listKeys(options));

  withNewKeys(
    withChange(
      define(
        keys,
        'rotate',
        'Replace a key of a role by a new one, in the next Root.',
        `can-ota keys rotate director timestamp --dir ceremony
       can-ota keys rotate images root --old images-root-1 --new alice --dir ceremony`,
      )
        .argument('<repository>', 'director or images')
        .argument('<role>'),
    ),
  )
    .option('--old <name>', 'the key to remove (where a role has several)')
    .option('--new <name>', 'the key to add (default: a new one is made)')
    .action(async (repository, role, options) =>
      (await import('./keys.ts')).rotateKey(repository, role, options),
    );

  withChange(
    define(
      keys,
      'revoke',
      'Remove a key from every role of both repositories, in the next Roots.',
      'can-ota keys revoke images-root-2 --dir ceremony',
    ).argument('<name>'),
  ).action(async (name, options) => (await import('./keys.ts')).revokeKey(name, options));

  withChange(
    define(
      keys,
      'threshold',
      'Change how many keys of a role must sign, and give it more keys, in the next Root.',
      `can-ota keys threshold images root 3 --dir ceremony
       can-ota keys threshold images targets 2 --add bob --dir ceremony`,
    )
      .argument('<repository>', 'director or images')
      .argument('<role>')
      .argument('<number>', 'signatures that are needed', count),
  )
    .option('--add <name...>', 'keys that may sign the role from then on')
    .action(async (repository, role, number, options) =>
      (await import('./keys.ts')).changeThreshold(repository, role, number, options),
    );

  withChange(
    define(
      keys,
      'sign',
      'Sign a draft; it is in force when no signature is missing.',
      `can-ota keys sign ceremony/drafts/images-2.root.json --key alice --dir ceremony
       can-ota keys sign /media/stick/images-2.root.json --key bob --dir keys-of-bob`,
    ).argument('<file>', 'a draft of this folder or of another person'),
  ).action(async (file, options) => (await import('./keys.ts')).signFile(file, options));

  define(
    keys,
    'accept',
    'Take over the signatures of a draft that was signed elsewhere.',
    'can-ota keys accept /media/stick/images-2.root.json --dir ceremony',
  )
    .argument('<file>')
    .action(async (file, options) => (await import('./keys.ts')).acceptFile(file, options));

  addDeviceKey(keys);

  withNetwork(
    define(
      keys,
      'pull',
      'Take over the Roots and Targets that the backend has published, after another copy of the folder was used.',
      'can-ota keys pull --dir ceremony --server http://127.0.0.1:8080',
    ),
  )
    .requiredOption('--server <url>', 'the backend')
    .action(async (options) => (await import('./keys.ts')).pullFrom(options));

  withChange(
    define(
      keys,
      'refresh',
      'Sign Roots and image Targets again before they expire.',
      `can-ota keys refresh --dir ceremony
       can-ota keys refresh --within 90 --dir ceremony`,
    ),
  )
    .option('--within <days>', 'sign what expires within this many days', days, 30)
    .action(async (options) => (await import('./keys.ts')).refresh(options));

  define(
    keys,
    'export-online',
    'Write the files for the backend: keys of the online roles and public metadata, never an offline key.',
    'can-ota keys export-online trust --dir ceremony',
  )
    .argument('<out>', 'folder for can-ota server --trust')
    .action(async (out, options) => (await import('./keys.ts')).exportOnlineKeys(out, options));
}

function define(parent: Command, name: string, summary: string, examples: string): Command {
  return withOutput(command(parent, name, summary, examples)).option(
    '--dir <dir>',
    'folder of the ceremony',
    'can-ota-keys',
  );
}

function withNewKeys(target: Command): Command {
  return target
    .addOption(
      new Option('--algorithm <name>', 'algorithm of new keys').choices(['ed25519', 'ecdsa-p256']),
    )
    .option('--passphrase', 'ask for a passphrase for new keys');
}

function withPassphrase(target: Command): Command {
  return target.option(
    '--passphrase-file <file>',
    'passphrase of the keys: the first line of this file (default: CAN_OTA_PASSPHRASE, or it is asked for)',
  );
}

export function withSigning(target: Command): Command {
  return withPassphrase(target)
    .option(
      '--key <name...>',
      'sign with these keys only (default: all that are in files here and can be opened)',
    )
    .option('--validity <days>', 'how long a new signature lasts', days, 365);
}

/**
 * Adds the option of commands that change published metadata: two copies of a folder must not sign two files of one
 * version.
 */
function withChange(target: Command): Command {
  return withNetwork(withSigning(target)).option(
    '--server <url>',
    'compare with this backend first: nothing is signed when it has a newer state',
  );
}

function count(value: string): number {
  return whole(value, 1, 32);
}

function days(value: string): number {
  return whole(value, 1, 3650);
}

function whole(value: string, minimum: number, maximum: number): number {
  const parsed = Number(value);
  if (value.trim() === '' || !Number.isInteger(parsed) || parsed < minimum || parsed > maximum) {
    throw new InvalidArgumentError(`expected a whole number from ${minimum} to ${maximum}`);
  }
  return parsed;
}

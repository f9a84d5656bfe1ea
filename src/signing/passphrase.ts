// Where the passphrase of a key comes from: a file, the environment, or the person. Never an argument.

import { password as askPassword } from '@inquirer/prompts';
import { InputError } from '../core/errors.ts';
import { readSecretLine } from '../core/secret-file.ts';

export interface PassphraseOptions {
  readonly passphraseFile?: string;
  /** Ask for one when a key is made; keys are opened with what they need, asked or not. */
  readonly passphrase?: boolean;
}

export interface Passphrases {
  /** For a key that is encrypted; undefined when there is none and nobody to ask. */
  toOpen(key: string): Promise<string | undefined>;
  /** For a new key; undefined leaves it unencrypted. */
  forNewKeys(): Promise<string | undefined>;
}

/** PBKDF2 as PKCS #8 files have it stretches little: shorter ones are guessed. */
const SHORTEST = 12;

/** Throws InputError for a file that cannot be read, is readable by others, or holds nothing. */
export async function passphraseSource(options: PassphraseOptions): Promise<Passphrases> {
  let given = await givenPassphrase(options);
  const asked = new Map<string, string>();
  return {
    toOpen: async (key) => {
      if (given !== undefined) return given;
      if (process.stdin.isTTY !== true) return undefined;
      const known = asked.get(key) ?? (await ask(`Passphrase of ${key}`));
      asked.set(key, known);
      return known;
    },
    forNewKeys: async () => {
      if (given !== undefined) return longEnough(given);
      if (options.passphrase !== true) return undefined;
      if (process.stdin.isTTY !== true) {
        throw new InputError(
          '--passphrase',
          'there is no terminal to ask on: use --passphrase-file FILE or CAN_OTA_PASSPHRASE',
        );
      }
      const first = longEnough(await ask('Passphrase of the new keys'));
      if (first !== (await ask('Once more'))) {
        throw new InputError('--passphrase', 'the two entries differ: nothing was made');
      }
      given = first;
      return first;
    },
  };
}

async function givenPassphrase({ passphraseFile }: PassphraseOptions): Promise<string | undefined> {
  if (passphraseFile !== undefined) {
    return readSecretLine(passphraseFile, '--passphrase-file');
  }
  const variable = process.env.CAN_OTA_PASSPHRASE;
  if (variable === undefined || variable === '') return undefined;
  return variable;
}

function longEnough(passphrase: string): string {
  if ([...passphrase].length >= SHORTEST) return passphrase;
  throw new InputError('passphrase', `for a new key it has at least ${SHORTEST} characters`);
}

async function ask(message: string): Promise<string> {
  try {
    return await askPassword({ message, mask: true });
  } catch (error) {
    if (error instanceof Error && error.name === 'ExitPromptError') {
      throw new InputError('passphrase', 'none was entered: nothing was changed');
    }
    throw error;
  }
}

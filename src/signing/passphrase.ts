// Reads the passphrase of a key from a file, the environment, or the terminal, never from an argument.

import { askSecret, canAsk } from '../core/ask-secret.ts';
import { InputError } from '../core/errors.ts';
import { readSecretLine } from '../core/secret-file.ts';

export interface PassphraseOptions {
  readonly passphraseFile?: string;
  /** Whether to ask for a passphrase when a key is made; an encrypted key is always asked for. */
  readonly passphrase?: boolean;
}

export interface Passphrases {
  /** The passphrase of an encrypted key; undefined when there is none and no terminal to ask on. */
  toOpen(key: string): Promise<string | undefined>;
  /** The passphrase of new keys; undefined leaves them unencrypted. */
  forNewKeys(): Promise<string | undefined>;
}

/** Shortest passphrase in characters; PBKDF2 of PKCS #8 files protects shorter ones too little against guessing. */
const SHORTEST = 12;

/** The source of passphrases. Throws InputError for a file that cannot be read, is readable by others, or is empty. */
export async function passphraseSource(options: PassphraseOptions): Promise<Passphrases> {
  let given = await givenPassphrase(options);
  const asked = new Map<string, string>();
  return {
    toOpen: async (key) => {
      if (given !== undefined) return given;
      if (!canAsk()) return undefined;
      const known = asked.get(key) ?? (await ask(`Passphrase of ${key}`));
      asked.set(key, known);
      return known;
    },
    forNewKeys: async () => {
      if (given !== undefined) return longEnough(given);
      if (options.passphrase !== true) return undefined;
      if (!canAsk()) {
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
  throw new InputError('passphrase', `expected at least ${SHORTEST} characters for a new key`);
}

async function ask(question: string): Promise<string> {
  const secret = await askSecret(question);
  if (secret !== undefined) return secret;
  throw new InputError('passphrase', 'none was entered: nothing was changed');
}

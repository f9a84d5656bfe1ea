// The standard ceremony, and new keys: in a file or in a token.

import path from 'node:path';
import { InputError } from '../core/errors.ts';
import type { RoleKeys } from '../trust/role-signing.ts';
import type { SigningAlgorithm } from '../trust/signing-key.ts';
import type { CeremonyOutcome } from './ceremony.ts';
import { currentRoot } from './draft.ts';
import { type KeyFolder, type KnownKey, ONLINE_ROLES, REPOSITORIES } from './folder.ts';
import { keyFacts } from './overview.ts';
import type { Passphrases } from './passphrase.ts';
import { type KeysWork, show } from './work.ts';

export interface InitChoice {
  readonly algorithm?: SigningAlgorithm;
  readonly rootKeys: number;
  readonly rootThreshold: number;
  readonly targetsKeys: number;
  readonly targetsThreshold: number;
}

/** Runs the standard ceremony: keys of all roles, both Roots, and empty Targets of the image repository. */
export async function initialise(work: KeysWork, options: InitChoice): Promise<void> {
  const { folder, ceremony, context } = work;
  for (const repository of REPOSITORIES) {
    if ((await currentRoot(folder, repository)) !== undefined) {
      throw new InputError('--dir', `${folder.path(repository)} has a Root: nothing was changed`);
    }
  }
  for (const role of ['root', 'targets'] as const) {
    if (options[`${role}Threshold`] > options[`${role}Keys`]) {
      throw new InputError(`--${role}-threshold`, `is more than the keys (--${role}-keys)`);
    }
  }
  const secret = await work.passphrases.forNewKeys();
  const outcomes: CeremonyOutcome[] = [];
  for (const repository of REPOSITORIES) {
    const roles: Record<string, RoleKeys> = {};
    for (const [role, count, threshold] of [
      ['root', options.rootKeys, options.rootThreshold],
      ...(repository === 'images'
        ? [['targets', options.targetsKeys, options.targetsThreshold] as const]
        : []),
      ...ONLINE_ROLES[repository].map((name) => [name, 1, 1] as const),
    ] as const) {
      const online = ONLINE_ROLES[repository].includes(role);
      const made: KnownKey[] = [];
      for (let number = 1; number <= count; number++) {
        const name = count === 1 ? `${repository}-${role}` : `${repository}-${role}-${number}`;
        // A daemon opens online keys without a person, so the mode of the file protects them.
        const key = await folder.create(
          name,
          options.algorithm ?? 'ed25519',
          online ? undefined : secret,
        );
        context.emit({ created: key.name, ...keyFacts(key) });
        made.push(key);
      }
      roles[role] = { keys: made.map(({ publicKey }) => publicKey), threshold };
    }
    outcomes.push(await ceremony.begin(repository, roles));
  }
  outcomes.push(await ceremony.changeTargets());
  await show(work, outcomes);
  if (secret === undefined) {
    context.say(
      'The keys are not encrypted: use --passphrase-file FILE or --passphrase to encrypt them.',
    );
  }
  context.say(
    `Keep ${folder.path('private')} away from every network, with a copy in another place.\n` +
      'Next: can-ota keys export-online OUT, can-ota server --trust OUT, can-ota release add FILE.',
  );
}

export interface TokenOptions {
  /** The PKCS#11 module (a shared library). */
  readonly pkcs11?: string;
  readonly token?: string;
}

/** Makes a key that never leaves its token; the passphrase is the PIN. */
export async function createInToken(
  folder: KeyFolder,
  name: string,
  options: TokenOptions & { readonly algorithm?: SigningAlgorithm },
  passphrases: Passphrases,
): Promise<KnownKey> {
  const { pkcs11: module, token, algorithm = 'ecdsa-p256' } = options;
  if (module === undefined || token === undefined) {
    throw new InputError('--token', 'the label of the token is needed with --pkcs11');
  }
  const pin = await passphrases.toOpen(`token ${token}`);
  if (pin === undefined)
    throw new InputError('--passphrase-file', 'the PIN of the token is needed');
  const { generateInToken } = await import('./pkcs11.ts');
  const place = { module: path.resolve(module), token, label: name };
  return folder.register(name, await generateInToken(place, algorithm, pin), place);
}

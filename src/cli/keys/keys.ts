// `can-ota keys ...`: the key ceremony for both repositories. The backend never sees an offline key.

import { requirePlausibleClock } from '../../core/build-date.ts';
import { systemClock } from '../../core/clock.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { type NetworkOptions, networkOf } from '../../link/network.ts';
import { Ceremony, DEFAULT_VALIDITY_DAYS } from '../../signing/ceremony.ts';
import { requireCurrent } from '../../signing/compare.ts';
import { exportOnline } from '../../signing/export.ts';
import { KeyFolder, parseCard } from '../../signing/folder.ts';
import {
  createInToken,
  type InitChoice,
  initialise,
  type TokenOptions,
} from '../../signing/init.ts';
import { keyFacts, listing } from '../../signing/overview.ts';
import { type PassphraseOptions, passphraseSource } from '../../signing/passphrase.ts';
import { pull } from '../../signing/pull.ts';
import { ReleaseBackend } from '../../signing/release-backend.ts';
import type { KeysWork } from '../../signing/work.ts';
import type { SigningAlgorithm } from '../../trust/signing-key.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import { type RotateChoice, renew, revoke, rotate, setThreshold } from './change.ts';
import { acceptFile as accept, readInput, signFile as sign } from './sign.ts';

interface KeysOptions extends CommonOptions, PassphraseOptions, NetworkOptions {
  readonly dir: string;
  /** Days; missing for commands that sign nothing. */
  readonly validity?: number;
  readonly key?: readonly string[];
  /** Compare with this backend before anything is signed. */
  readonly server?: string;
}

function withFolder(
  options: KeysOptions,
  body: (work: KeysWork) => Promise<void>,
  make = false,
): Promise<void> {
  return runCommand(options, async (context) => {
    requirePlausibleClock(systemClock.wallMs());
    await using folder = await KeyFolder.open(options.dir, make);
    if (options.server !== undefined) {
      await requireCurrent(folder, await publicFiles(options.server, options, context.signal));
    }
    const passphrases = await passphraseSource(options);
    const ceremony = new Ceremony({
      folder,
      clock: systemClock,
      passphrases,
      validityDays: options.validity ?? DEFAULT_VALIDITY_DAYS,
      signWith: options.key,
    });
    await body({ context, folder, passphrases, ceremony, clock: systemClock });
    return ExitCode.success;
  });
}

export function initKeys(options: KeysOptions & InitChoice): Promise<void> {
  return withFolder(options, (work) => initialise(work, options), true);
}

export function createKey(
  name: string,
  options: KeysOptions & TokenOptions & { readonly algorithm?: SigningAlgorithm },
): Promise<void> {
  const { algorithm = 'ed25519', pkcs11 } = options;
  return withFolder(
    options,
    async ({ context, folder, passphrases }) => {
      const key =
        pkcs11 === undefined
          ? await folder.create(name, algorithm, await passphrases.forNewKeys())
          : await createInToken(folder, name, options, passphrases);
      context.emit({ created: name, ...keyFacts(key) });
      context.say(`${name} is made: key id ${key.keyId}`);
      context.say(`Its public half, for others: ${folder.path(`public/${name}.json`)}`);
    },
    true,
  );
}

export function importKey(name: string, file: string, options: KeysOptions): Promise<void> {
  return withFolder(
    options,
    async ({ context, folder }) => {
      const card = parseCard(Buffer.from(await readInput(file)).toString('utf8'), file);
      const key = await folder.register(name, card.publicKey);
      context.emit({ imported: name, ...keyFacts(key) });
      context.say(`${name} may be named in a Root now: key id ${key.keyId}`);
    },
    true,
  );
}

export function listKeys(options: KeysOptions): Promise<void> {
  return withFolder(options, async ({ context, folder, clock }) => {
    for (const { fact, text } of await listing(folder, clock.wallMs())) {
      context.emit(fact);
      context.say(text);
    }
  });
}

export function rotateKey(
  repository: string,
  role: string,
  options: KeysOptions & RotateChoice,
): Promise<void> {
  return withFolder(options, async (work) => {
    await rotate(work, repository, role, options);
  });
}

export function revokeKey(name: string, options: KeysOptions): Promise<void> {
  return withFolder(options, (work) => revoke(work, name));
}

export function changeThreshold(
  repository: string,
  role: string,
  threshold: number,
  options: KeysOptions & { readonly add?: readonly string[] },
): Promise<void> {
  return withFolder(options, (work) =>
    setThreshold(work, repository, role, threshold, options.add),
  );
}

export function signFile(file: string, options: KeysOptions): Promise<void> {
  return withFolder(options, (work) => sign(work, file, options.key));
}

export function acceptFile(file: string, options: KeysOptions): Promise<void> {
  return withFolder({ ...options, key: [] }, (work) => accept(work, file));
}

export function refresh(options: KeysOptions & { readonly within: number }): Promise<void> {
  return withFolder(options, (work) => renew(work, options.within));
}

/** Takes over the metadata that the backend has published. It is public, so no log-in is needed. */
export function pullFrom(
  options: CommonOptions & NetworkOptions & { readonly dir: string; readonly server: string },
): Promise<void> {
  return runCommand(options, async (context) => {
    requirePlausibleClock(systemClock.wallMs());
    await using folder = await KeyFolder.open(options.dir);
    await pull({ context, folder }, await publicFiles(options.server, options, context.signal));
    return ExitCode.success;
  });
}

async function publicFiles(
  url: string,
  options: NetworkOptions,
  signal: AbortSignal,
): Promise<ReleaseBackend> {
  const { fetch } = await networkOf(options, url);
  return ReleaseBackend.withoutLogIn({ url, clock: systemClock, signal, fetch });
}

export function exportOnlineKeys(out: string, options: KeysOptions): Promise<void> {
  return withFolder(options, async ({ context, folder }) => {
    for (const { file, key, encrypted } of await exportOnline(folder, out)) {
      context.emit({ exported: file, ...(key === undefined ? {} : { key, encrypted }) });
      const whose = key === undefined ? '' : ` (${key}${encrypted ? ', still encrypted' : ''})`;
      context.say(`${file}${whose}`);
    }
    context.say(`Start the backend with: can-ota server --trust ${out}`);
  });
}

// `can-ota release ...`: signs a release with offline keys, and sends image and metadata to the backend.

import { askSecret, canAsk } from '../../core/ask-secret.ts';
import { requirePlausibleClock } from '../../core/build-date.ts';
import { systemClock } from '../../core/clock.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { readSecretLine } from '../../core/secret-file.ts';
import { type NetworkOptions, networkOf } from '../../link/network.ts';
import { Ceremony, DEFAULT_VALIDITY_DAYS } from '../../signing/ceremony.ts';
import { KeyFolder } from '../../signing/folder.ts';
import { type PassphraseOptions, passphraseSource } from '../../signing/passphrase.ts';
import { type PublishState, push, type ReleaseWork } from '../../signing/push.ts';
import { add, list, type ReleaseChoice, revoke } from '../../signing/release.ts';
import { type Credentials, ReleaseBackend } from '../../signing/release-backend.ts';
import { pushImages } from '../../signing/release-images.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import { pullFrom } from '../keys/keys.ts';

export interface LogInOptions extends NetworkOptions {
  readonly user?: string;
  readonly passwordFile?: string;
  readonly tokenFile?: string;
}

/** The backend, and the user or token that logs in. */
export interface ReachOptions extends LogInOptions {
  readonly server?: string;
}

interface ReleaseOptions extends CommonOptions, PassphraseOptions, ReachOptions {
  readonly keys: string;
  readonly key?: readonly string[];
  /** Days; missing for a list, which signs nothing. */
  readonly validity?: number;
}

function withReleases(
  options: ReleaseOptions,
  body: (work: ReleaseWork) => Promise<PublishState>,
): Promise<void> {
  return runCommand(options, async (context) => {
    requirePlausibleClock(systemClock.wallMs());
    await using folder = await KeyFolder.open(options.keys);
    const ceremony = new Ceremony({
      folder,
      clock: systemClock,
      passphrases: await passphraseSource(options),
      validityDays: options.validity ?? DEFAULT_VALIDITY_DAYS,
      signWith: options.key,
    });
    // Logs in before anything is signed, so that a missing right to upload shows first.
    const backend = await logIn(options, context.signal);
    const state = await body({ context, folder, ceremony, backend });
    // Exit code 0 would tell a script that the release is published.
    return state === 'waiting' ? ExitCode.deferred : ExitCode.success;
  });
}

export function addRelease(file: string, options: ReleaseOptions & ReleaseChoice): Promise<void> {
  return withReleases(options, (work) => add(work, file, options));
}

export function listReleases(options: ReleaseOptions): Promise<void> {
  return withReleases(options, async (work) => {
    await list(work);
    return 'signed';
  });
}

export function revokeRelease(
  ecu: string,
  version: string,
  options: ReleaseOptions,
): Promise<void> {
  return withReleases(options, (work) => revoke(work, ecu, version));
}

/** Sends images first, so that the signed list never names a missing image. */
export function pushReleases(
  files: readonly string[],
  options: ReleaseOptions & { readonly raw?: boolean },
): Promise<void> {
  return withReleases(options, async (work) => {
    await pushImages(work, files, options.raw === true);
    return push(work);
  });
}

/** Reads public files only, so no log-in is needed. */
export function pullReleases(
  options: CommonOptions & NetworkOptions & { keys: string; server: string },
): Promise<void> {
  return pullFrom({ ...options, dir: options.keys });
}

/** Undefined without --server: the command then only signs. */
export async function logIn(
  options: ReachOptions,
  signal: AbortSignal,
): Promise<ReleaseBackend | undefined> {
  const { server: url } = options;
  if (url === undefined) return undefined;
  const { fetch } = await networkOf(options, url);
  return ReleaseBackend.logIn(
    { url, clock: systemClock, signal, fetch },
    await credentialsOf(options),
  );
}

/** Throws InputError when neither a user nor a token is given. */
export async function credentialsOf(options: LogInOptions): Promise<Credentials> {
  const { user, passwordFile, tokenFile } = options;
  if (tokenFile !== undefined) {
    return { kind: 'token', token: await readSecretLine(tokenFile, '--token-file') };
  }
  if (user === undefined) {
    throw new InputError(
      '--server',
      'the backend needs a log-in: give --token-file FILE, or --user NAME',
    );
  }
  if (passwordFile !== undefined) {
    const password = await readSecretLine(passwordFile, '--password-file');
    return { kind: 'password', user, password };
  }
  if (!canAsk()) {
    throw new InputError('--user', 'there is no terminal to ask on: give --password-file FILE');
  }
  const password = await askSecret(`Password of ${user}`);
  if (password === undefined) {
    throw new InputError('--user', 'no password was entered: nothing was done');
  }
  return { kind: 'password', user, password };
}

// `can-ota keys reset-time`: vehicles forget a time that is ahead, because the key that may have signed it is gone.
//
// A reader of signed time keeps the latest one as a floor, so that nobody can show it an old, expired world. A clock of the
// backend that was ahead leaves a floor ahead of the true time. Nothing that the backend can sign by itself takes it back: a
// stolen online key could then show old metadata to the whole fleet. The offline Root can: by Uptane 5.4.4.3 step 4 what a
// key has signed is no floor any more once a Root takes that key away. The TMU and every ECU, whether it verifies fully or
// partially, do so with the role `time`. Versions, release counters and nonces stay as they are: what comes after the reset
// has to be signed by the new key, for a nonce of this very reader, and above all versions that it knows.

import { systemClock } from '../../core/clock.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { itemAt } from '../../core/present.ts';
import { Ceremony } from '../../signing/ceremony.ts';
import { exportOnline } from '../../signing/export.ts';
import { KeyFolder } from '../../signing/folder.ts';
import { type PassphraseOptions, passphraseSource } from '../../signing/passphrase.ts';
import { push } from '../../signing/push.ts';
import type { ReleaseBackend } from '../../signing/release-backend.ts';
import type { KeysWork } from '../../signing/work.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import { logIn, type ReachOptions } from '../release/release.ts';
import { heldKeys, rotate } from './change.ts';

const REPOSITORY = 'director';
const ROLE = 'time';

interface ResetOptions extends CommonOptions, PassphraseOptions, ReachOptions {
  readonly dir: string;
  /** Days. */
  readonly validity: number;
  readonly key?: readonly string[];
}

/** `can-ota keys reset-time`. */
export function resetTheTime(trust: string, options: ResetOptions): Promise<void> {
  return runCommand(options, async (context) => {
    await using folder = await KeyFolder.open(options.dir);
    const passphrases = await passphraseSource(options);
    const ceremony = new Ceremony({
      folder,
      clock: systemClock,
      passphrases,
      validityDays: options.validity,
      signWith: options.key,
    });
    // Before anything is signed: a backend that is not there, or does not know the token.
    const backend = await logIn(options, context.signal);
    const work = { context, folder, passphrases, ceremony, clock: systemClock };
    const state = await resetTime(work, trust, backend);
    // A script that goes on after 0 believes that the time is reset.
    return state === 'draft' ? ExitCode.deferred : ExitCode.success;
  });
}

/**
 * Rotates one key of the role, writes the folder of the backend, and hands the new Root to the backend where one is given.
 * `draft`: signatures are missing, and nothing of the rest was done. Throws InputError, BackendError.
 */
export async function resetTime(
  work: KeysWork,
  trust: string,
  backend: ReleaseBackend | undefined,
): Promise<'draft' | 'finished'> {
  const { context, folder, ceremony } = work;
  const old = itemAt(await heldKeys(work, REPOSITORY, ROLE), 0);
  const outcomes = await rotate(work, REPOSITORY, ROLE, { old });
  if (outcomes.some(({ state }) => state === 'draft')) {
    context.say(
      `The Root waits for signatures (can-ota keys sign). Then: can-ota keys export-online ${trust}, and can-ota release push.`,
    );
    return 'draft';
  }
  for (const { file } of await exportOnline(folder, trust)) context.emit({ exported: file });
  context.say(`${trust} holds the new key and the new Root.`);
  if (backend === undefined) {
    context.say(
      `Give ${trust} to the backend as the folder of --trust, then: can-ota release push --server URL, or start it again.`,
    );
    return 'finished';
  }
  await push({ context, folder, ceremony, backend });
  context.say('Vehicles take the new time with their next check, each ECU with its next update.');
  return 'finished';
}

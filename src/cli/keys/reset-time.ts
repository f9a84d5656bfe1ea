// `can-ota keys reset-time`: removes the key of the role time, so that vehicles discard a time that is too far ahead.
//
// A verifier of signed time keeps the latest time as a floor, so that an attacker cannot show it expired metadata. If the
// clock of the backend was ahead, that floor is ahead of the true time. The backend cannot lower it with its own keys: a
// stolen online key could then show old metadata to the whole fleet. The offline Root can: by Uptane 5.4.4.3 step 4 the
// signatures of a key no longer set a floor once a Root has removed that key. The TMU and every ECU, with full or partial
// verification, apply this to the role `time`. Versions, release counters and nonces stay: metadata after the reset has
// to be signed by the new key, for a nonce of this verifier, and with versions above those that it knows.

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
    // Fails before anything is signed where the backend is not reachable or does not know the token.
    const backend = await logIn(options, context.signal);
    const work = { context, folder, passphrases, ceremony, clock: systemClock };
    const state = await resetTime(work, trust, backend);
    // Exit code 0 would tell a script that the time is reset.
    return state === 'draft' ? ExitCode.deferred : ExitCode.success;
  });
}

/**
 * Rotates one key of the role, writes the folder of the backend, and sends the new Root to the backend where one is
 * given. `draft`: signatures are missing, and the other steps were not done. Throws InputError, BackendError.
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
      `The Root needs further signatures (can-ota keys sign). Afterwards run: can-ota keys export-online ${trust}, and can-ota release push.`,
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
  context.say('Vehicles accept the new time at their next check, each ECU at its next update.');
  return 'finished';
}

// What a command of `can-ota keys` works with, and how it tells what became of it.

import type { Clock } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import type { Ceremony, CeremonyOutcome } from './ceremony.ts';
import type { KeyFolder } from './folder.ts';
import { namer, outcomeLines } from './overview.ts';
import type { Passphrases } from './passphrase.ts';

export interface KeysWork {
  readonly context: Pick<Context, 'say' | 'emit'>;
  readonly folder: KeyFolder;
  readonly passphrases: Passphrases;
  readonly ceremony: Ceremony;
  readonly clock: Pick<Clock, 'wallMs'>;
}

export async function show(
  { context, folder }: KeysWork,
  outcomes: readonly CeremonyOutcome[],
): Promise<void> {
  const nameOf = namer(await folder.keys());
  for (const outcome of outcomes) {
    const { fact, text } = outcomeLines(folder, outcome, nameOf);
    context.emit(fact);
    context.say(text);
  }
}

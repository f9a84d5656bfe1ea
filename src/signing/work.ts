// The inputs of the commands of `can-ota keys`, and the output of their results.

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

// Whether anything can come from standard input: a question that nobody can answer is not asked.

import { fstatSync, type Stats } from 'node:fs';
import { isatty } from 'node:tty';

/** Turns of the event loop from the first read of a pipe to the event of its end. */
const TURNS = 3;

/** True for /dev/null, an empty file, and a pipe that has ended and holds nothing. A terminal may always answer. */
export async function isInputEmpty(): Promise<boolean> {
  if (isatty(0)) return false;
  let facts: Stats;
  try {
    facts = fstatSync(0);
  } catch {
    return true; // closed
  }
  if (facts.isFile()) return facts.size === 0;
  return facts.isFIFO() || facts.isSocket() ? hasEnded(process.stdin) : true;
}

/** An end that is there is read in the next turn of the event loop. Data that is read before it goes back into the stream. */
async function hasEnded(input: NodeJS.ReadStream): Promise<boolean> {
  let ended = false;
  const onReadable = (): void => {
    const chunk = input.read() as Buffer | null;
    if (chunk === null) return;
    // There is something to read; a listener that stays would be called for it again and again.
    input.off('readable', onReadable);
    input.unshift(chunk);
  };
  const onEnd = (): void => {
    ended = true;
  };
  input.on('end', onEnd);
  input.on('readable', onReadable);
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
  input.off('readable', onReadable);
  input.off('end', onEnd);
  return ended;
}

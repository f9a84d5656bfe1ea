// Whether anything can come from standard input: a question that nobody can answer is not asked.

import { fstatSync, type Stats } from 'node:fs';
import { isatty } from 'node:tty';

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

/** An end that is there is read in the next turn of the event loop; what is read before it goes back into the stream. */
async function hasEnded(input: NodeJS.ReadStream): Promise<boolean> {
  let ended = false;
  const onReadable = (): void => {
    const chunk: unknown = input.read();
    if (chunk === null) ended = input.readableEnded || ended;
    else input.unshift(chunk as Buffer);
  };
  const onEnd = (): void => {
    ended = true;
  };
  input.on('end', onEnd);
  input.on('readable', onReadable);
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  input.off('readable', onReadable);
  input.off('end', onEnd);
  return ended;
}

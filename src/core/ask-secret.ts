// Asks a person for a password or a passphrase on the terminal. Nothing of it is shown, and no cursor is moved.

import { StringDecoder } from 'node:string_decoder';

/** The part of a terminal that this needs. */
export interface SecretTerminal {
  readonly input: {
    readonly isTTY?: boolean;
    setRawMode?(on: boolean): unknown;
    on(event: 'data' | 'end', listener: (chunk: Buffer) => void): unknown;
    off(event: 'data' | 'end', listener: (chunk: Buffer) => void): unknown;
    unshift(chunk: Buffer): unknown;
    resume(): unknown;
    pause(): unknown;
  };
  /** Standard error, so that the output of a command can go into a file. */
  readonly output: { write(text: string): unknown };
}

const PROCESS: SecretTerminal = { input: process.stdin, output: process.stderr };

/** Whether there is a terminal to ask on. */
export function canAsk({ input }: SecretTerminal = PROCESS): boolean {
  return input.isTTY === true;
}

/** What was typed up to the end of the line. Undefined: Control-C, Control-D on an empty line, or the end of the input. */
export async function askSecret(
  question: string,
  terminal: SecretTerminal = PROCESS,
): Promise<string | undefined> {
  const { input, output } = terminal;
  // First the mode: what is typed as soon as the question is there must not be shown, and a Control-C must end the
  // question and not the process.
  input.setRawMode?.(true);
  output.write(`${question}: `);
  try {
    return await secretLine(input);
  } finally {
    input.setRawMode?.(false);
    input.pause();
    output.write('\n');
  }
}

function secretLine(input: SecretTerminal['input']): Promise<string | undefined> {
  const decoder = new StringDecoder('utf8');
  let characters: string[] = [];
  let isDone = false;
  return new Promise((resolve) => {
    const done = (secret: string | undefined, rest = ''): void => {
      isDone = true;
      input.off('data', onData);
      input.off('end', onEnd);
      // Typed or pasted for the next question; a stream that flows would give it to nobody.
      input.pause();
      if (rest !== '') input.unshift(Buffer.from(rest));
      resolve(secret);
    };
    const onEnd = (): void => done(undefined);
    const onData = (chunk: Buffer): void => {
      const keys = [...decoder.write(chunk)];
      if (keys[0] === '\x1b') return; // an arrow or function key
      for (const [index, key] of keys.entries()) {
        const isEnd = key === '\r' || key === '\n';
        if (key === '\x03' || (key === '\x04' && characters.length === 0)) done(undefined);
        else if (isEnd) done(characters.join(''), keys.slice(index + 1).join(''));
        else if (key === '\x7f' || key === '\b') characters.pop();
        else if (key === '\x15')
          characters = []; // Control-U
        else if (key >= ' ') characters.push(key);
        if (isDone) return;
      }
    };
    input.on('data', onData);
    input.on('end', onEnd);
    input.resume();
  });
}

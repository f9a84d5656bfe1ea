// Where the driver of a bench types: standard input as it comes, or keys that are shown below the bars.

import { PassThrough, type Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { canRedraw, isInForeground } from '../core/terminal.ts';
import { TypedLine } from './typed-line.ts';
import type { BenchView } from './view.ts';

/** The part of standard input on a terminal that this needs. */
export interface KeyTerminal {
  readonly isTTY?: boolean;
  setRawMode?(on: boolean): unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  off(event: 'data', listener: (chunk: Buffer) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

type TypedSignal = 'SIGINT' | 'SIGQUIT' | 'SIGTSTP';

/** Whether the keys are read one by one: bars and the driver share one terminal. */
export function readsKeys(approve: 'ask' | 'yes' | 'no', json: boolean): boolean {
  const { stdin, stdout } = process;
  return approve === 'ask' && !json && stdin.isTTY && canRedraw(stdout) && isInForeground();
}

/**
 * The keys of a terminal as lines. The terminal echoes nothing: the view shows what is typed, in a row of its own, so
 * that neither bars nor news of the vehicle write over it.
 */
export class KeyInput {
  readonly lines: Readable;
  readonly #lines = new PassThrough();
  readonly #line = new TypedLine();
  readonly #decoder = new StringDecoder('utf8');
  readonly #input: KeyTerminal;
  readonly #view: Pick<BenchView, 'line' | 'typed'>;
  readonly #send: (signal: TypedSignal) => void;

  /** `send`: what a terminal does for Control-C and its like; to the whole group of processes unless told otherwise. */
  constructor(
    view: Pick<BenchView, 'line' | 'typed'>,
    input: KeyTerminal = process.stdin,
    send: (signal: TypedSignal) => void = (signal) => process.kill(0, signal),
  ) {
    this.#view = view;
    this.#input = input;
    this.#send = send;
    this.lines = this.#lines;
    input.setRawMode?.(true);
    input.on('data', this.#onData);
    input.resume();
    process.on('SIGCONT', this.#onContinue);
    view.typed('');
  }

  close(): void {
    process.off('SIGCONT', this.#onContinue);
    this.#input.off('data', this.#onData);
    this.#input.setRawMode?.(false);
    this.#input.pause();
    this.#lines.end();
    // The shell does not get it any more: it stays on the screen.
    if (this.#line.text !== '') this.#view.line(`> ${this.#line.text}`);
  }

  readonly #onData = (chunk: Buffer): void => {
    for (const event of this.#line.feed(this.#decoder.write(chunk))) {
      if (event.kind === 'line') {
        this.#view.line(`> ${event.text}`);
        this.#lines.write(`${event.text}\n`);
      } else if (event.kind === 'end') this.#lines.end();
      else this.#signal(event.name);
    }
    this.#view.typed(this.#line.text);
  };

  #signal(name: TypedSignal): void {
    // A stopped process leaves the terminal to the shell as it was.
    if (name === 'SIGTSTP') this.#input.setRawMode?.(false);
    this.#send(name);
  }

  readonly #onContinue = (): void => {
    this.#input.setRawMode?.(true);
    this.#view.typed(this.#line.text);
  };
}

// A terminal, or a pipe, for consoles under test: what was written, and a hand to type with.

import { PassThrough, Writable } from 'node:stream';

export class FakeTerminal {
  readonly input: PassThrough & { isTTY?: boolean; setRawMode?(on: boolean): void };
  readonly output: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  /** Everything that was written. */
  text = '';
  rawMode = false;

  constructor(isTTY: boolean, columns = 80, rows = 24) {
    const write = (chunk: Buffer): void => {
      this.text += chunk.toString();
    };
    this.input = Object.assign(new PassThrough(), {
      isTTY,
      setRawMode: (on: boolean) => {
        this.rawMode = on;
      },
    });
    this.output = Object.assign(
      new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          write(chunk);
          done();
        },
      }),
      { isTTY, columns, rows },
    );
  }

  /** Arrives at once. */
  type(text: string): void {
    this.input.emit('data', Buffer.from(text));
  }

  resize(columns: number, rows: number): void {
    Object.assign(this.output, { columns, rows });
    this.output.emit('resize');
  }
}

// As much of a terminal as pictures use: lines that wrap, cursor up, clear to the end.

import { stripVTControlCharacters } from 'node:util';

export class Screen {
  columns: number;
  readonly isTTY = true;
  rows: string[] = [''];
  /** Everything that was written. */
  text = '';

  constructor(columns: number) {
    this.columns = columns;
  }

  write(text: string): void {
    this.text += text;
    for (const part of text.replaceAll('\x1b', 'ESC').split(/(ESC\[\d*[AJ]|\r|\n)/)) {
      const up = /^ESC\[(\d+)A$/.exec(part);
      if (up !== null) this.rows = this.rows.slice(0, this.rows.length - Number(up[1]));
      else if (part === 'ESC[J') this.rows[this.rows.length - 1] = '';
      else if (part === '\n') this.rows.push('');
      else if (part !== '\r') this.#put(stripVTControlCharacters(part.replaceAll('ESC', '\x1b')));
    }
  }

  /** What the shell does when the window becomes another one: long rows wrap. */
  resize(columns: number): void {
    const whole = this.rows;
    this.columns = columns;
    this.rows = [];
    for (const row of whole) {
      this.rows.push('');
      this.#put(row);
    }
  }

  #put(text: string): void {
    for (const character of text) {
      const last = this.rows.length - 1;
      if ((this.rows[last] ?? '').length < this.columns) this.rows[last] += character;
      else this.rows.push(character);
    }
  }
}

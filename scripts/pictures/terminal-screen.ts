// The screen of a terminal out of what programs write to it: text, colours, cursor movements, the second screen. Enough for the
// programs of this project; what it does not know is left out.

interface Cell {
  readonly character: string;
  /** Names of CSS classes: `bold dim c2`. */
  readonly style: string;
}

const BLANK: Cell = { character: ' ', style: '' };
const ESC = '\x1b';
/** A control sequence with its parameters; character sets, modes and titles, which show nothing. */
const SEQUENCE = new RegExp(
  `${ESC}(?:\\[([?\\d;]*)([A-Za-z])|[()][A-Z0-9]|[=>78]|\\][^\\u0007]*\\u0007)`,
  'y',
);

export class TerminalScreen {
  readonly #columns: number;
  readonly #rows: number;
  #cells: Cell[][];
  /** The first screen while the second one is shown. */
  #behind: Cell[][] | undefined;
  #row = 0;
  #column = 0;
  #style = new Set<string>();
  /** The begin of a sequence whose end has not come yet. */
  #rest = '';

  constructor(columns: number, rows: number) {
    this.#columns = columns;
    this.#rows = rows;
    this.#cells = blankScreen(columns, rows);
  }

  write(written: string): void {
    const text = this.#rest + written;
    this.#rest = '';
    for (let at = 0; at < text.length; ) {
      if (text[at] === ESC) {
        SEQUENCE.lastIndex = at;
        const found = SEQUENCE.exec(text);
        if (found === null) {
          this.#rest = text.slice(at);
          return;
        }
        this.#control(found[1] ?? '', found[2] ?? '');
        at = SEQUENCE.lastIndex;
      } else {
        const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
        this.#put(character);
        at += character.length;
      }
    }
  }

  /** The rows as text, without blanks at their ends. */
  get lines(): string[] {
    return this.#cells.map((row) =>
      row
        .map(({ character }) => character)
        .join('')
        .trimEnd(),
    );
  }

  /** The rows as HTML, one `span` for each style, without blank rows at the end. */
  html(): string {
    const used = this.lines.findLastIndex((line) => line !== '') + 1;
    return this.#cells.slice(0, used).map(rowHtml).join('\n');
  }

  #put(character: string): void {
    if (character === '\r') this.#column = 0;
    else if (character === '\n') this.#lineFeed();
    else if (character === '\b') this.#column = Math.max(0, this.#column - 1);
    else if (character >= ' ') {
      if (this.#column >= this.#columns) {
        this.#column = 0;
        this.#lineFeed();
      }
      const row = this.#cells[this.#row];
      if (row !== undefined) row[this.#column] = { character, style: [...this.#style].join(' ') };
      this.#column++;
    }
  }

  #lineFeed(): void {
    if (this.#row < this.#rows - 1) this.#row++;
    else {
      this.#cells.shift();
      this.#cells.push(blankRow(this.#columns));
    }
  }

  #control(parameters: string, final: string): void {
    const numbers = parameters.replace('?', '').split(';').map(Number);
    const [first = 0, second = 0] = numbers;
    const steps = Math.max(1, first);
    switch (final) {
      case 'A':
        this.#row = Math.max(0, this.#row - steps);
        break;
      case 'B':
        this.#row = Math.min(this.#rows - 1, this.#row + steps);
        break;
      case 'C':
        this.#column = Math.min(this.#columns - 1, this.#column + steps);
        break;
      case 'D':
        this.#column = Math.max(0, this.#column - steps);
        break;
      case 'G':
        this.#column = Math.min(this.#columns, steps) - 1;
        break;
      case 'H':
        this.#row = Math.min(this.#rows, steps) - 1;
        this.#column = Math.min(this.#columns, Math.max(1, second)) - 1;
        break;
      case 'J':
        this.#eraseBelow(first);
        break;
      case 'K':
        this.#eraseRow(first === 2 ? 0 : this.#column);
        break;
      case 'm':
        for (const number of numbers) this.#select(number);
        break;
      case 'h':
      case 'l':
        if (parameters === '?1049') this.#second(final === 'h');
        break;
    }
  }

  #eraseBelow(mode: number): void {
    if (mode === 2) this.#cells = blankScreen(this.#columns, this.#rows);
    else {
      this.#eraseRow(this.#column);
      for (let row = this.#row + 1; row < this.#rows; row++) {
        this.#cells[row] = blankRow(this.#columns);
      }
    }
  }

  #eraseRow(from: number): void {
    this.#cells[this.#row]?.fill(BLANK, from);
  }

  #second(on: boolean): void {
    if (on) {
      this.#behind = this.#cells;
      this.#cells = blankScreen(this.#columns, this.#rows);
    } else if (this.#behind !== undefined) {
      this.#cells = this.#behind;
      this.#behind = undefined;
    }
  }

  /** Select graphic rendition, ECMA-48 8.3.117: weight and the sixteen colours of the text. */
  #select(number: number): void {
    const colour = number >= 30 && number <= 37 ? number - 30 : number - 82;
    if (number === 0) this.#style.clear();
    else if (number === 1) this.#style.add('bold');
    else if (number === 2) this.#style.add('dim');
    else if (number === 7) this.#style.add('inverse');
    else if (number === 22) for (const name of ['bold', 'dim']) this.#style.delete(name);
    else if (number === 27) this.#style.delete('inverse');
    else if (number === 39 || (colour >= 0 && colour <= 15)) {
      for (const name of this.#style) if (/^c\d/.test(name)) this.#style.delete(name);
      if (number !== 39) this.#style.add(`c${colour}`);
    }
  }
}

function blankRow(columns: number): Cell[] {
  return new Array<Cell>(columns).fill(BLANK);
}

function blankScreen(columns: number, rows: number): Cell[][] {
  return Array.from({ length: rows }, () => blankRow(columns));
}

function rowHtml(row: readonly Cell[]): string {
  let html = '';
  for (let at = 0; at < row.length; ) {
    const { style } = row[at] ?? BLANK;
    let text = '';
    for (; at < row.length && (row[at] ?? BLANK).style === style; at++) {
      text += (row[at] ?? BLANK).character;
    }
    const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
    html += style === '' ? escaped : `<span class="${style}">${escaped}</span>`;
  }
  return html.trimEnd();
}

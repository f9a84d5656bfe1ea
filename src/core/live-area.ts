// Lines that stay on a terminal, and below them rows that are drawn again in their place.

import { type PictureTerminal, silenceEcho, USUAL_COLUMNS } from './terminal.ts';
import { cutText, textWidth } from './text-layout.ts';

/** What is below the lines that stay. */
export interface LivePicture {
  readonly rows: readonly string[];
  /** What is being typed: its row is the last one, and the cursor stands behind it. */
  readonly typed?: string | undefined;
}

export interface LiveAreaOptions {
  /** Called when rows appear; what comes back is called when they are gone. By default the echo of the terminal is off meanwhile. */
  readonly silence?: () => () => void;
}

/** The one that has rows on the screen of this process. */
let shown: LiveArea | undefined;

/**
 * A line for standard error that does not get into a picture: it stands above the rows that are on the screen. Where
 * standard error is no terminal it goes there as it is.
 */
export function printError(line: string): void {
  if (shown !== undefined && process.stderr.isTTY === true) shown.insert(line);
  else process.stderr.write(`${line}\n`);
}

export class LiveArea {
  readonly #terminal: PictureTerminal;
  readonly #silence: () => () => void;
  #restore: (() => void) | undefined;
  #picture: LivePicture = { rows: [] };
  /** Widths of the rows on the screen, the one with the cursor left out. */
  #painted: number[] = [];
  /** Width of the row that has the cursor behind it. */
  #typed: number | undefined;

  constructor(terminal: PictureTerminal, { silence = silenceEcho }: LiveAreaOptions = {}) {
    this.#terminal = terminal;
    this.#silence = silence;
  }

  /** A terminal without a size says 0. */
  get columns(): number {
    return this.#terminal.columns || USUAL_COLUMNS;
  }

  /** The picture stays as it is. */
  insert(line: string): void {
    this.paint([line], this.#picture);
  }

  /** `lines` take the place of the picture and stay; `picture` comes below them. */
  paint(lines: readonly string[], picture: LivePicture): void {
    const { rows, typed } = picture;
    this.#picture = picture;
    const erase = this.#erase();
    // A row that reaches the last column would wrap, and could not be taken back.
    const room = this.columns - 1;
    const cut = rows.map((row) => cutText(row, room));
    const last = typed === undefined ? undefined : tail(typed, room);
    const isEmpty = cut.length === 0 && last === undefined;
    if (!isEmpty) this.#restore ??= this.#silence();
    this.#painted = cut.map(textWidth);
    this.#typed = last === undefined ? undefined : textWidth(last);
    const text = `${erase}${[...lines, ...cut].map((row) => `${row}\n`).join('')}${last ?? ''}`;
    if (text !== '') this.#terminal.write(text);
    if (!isEmpty) {
      shown = this;
      return;
    }
    if (shown === this) shown = undefined;
    this.#restore?.();
    this.#restore = undefined;
  }

  /** The cursor goes up over what was painted; a window that became narrower has wrapped its rows. */
  #erase(): string {
    if (this.#painted.length === 0 && this.#typed === undefined) return '';
    const { columns } = this;
    const heightOf = (width: number): number => Math.max(1, Math.ceil(width / columns));
    const above = this.#painted.reduce((sum, width) => sum + heightOf(width), 0);
    const up = above + (this.#typed === undefined ? 0 : heightOf(this.#typed) - 1);
    return `${up > 0 ? `\x1b[${up}A` : ''}\r\x1b[J`;
  }
}

/** The end of a text that is too long: the cursor stands there. */
function tail(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let characters = [...text];
  while (characters.length > 0 && textWidth(characters.join('')) > columns - 1) {
    characters = characters.slice(1);
  }
  return `…${characters.join('')}`;
}

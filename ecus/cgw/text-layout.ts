// Text on a terminal: how wide it is, how it wraps. Enough for what a release note contains.

/** East Asian wide characters and emoji take two columns (Unicode UAX 11, the common blocks). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
const ZERO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** Columns that a text without control sequences takes. */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

function characterWidth(character: string): number {
  if (character < '\u0300') return 1;
  if (ZERO_WIDTH.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** At most `columns` wide; what is cut off is replaced by an ellipsis. */
export function cutText(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  return columns < 1 ? '' : `${takeColumns(text, columns - 1)}…`;
}

/** Filled up with blanks to `columns`, or cut. */
export function padText(text: string, columns: number): string {
  const cut = cutText(text, columns);
  return cut + ' '.repeat(Math.max(0, columns - textWidth(cut)));
}

/** Lines of at most `columns`, broken at blanks; a longer word is broken where it must be. */
export function wrapText(text: string, columns: number): string[] {
  if (textWidth(text) <= columns) return [text]; // as it is, with its columns of blanks
  const lines: string[] = [];
  let line = '';
  for (let word of text.split(/\s+/).filter((part) => part !== '')) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (textWidth(joined) <= columns) {
      line = joined;
      continue;
    }
    if (line !== '') lines.push(line);
    while (textWidth(word) > columns) {
      const head = takeColumns(word, Math.max(1, columns));
      // A wide character in a single column: it cannot be shown, and taking none would never end.
      if (head === '') return [...lines, cutText('…', columns)];
      lines.push(head);
      word = word.slice(head.length);
    }
    line = word;
  }
  if (line !== '' || lines.length === 0) lines.push(line);
  return lines;
}

function takeColumns(text: string, columns: number): string {
  let width = 0;
  let taken = '';
  for (const character of text) {
    width += characterWidth(character);
    if (width > columns) break;
    taken += character;
  }
  return taken;
}

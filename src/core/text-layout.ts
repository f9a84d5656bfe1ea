// Width and wrapping of text on a terminal, sufficient for release notes.

/** East Asian wide characters and emoji take two columns (Unicode UAX 11, the common blocks). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
const ZERO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** Number of columns of a text without control sequences. */
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

/** Cuts a text to `columns`; an ellipsis replaces the rest. */
export function cutText(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  return columns < 1 ? '' : `${takeColumns(text, columns - 1)}…`;
}

/** Pads a text with blanks to `columns`, or cuts it. */
export function padText(text: string, columns: number): string {
  const cut = cutText(text, columns);
  return cut + ' '.repeat(Math.max(0, columns - textWidth(cut)));
}

/** Wraps a text into lines of at most `columns` at blanks; a longer word is split. */
export function wrapText(text: string, columns: number): string[] {
  if (textWidth(text) <= columns) return [text]; // unchanged, with its blanks
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
      // A wide character does not fit into a single column; without this the loop would never end.
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

// For messages about unknown names: the known name that was probably meant.

import { itemAt } from '../core/present.ts';

/** `; did you mean "speed"?` or `, expected one of speed, gear`: the end of a message about an unknown name. */
export function closestName(word: string, known: readonly string[]): string {
  const list = known.length === 0 ? '' : `, expected one of ${known.join(', ')}`;
  return closestHint(word, known) || list;
}

/** The hint alone, for a message that lists the names already; empty where no name is close. */
export function closestHint(word: string, known: readonly string[]): string {
  const near = known
    .map((name) => ({ name, edits: distance(word.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits)[0];
  // A name in which more than a third of the letters differ was not meant.
  return near !== undefined && near.edits <= Math.max(1, Math.floor(word.length / 3))
    ? `; did you mean "${near.name}"?`
    : '';
}

/** Damerau-Levenshtein distance: two letters in the wrong order count as one edit. */
function distance(a: string, b: string): number {
  let above: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = itemAt(row, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? itemAt(above, j - 2) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(replace, itemAt(row, j) + 1, itemAt(next, j - 1) + 1, swap));
    }
    above = row;
    row = next;
  }
  return itemAt(row, b.length);
}

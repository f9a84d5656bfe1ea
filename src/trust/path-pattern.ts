// Patterns of delegations (TUF 4.5, PATHPATTERN): the wildcards of a Unix shell, one path segment at a time.

import { itemAt } from '../core/present.ts';

/** Case matters, and neither `*` nor `?` matches a slash. Takes linear time in both lengths for any pattern. */
export function matchesPattern(path: string, pattern: string): boolean {
  const segments = path.split('/');
  const patterns = pattern.split('/');
  return (
    segments.length === patterns.length &&
    segments.every((segment, index) =>
      matchesSegment([...segment], tokens(itemAt(patterns, index))),
    )
  );
}

type Token = 'any' | ((character: string) => boolean);

function tokens(pattern: string): Token[] {
  const characters = [...pattern];
  const list: Token[] = [];
  for (let at = 0; at < characters.length; at++) {
    const character = itemAt(characters, at);
    if (character === '*') list.push('any');
    else if (character === '?') list.push(() => true);
    else {
      const end = character === '[' ? setEnd(characters, at) : -1;
      if (end < 0) list.push((other) => other === character);
      else {
        list.push(characterSet(characters.slice(at + 1, end)));
        at = end;
      }
    }
  }
  return list;
}

/** End of `[...]`; a bracket directly at its beginning belongs to it. -1 without an end: the bracket is a character. */
function setEnd(characters: readonly string[], start: number): number {
  const first = start + (characters[start + 1] === '!' ? 2 : 1);
  return characters.indexOf(']', first + 1);
}

function characterSet(inside: readonly string[]): (character: string) => boolean {
  const negated = inside[0] === '!';
  const members = negated ? inside.slice(1) : inside;
  return (character) => {
    let found = false;
    for (let at = 0; at < members.length; at++) {
      const from = itemAt(members, at);
      const isRange = members[at + 1] === '-' && at + 2 < members.length;
      const to = isRange ? itemAt(members, at + 2) : from;
      if (character >= from && character <= to) found = true;
      if (isRange) at += 2;
    }
    return found !== negated;
  };
}

/** After a mismatch the match continues at the last `*`: an earlier one could not match more. */
function matchesSegment(text: readonly string[], pattern: readonly Token[]): boolean {
  let at = 0;
  let token = 0;
  let star = -1;
  let resume = 0;
  while (at < text.length) {
    const now = pattern[token];
    if (now === 'any') {
      star = token++;
      resume = at;
    } else if (now?.(itemAt(text, at)) === true) {
      at++;
      token++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  return pattern.slice(token).every((rest) => rest === 'any');
}

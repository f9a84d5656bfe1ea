// Which characters are allowed in text of people and machines that logs, pages and terminals show.

import { z } from 'zod';

/**
 * Control characters (C0, DEL, C1), what changes the direction of text (Unicode Bidi_Control), line and paragraph
 * separators, the byte order mark, and half surrogate pairs.
 */
const UNSAFE = String.raw`\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff\p{Cs}`;
const unsafe = new RegExp(`[${UNSAFE}]+`, 'gu');
const safeLine = new RegExp(`^[^${UNSAFE}]*$`, 'u');
/** Line breaks and tabs are fine in text of several lines. */
const safeText = new RegExp(`^(?:[^${UNSAFE}]|[\\t\\n\\r])*$`, 'u');

/** One line: unsafe characters become a space, and the ends are trimmed. */
export function cleanLine(text: string): string {
  return text.replace(unsafe, ' ').trim();
}

export function isSafeLine(text: string): boolean {
  return safeLine.test(text);
}

/** As `isSafeLine`, with line breaks and tabs. */
export function isSafeText(text: string): boolean {
  return safeText.test(text);
}

/** One line from a machine: it is cleaned, not refused, so that no report is lost for a character. */
export const lineText = (most: number) => z.string().max(most).overwrite(cleanLine);

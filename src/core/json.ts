// JSON from outside with a limited depth, so that code may walk through the value by recursion.

import { CanOtaError } from './errors.ts';

/** How deep arrays and objects may be nested. The deepest message of can-ota has nine levels. */
export const MAX_JSON_DEPTH = 32;

export class JsonDepthError extends CanOtaError {
  readonly code = 'JSON_DEPTH';

  constructor() {
    super(`it is nested deeper than ${MAX_JSON_DEPTH} levels`);
  }
}

/** Throws JsonDepthError, and SyntaxError for text that is not JSON. */
export function parseJsonText(text: string): unknown {
  if (depthExceeds(text, MAX_JSON_DEPTH)) throw new JsonDepthError();
  return JSON.parse(text);
}

/** Throws like `parseJsonText`, and TypeError for bytes that are not UTF-8. */
export function parseJsonBytes(bytes: Uint8Array): unknown {
  return parseJsonText(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
}

const STRUCTURE = /["[\]{}]/g;
const STRING = /"(?:[^"\\]|\\.)*"/gsy;

function depthExceeds(text: string, limit: number): boolean {
  let depth = 0;
  STRUCTURE.lastIndex = 0;
  for (let found = STRUCTURE.exec(text); found !== null; found = STRUCTURE.exec(text)) {
    const [mark] = found;
    if (mark === '"') {
      STRING.lastIndex = found.index;
      // A string without an end is not JSON; the parser reports it.
      if (!STRING.test(text)) return false;
      STRUCTURE.lastIndex = STRING.lastIndex;
    } else if (mark === '[' || mark === '{') {
      depth += 1;
      if (depth > limit) return true;
    } else depth -= 1;
  }
  return false;
}

// JSON from outside, with one limit of depth: code that walks through the value may do it by recursion.

import { CanOtaError } from './errors.ts';

/** Arrays and objects inside each other. The deepest message of ours has nine. */
export const MAX_JSON_DEPTH = 32;

export class JsonDepthError extends CanOtaError {
  readonly code = 'JSON_DEPTH';

  constructor() {
    super(`it is nested deeper than ${MAX_JSON_DEPTH} levels`);
  }
}

/** Throws JsonDepthError, and SyntaxError for what is no JSON. */
export function parseJsonText(text: string): unknown {
  if (depthExceeds(text, MAX_JSON_DEPTH)) throw new JsonDepthError();
  return JSON.parse(text);
}

/** Throws SyntaxError as `parseJsonText`, and TypeError for bytes that are no UTF-8. */
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
      // A string without an end is no JSON, and its parser says so.
      if (!STRING.test(text)) return false;
      STRUCTURE.lastIndex = STRING.lastIndex;
    } else if (mark === '[' || mark === '{') {
      depth += 1;
      if (depth > limit) return true;
    } else depth -= 1;
  }
  return false;
}

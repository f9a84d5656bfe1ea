// The result of an episode that threw: an unexpected error is a violation, too.

import { describeError } from '../core/errors.ts';
import type { EpisodeResult } from './episode.ts';

export function crashed(error: unknown): EpisodeResult {
  const where = error instanceof Error ? (error.stack?.split('\n')[1]?.trim() ?? '') : '';
  const text = `${describeError(error)} ${where}`.trim();
  return {
    endings: [],
    proofs: 0,
    violations: [{ invariant: 'crash', campaign: 0, atMs: 0, text }],
    virtualMs: 0,
    frames: 0,
    digest: '',
    faults: {},
  };
}

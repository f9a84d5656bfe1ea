// The kinds of faults that a simulation draws: the profile of the command line.

import { CHUNK_FAULT_NAMES } from '../contract/chunked/faults.ts';
import { InputError } from '../core/errors.ts';
import { FAULT_CATEGORIES, type ProfileEntry } from './faults/catalogue.ts';

const KNOWN: readonly ProfileEntry[] = [...FAULT_CATEGORIES, ...CHUNK_FAULT_NAMES];

/**
 * `none`, `all`, or categories and names of `can-ota server --fault`, separated by commas, in any order. `driver`
 * includes the conditions of the vehicle unless the list names them, because people cause both. Throws InputError that
 * names the invalid word.
 */
export function parseProfile(text: string): readonly ProfileEntry[] {
  if (text === 'none') return [];
  if (text === 'all') return FAULT_CATEGORIES;
  const words = new Set(text.split(',').map((word) => word.trim()));
  for (const word of words) {
    if (!KNOWN.some((known) => known === word)) {
      const known = ['none', 'all', ...KNOWN].join(', ');
      throw new InputError('--faults', `${JSON.stringify(word)} is none of ${known}`);
    }
  }
  if (words.has('driver')) words.add('vehicle');
  // In the order of the table, so that the same set of words always draws the same faults.
  return KNOWN.filter((entry) => words.has(entry));
}

/** The profile as it is written in a replay command. */
export function profileText(categories: readonly ProfileEntry[]): string {
  if (categories.length === 0) return 'none';
  return categories.length === FAULT_CATEGORIES.length ? 'all' : categories.join(',');
}

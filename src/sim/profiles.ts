// Which kinds of faults a simulation draws: the profile of the command line.

import { InputError } from '../core/errors.ts';

export const FAULT_CATEGORIES = [
  'power',
  'bus',
  'network',
  'disk',
  'ecu',
  'driver',
  'vehicle',
] as const;
export type FaultCategory = (typeof FAULT_CATEGORIES)[number];

/**
 * `none`, `all`, or categories with commas between them, in any order. `driver` brings the conditions of the vehicle
 * with it, unless the list names them: both are what people do. Throws InputError that names the bad word.
 */
export function parseProfile(text: string): readonly FaultCategory[] {
  if (text === 'none') return [];
  if (text === 'all') return FAULT_CATEGORIES;
  const words = new Set(text.split(',').map((word) => word.trim()));
  for (const word of words) {
    if (!isCategory(word)) {
      const known = ['none', 'all', ...FAULT_CATEGORIES].join(', ');
      throw new InputError('--faults', `${JSON.stringify(word)} is none of ${known}`);
    }
  }
  if (words.has('driver')) words.add('vehicle');
  // In the order of the table: the same set of words always draws the same faults.
  return FAULT_CATEGORIES.filter((category) => words.has(category));
}

/** How a profile is written in a replay command. */
export function profileText(categories: readonly FaultCategory[]): string {
  if (categories.length === 0) return 'none';
  return categories.length === FAULT_CATEGORIES.length ? 'all' : categories.join(',');
}

function isCategory(word: string): word is FaultCategory {
  return (FAULT_CATEGORIES as readonly string[]).includes(word);
}

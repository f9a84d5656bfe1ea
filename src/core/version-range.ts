// Which version of another ECU a release requires: `>=1.0.0`, `>=1.0.0 <2`, `1.4.2`.

import { compareVersions, UNKNOWN_VERSION } from './version-order.ts';

const COMPARATOR = /^(>=|<=|>|<|=)?\s*([0-9A-Za-z][0-9A-Za-z.+_-]{0,31})$/;

/** True when every part of `range` holds; `*` always holds. False for a range that cannot be read. */
export function inRange(version: string | undefined, range: string): boolean {
  if (version === undefined) return false;
  const parts = range
    .trim()
    .replaceAll(/([<>=])\s+/g, '$1')
    .split(/[\s,]+/);
  return parts.every((part) => {
    if (part === '*') return true;
    const match = COMPARATOR.exec(part);
    if (match === null || version === UNKNOWN_VERSION) return false;
    const [, comparator, bound = ''] = match;
    const order = compareVersions(version, bound);
    switch (comparator) {
      case '>=':
        return order >= 0;
      case '>':
        return order > 0;
      case '<=':
        return order <= 0;
      case '<':
        return order < 0;
      default:
        return order === 0;
    }
  });
}

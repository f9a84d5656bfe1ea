// Which of two versions is newer. One total order over everything that an upload or an ECU may call a version.

/** The version that an ECU reports when it does not know its own. It is older than every other version. */
export const UNKNOWN_VERSION = 'unknown';

/** `1.2`, `v1.2.3`, `1.2.3.4-rc.1+build`: numbers with dots, then what Semantic Versioning 2.0.0 allows. */
const NUMBERED = /^[vV]?(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(?:\+(.*))?$/;

interface Numbered {
  readonly numbers: readonly string[];
  readonly preRelease: readonly string[];
  readonly build: string;
}

function parse(version: string): Numbered | undefined {
  const match = NUMBERED.exec(version);
  if (match === null) return undefined;
  const [, digits = '', preRelease, build = ''] = match;
  const numbers = digits.split('.');
  // `2026-09-01` is a date, not version 2026 with a pre-release.
  if (preRelease !== undefined && numbers.length === 1) return undefined;
  while (numbers.length > 1 && /^0+$/.test(numbers.at(-1) ?? '')) numbers.pop();
  return { numbers, preRelease: preRelease?.split('.') ?? [], build };
}

/**
 * Below zero when `a` is older than `b`. Numbered versions follow Semantic Versioning 11 (with any count of
 * numbers, a missing one is 0); others compare naturally (`r9` before `r10`) and are older than any numbered one.
 * Zero only for versions that are the same in every respect but spelling (`1.0` and `v1.0.0`).
 */
export function compareVersions(a: string, b: string): number {
  const unknown = Number(isUnknown(b)) - Number(isUnknown(a));
  if (unknown !== 0 || isUnknown(a)) return unknown;
  const left = parse(a);
  const right = parse(b);
  if (left === undefined || right === undefined) {
    if (left !== undefined) return 1;
    if (right !== undefined) return -1;
    return compareNaturally(a, b);
  }
  return (
    compareLists(left.numbers, right.numbers, compareDigits) ||
    comparePreRelease(left.preRelease, right.preRelease) ||
    // The standard gives builds no precedence, but this order has to be total.
    compareNaturally(left.build, right.build)
  );
}

/** One version in two spellings: `1.0`, `v1.0.0` and `01.0`. */
export function sameVersion(a: string, b: string): boolean {
  return compareVersions(a, b) === 0;
}

function isUnknown(version: string): boolean {
  return version === '' || version === UNKNOWN_VERSION;
}

/** Semantic Versioning 11.3 and 11.4: no pre-release is newest; numbers are older than words; words by code point. */
function comparePreRelease(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  return compareLists(a, b, (left, right) => {
    const leftNumber = /^\d+$/.test(left);
    if (leftNumber !== /^\d+$/.test(right)) return leftNumber ? -1 : 1;
    return leftNumber ? compareDigits(left, right) : compareText(left, right);
  });
}

function compareLists(
  a: readonly string[],
  b: readonly string[],
  compare: (left: string, right: string) => number,
): number {
  for (const [index, left] of a.entries()) {
    const right = b[index];
    if (right === undefined) break;
    const order = compare(left, right);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareNaturally(a: string, b: string): number {
  const chunks = (text: string): string[] => text.match(/\d+|\D+/g) ?? [];
  return compareLists(chunks(a), chunks(b), (left, right) => {
    const bothDigits = /^\d/.test(left) && /^\d/.test(right);
    return (bothDigits && compareDigits(left, right)) || compareText(left, right);
  });
}

/** Digits of any length, without the limits of a number. */
function compareDigits(a: string, b: string): number {
  const left = a.replace(/^0+(?=\d)/, '');
  const right = b.replace(/^0+(?=\d)/, '');
  return left.length - right.length || compareText(left, right);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

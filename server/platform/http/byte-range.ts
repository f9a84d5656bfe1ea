// Which bytes of an image a request asks for (RFC 9110 14.2, single ranges; several are answered as a whole).

export type RangePlan =
  /** The whole image with status 200. */
  | { readonly kind: 'whole' }
  /** Bytes `start` to `end`, both included, with status 206. */
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  /** Nothing of what was asked for exists: 416. */
  | { readonly kind: 'unsatisfiable' };

const WHOLE: RangePlan = { kind: 'whole' };

/** `range` and `ifRange` are the header fields, `etag` the strong one of the image, `size` its bytes. */
export function planRange(
  range: string | undefined,
  ifRange: string | undefined,
  etag: string,
  size: number,
): RangePlan {
  // RFC 9110 13.1.5: strong comparison; a date is never an exact match of ours.
  if (range === undefined || (ifRange !== undefined && ifRange !== etag)) return WHOLE;
  const match = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(range);
  if (match === null || (match[1] === '' && match[2] === '')) return WHOLE;
  if (match[1] === '') {
    const suffix = Number(match[2]);
    if (suffix === 0) return { kind: 'unsatisfiable' };
    return { kind: 'part', start: Math.max(0, size - suffix), end: size - 1 };
  }
  const start = Number(match[1]);
  const last = match[2] === '' ? size - 1 : Number(match[2]);
  if (match[2] !== '' && last < start) return WHOLE;
  if (start >= size) return { kind: 'unsatisfiable' };
  return { kind: 'part', start, end: Math.min(last, size - 1) };
}

/** True when the plan sends every byte, whatever it is called. */
export function sendsEverything(plan: RangePlan, size: number): boolean {
  return (
    plan.kind === 'whole' || (plan.kind === 'part' && plan.start === 0 && plan.end === size - 1)
  );
}

/** RFC 9110 13.1.2: If-None-Match compares weakly, against a list or `*`. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((item) => {
    const candidate = item.trim();
    return candidate === '*' || candidate === etag || candidate === `W/${etag}`;
  });
}

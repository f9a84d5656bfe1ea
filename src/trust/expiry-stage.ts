// How close signed metadata or a token is to its expiry, in steps for messages to people: 30, 7 and 1 days before, and after.

export type ExpiryStage = 'valid' | 'month' | 'week' | 'day' | 'expired';

const DAY_MS = 86_400_000;

/** A file with exactly 30 days left is in the stage `month`; one that expires now has expired (TUF 5.3.10). */
export function expiryStage(expiresMs: number, nowMs: number): ExpiryStage {
  const leftMs = expiresMs - nowMs;
  if (leftMs <= 0) return 'expired';
  if (leftMs <= DAY_MS) return 'day';
  if (leftMs <= 7 * DAY_MS) return 'week';
  return leftMs <= 30 * DAY_MS ? 'month' : 'valid';
}

/** Part of a sentence about the file: `expires in 5 days`, `expires within a day`, `expired 2 days ago`. */
export function expiryWords(expiresMs: number, nowMs: number): string {
  const leftMs = expiresMs - nowMs;
  const days = Math.floor(Math.abs(leftMs) / DAY_MS);
  const count = `${days} ${days === 1 ? 'day' : 'days'}`;
  if (leftMs <= 0) return days === 0 ? 'expired today' : `expired ${count} ago`;
  return leftMs <= DAY_MS ? 'expires within a day' : `expires in ${count}`;
}

/** Text for a list: `20 days left`, `EXPIRES SOON, 5 days left`, `EXPIRED 2 days ago`; days as in `expiryWords`. */
export function stageText(expiresMs: number, nowMs: number): string {
  const days = Math.floor(Math.abs(expiresMs - nowMs) / DAY_MS);
  const count = `${days} ${days === 1 ? 'day' : 'days'}`;
  const stage = expiryStage(expiresMs, nowMs);
  switch (stage) {
    case 'valid':
    case 'month':
      return `${count} left`;
    case 'week':
      return `EXPIRES SOON, ${count} left`;
    case 'day':
      return 'EXPIRES WITHIN A DAY';
    case 'expired':
      return days === 0 ? 'EXPIRED today' : `EXPIRED ${count} ago`;
    default:
      return stage satisfies never;
  }
}

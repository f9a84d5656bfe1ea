// One check of the backend: whether anything is new, what both repositories say, and whether a campaign begins.

import type { Offer } from '../campaign/ports.ts';
import { defined } from '../core/optional.ts';
import { jitter } from '../core/random.ts';
import { retrying } from '../link/retry.ts';
import { assess, makePlan } from './assess-offers.ts';
import { type Checked, type CheckOptions, type Look, nothing } from './check-options.ts';

const CHECKIN_INTERVAL_MS = 60 * 60_000;
const CHECKIN_JITTER = 0.2;
/** After this long without a passed check, the reason says since when checks have failed. */
export const STALENESS_MS = 24 * 60 * 60_000;

type Fault = { readonly fault: Checked | undefined };
type Hint = { readonly unchanged: boolean; readonly etag: string | undefined };

/** Undefined: interrupted. Throws StorageError. */
export async function check(
  given: CheckOptions,
  signal: AbortSignal,
): Promise<Checked | undefined> {
  const options: Look = { ...given, asked: new Set() };
  const hint = await askForNews(options, signal);
  if ('fault' in hint) return hint.fault;
  const known = options.memory.content.verified;
  if (known !== null && hint.unchanged && !isDue(options)) {
    const quiet = await assess(options, known.offers, signal);
    if (quiet !== 'news') return quiet;
  }
  // A campaign does not begin on an unsigned hint or on old signatures.
  const verified = await verify(options, hint.etag, signal);
  if ('fault' in verified) return verified.fault;
  const assessed = await assess(options, verified.offers, signal);
  const end = assessed === 'news' ? await makePlan(options, verified.offers, signal) : assessed;
  // Nothing from earlier decisions is left to do and nothing new was decided; that is not "up to date".
  if (verified.incomplete === undefined || end?.event.kind !== 'nothing') return end;
  return end.event.outcome === 'UP_TO_DATE' ? incomplete(verified.incomplete) : end;
}

/** The Director decides nothing for this vehicle while an ECU is silent. */
function incomplete(reason: string): Checked {
  return { event: nothing('PRECONDITION_FAILED', 'MANIFEST_INCOMPLETE', reason) };
}

function isDue({ memory, clock }: CheckOptions): boolean {
  const { verified } = memory.content;
  const nowMs = clock.wallMs();
  // A clock that was set back must not make the last check younger.
  return verified === null || nowMs >= verified.dueWallMs || nowMs < verified.atWallMs;
}

/** `/latest_version` is only a hint whether the signed metadata should be checked. */
async function askForNews(options: CheckOptions, signal: AbortSignal): Promise<Hint | Fault> {
  const { backend, vehicle, memory, clock, random, emit } = options;
  const names = vehicle.ecus.map(({ name }) => name);
  const etag = memory.content.verified?.etag ?? undefined;
  const doing = 'asking for the latest version';
  const answer = await retrying((inner) => backend.latest(names, etag, inner), {
    clock,
    random,
    signal,
    onRetry: (retry) => emit({ kind: 'retry', doing, ...retry }),
  });
  switch (answer.kind) {
    case 'interrupted':
      return { fault: undefined };
    case 'failed':
      return { fault: await failed(options, answer) };
    case 'not-modified':
      if (etag !== undefined) return { unchanged: true, etag };
      return {
        fault: await failed(options, {
          code: 'FOREIGN_ANSWER',
          reason: 'the server answered 304 to a request without an ETag',
        }),
      };
    case 'releases':
      return { unchanged: false, etag: answer.etag };
  }
}

/** Check-in and both repositories, with the meaning of each result. */
async function verify(
  options: CheckOptions,
  etag: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly offers: readonly Offer[]; readonly incomplete: string | undefined } | Fault> {
  const { trusted, memory, clock, random } = options;
  const result = await trusted.check(signal);
  switch (result.kind) {
    case 'interrupted':
      return { fault: undefined };
    case 'failed':
      return { fault: await failed(options, result) };
    case 'untrusted':
      return { fault: await insecure(options, result.code, result.reason) };
    case 'incomplete':
      return { fault: incomplete(result.reason) };
    case 'offers': {
      const interval = options.checkinIntervalMs ?? CHECKIN_INTERVAL_MS;
      const atWallMs = clock.wallMs();
      const isComplete = result.incomplete === undefined;
      const dueWallMs = isComplete
        ? Math.round(atWallMs + jitter(random, interval, CHECKIN_JITTER))
        : atWallMs;
      await memory.update({
        verified: { etag: etag ?? null, atWallMs, dueWallMs, offers: [...result.offers] },
        failingSinceWallMs: null,
        reportedAttack: null,
      });
      if (result.checkedIn) await options.outbox.checkedIn();
      return { offers: result.offers, incomplete: result.incomplete };
    }
  }
}

/**
 * The check did not take place: the backend cannot be reached, or something on the way answers in its place. This proves
 * no attack however long it lasts (Uptane 5.4.4: a freeze is metadata that has expired by a signed time), and nothing is
 * reported: a vehicle may stand in a garage for weeks. The reason says since when checks have failed.
 */
async function failed(
  options: CheckOptions,
  failure: { readonly code: string; readonly reason: string; readonly retryAfterMs?: number },
): Promise<Checked> {
  const { memory, clock } = options;
  const { code, reason, retryAfterMs } = failure;
  const again = defined({ retryAfterMs });
  if (isDue(options)) {
    const sinceMs = await failingSince(options);
    if (clock.wallMs() - sinceMs >= STALENESS_MS) {
      const last = memory.content.verified;
      const when = last === null ? 'never' : `last on ${new Date(last.atWallMs).toISOString()}`;
      const text =
        `${reason}; no check has passed since ${new Date(sinceMs).toISOString()} (${when} before): until the backend can be ` +
        'reached, this vehicle gets no updates';
      return { event: nothing('BACKEND_UNAVAILABLE', code, text), ...again };
    }
  }
  return { event: nothing('BACKEND_UNAVAILABLE', code, reason), ...again };
}

async function failingSince({ memory, clock }: CheckOptions): Promise<number> {
  const nowMs = clock.wallMs();
  const sinceMs = Math.min(memory.content.failingSinceWallMs ?? nowMs, nowMs);
  await memory.update({ failingSinceWallMs: sinceMs });
  return sinceMs;
}

/** The backend is told once for each code; the next manifest tells the Director, too. */
async function insecure(options: CheckOptions, code: string, reason: string): Promise<Checked> {
  const { memory, outbox, vehicle } = options;
  const outcome = 'SECURITY_VALIDATION_FAILED';
  if (memory.content.reportedAttack !== code) {
    const report = { vin: vehicle.vin, outcome, code, reason: reason.slice(0, 2000), ecus: [] };
    await outbox.put('attack', report);
    await memory.update({ reportedAttack: code });
  }
  await failingSince(options);
  return { event: nothing(outcome, code, reason) };
}

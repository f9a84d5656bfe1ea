// One look at the backend: is anything new, what do both repositories say, and does a campaign begin.

import { candidates, decide } from '../campaign/decide.ts';
import type { CampaignEvent, EventOf } from '../campaign/event.ts';
import { type Plan, planDigest, planTargetsKey, targetsKey } from '../campaign/plan.ts';
import type { ApprovalPhase, Approver, Backend, Offer, VehicleState } from '../campaign/ports.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import { present } from '../core/present.ts';
import { jitter, type Random } from '../core/random.ts';
import { retrying } from '../link/retry.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import { isAskedAgain } from './asked-again.ts';
import type { Inventory } from './inventory.ts';
import type { Remembered, TmuMemory } from './memory.ts';
import type { Outbox } from './outbox.ts';
import { plannedEcus } from './ranks.ts';
import { stands } from './retention.ts';
import type { TmuListener } from './tmu-event.ts';
import type { TrustedSource } from './trusted-source.ts';

export interface CheckOptions {
  readonly backend: Backend;
  readonly trusted: TrustedSource;
  readonly vehicle: Vehicle;
  readonly inventory: Inventory;
  readonly memory: TmuMemory;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly emit: TmuListener;
  readonly vehicleState: VehicleState;
  readonly approver?: Approver;
  /** Phases of this plan in which the driver is asked, besides the installation. */
  readonly asks: (plan: Plan) => ApprovalPhase[];
  /** ECUs that could not be taken back: only a plan that writes all of them leads out of the safe state. */
  readonly lost: readonly string[];
  /** Signatures are checked this often even when the backend says that nothing is new. */
  readonly checkinIntervalMs?: number;
}

export interface Checked {
  readonly event: EventOf<'nothing'> | EventOf<'offered'>;
  /** The server asked not to be asked again before this long. */
  readonly retryAfterMs?: number;
  /** The outcome is the one of an earlier cycle. */
  readonly remembered?: Remembered;
}

const CHECKIN_INTERVAL_MS = 60 * 60_000;
const CHECKIN_JITTER = 0.2;
/** Without a check that passed for this long people are told since when. */
export const STALENESS_MS = 24 * 60 * 60_000;

/** Through one check. */
interface Look extends CheckOptions {
  /** ECUs that have said in this check what they are. */
  readonly asked: Set<string>;
}
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
  // Nothing is begun on the word of an unsigned hint, or on signatures of yesterday.
  const verified = await verify(options, hint.etag, signal);
  if ('fault' in verified) return verified.fault;
  const assessed = await assess(options, verified.offers, signal);
  const end = assessed === 'news' ? await makePlan(options, verified.offers, signal) : assessed;
  // Nothing of what was decided earlier is left to do, and nothing new is decided: that is not "up to date".
  if (verified.incomplete === undefined || end?.event.kind !== 'nothing') return end;
  return end.event.outcome === 'UP_TO_DATE' ? incomplete(verified.incomplete) : end;
}

/** As long as an ECU is silent, nobody decides anything for this vehicle. */
function incomplete(reason: string): Checked {
  return { event: nothing('PRECONDITION_FAILED', 'MANIFEST_INCOMPLETE', reason) };
}

function isDue({ memory, clock }: CheckOptions): boolean {
  const { verified } = memory.content;
  const nowMs = clock.wallMs();
  // A clock that was put back must not make the last check younger.
  return verified === null || nowMs >= verified.dueWallMs || nowMs < verified.atWallMs;
}

/** `/latest_version` says whether a look at the signed metadata is worth it, nothing more. */
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
          reason: 'the server answered 304 unasked',
        }),
      };
    case 'releases':
      return { unchanged: false, etag: answer.etag };
  }
}

/** Check-in and both repositories, with what each end of it means. */
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
 * No check: the backend cannot be reached, or something on the way answers in its place. However long that lasts, it proves no attack
 * (Uptane 5.4.4: a freeze is metadata that has expired by a signed time), and there is nothing to report: a vehicle may stand in a
 * garage for weeks. People are told since when.
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
        'reached this vehicle hears of no update';
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

/** The backend is told once for each kind; the next manifest says it too. */
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

/** What the offers mean for the ECUs as they are; `news` when one of them should be installed. */
async function assess(
  options: Look,
  offers: readonly Offer[],
  signal: AbortSignal,
): Promise<Checked | undefined | 'news'> {
  const { inventory, vehicle } = options;
  const ecus = plannedEcus(vehicle);
  // Once in the life of a process every ECU with a release is asked, then only those with news.
  const offered = ecus.filter(({ name }) => offers.some(({ ecu }) => ecu === name));
  const wantedBefore = candidates(offers, ecus, inventory.installed);
  for (const { name } of offered) {
    if (inventory.knows(name)) continue;
    const needed = wantedBefore.some(({ ecu }) => ecu === name);
    const fault = await identify(options, name, needed, signal);
    if (fault !== 'fine') return fault;
  }
  const sets = choices(candidates(offers, ecus, inventory.installed), options.lost);
  if ('event' in sets) return sets;
  if (sets.length === 0) return upToDate(options);
  const chosen = await choose(sets, options, signal);
  if (signal.aborted) return undefined;
  return 'remembered' in chosen ? asRemembered(chosen.remembered) : 'news';
}

function asRemembered(remembered: Remembered): Checked {
  const { outcome, code, reason } = remembered;
  return { event: nothing(outcome, code, reason), remembered };
}

type OfferSet = readonly Offer[];

/**
 * What can be made a campaign of, the most urgent first: safety releases go alone, because whoever may refuse the
 * others must not be able to refuse those with them. Out of a mixed state only leads what writes every lost ECU.
 */
function choices(wanted: OfferSet, lost: readonly string[]): OfferSet[] | Checked {
  const forced = wanted.filter((offer) => offer.forced);
  const sets = [...(forced.length < wanted.length ? [forced] : []), wanted];
  const leadsOut = (set: OfferSet): boolean =>
    set.length > 0 && lost.every((name) => set.some(({ ecu }) => ecu === name));
  const possible = sets.filter(leadsOut);
  if (lost.length === 0 || possible.length > 0) return possible;
  const reason = `no release leads out of the mixed state: it takes one for ${lost.join(' and ')}`;
  return { event: nothing('ROLLBACK_FAILED', 'SAFE_STATE', reason) };
}

/** The first set about which nothing is remembered that still stands. */
async function choose(
  sets: readonly OfferSet[],
  options: CheckOptions,
  signal: AbortSignal,
): Promise<{ readonly offers: OfferSet } | { readonly remembered: Remembered }> {
  const { memory, clock, vehicleState } = options;
  let remembered: Remembered | undefined;
  for (const offers of sets) {
    const known = memory.recall(targetsKey(offers));
    if (known === undefined) return { offers };
    const ignition = known.until === undefined ? 'unknown' : await vehicleState.ignition(signal);
    const etag = memory.content.verified?.etag ?? null;
    if (!stands(known, { wallMs: clock.wallMs(), etag, ignition })) {
      // It was off: that it is on again by the time of the next look does not matter.
      if (ignition === 'off' && known.until !== undefined) await memory.forget(known.key);
      return { offers };
    }
    if (await isAskedAgain(known, options, signal)) {
      await memory.forget(known.key);
      return { offers };
    }
    remembered ??= known;
  }
  return { remembered: present(remembered, 'what is remembered of the sets') };
}

/** `fine`, or how the check ends. An ECU without news that is silent is only a warning. */
async function identify(
  { inventory, emit, logger, asked }: Look,
  ecu: string,
  needed: boolean,
  signal: AbortSignal,
): Promise<'fine' | Checked | undefined> {
  asked.add(ecu);
  emit({ kind: 'ecu-step', ecu, step: 'identify', status: 'begun' });
  const answer = await inventory.ask(ecu, signal);
  if (answer.ok) {
    emit({ kind: 'ecu-step', ecu, step: 'identify', status: 'done' });
    return 'fine';
  }
  const { code, reason } = answer.failure;
  if (code === 'INTERRUPTED' || signal.aborted) return undefined;
  emit({ kind: 'ecu-step', ecu, step: 'identify', status: 'failed', reason });
  if (needed) return { event: nothing('PRECONDITION_FAILED', code, reason) };
  logger.warn({ ecu, code }, reason);
  emit({ kind: 'warning', ecu, text: reason });
  return 'fine';
}

async function upToDate({ inventory, memory, outbox, vehicle }: CheckOptions): Promise<Checked> {
  if (inventory.identities.size > 0) {
    const { digest, report } = inventory.report(vehicle.vin, 'UP_TO_DATE');
    if (digest !== memory.content.reportedInventory) {
      await outbox.put('inventory', report);
      await memory.update({ reportedInventory: digest });
    }
  }
  return { event: nothing('UP_TO_DATE') };
}

/** The ECUs with news say once more what they are; then it is decided. */
async function makePlan(
  options: Look,
  offers: readonly Offer[],
  signal: AbortSignal,
): Promise<Checked | undefined> {
  const { vehicle, inventory, memory, clock, random } = options;
  const ecus = plannedEcus(vehicle);
  for (const { ecu } of candidates(offers, ecus, inventory.installed)) {
    if (options.asked.has(ecu)) continue;
    const fault = await identify(options, ecu, true, signal);
    if (fault !== 'fine') return fault;
  }
  // What the ECUs have just said can make it another set.
  const all = candidates(offers, ecus, inventory.installed);
  const sets = choices(all, options.lost);
  if ('event' in sets) return sets;
  if (sets.length === 0) return upToDate(options);
  const chosen = await choose(sets, options, signal);
  if (signal.aborted) return undefined;
  if ('remembered' in chosen) return asRemembered(chosen.remembered);
  let wanted = chosen.offers;
  // An ECU that others depend on says itself what it runs, with or without a release of its own.
  const needed = new Set(all.flatMap(({ dependencies }) => Object.keys(dependencies)));
  for (const { name } of ecus) {
    if (!needed.has(name) || options.asked.has(name)) continue;
    const fault = await identify(options, name, true, signal);
    if (fault !== 'fine') return fault;
  }
  const decideOn = (set: OfferSet) =>
    decide(vehicle.vin, set, ecus, inventory.identities, inventory.installed);
  let decision = decideOn(wanted);
  if (decision.kind === 'impossible' && wanted.length < all.length) {
    // A safety release can need one that is none: then they go together, and the driver is asked.
    wanted = all;
    decision = decideOn(wanted);
  }
  switch (decision.kind) {
    case 'nothing':
      return upToDate(options);
    case 'impossible': {
      const { code, reason } = decision;
      const entry: Remembered = {
        key: targetsKey(wanted),
        outcome: 'PRECONDITION_FAILED',
        code,
        reason,
        count: 1,
        // Only other releases can help; other hardware is noticed by the next process.
        notBeforeWallMs: code === 'IMAGE_TOO_LARGE' ? null : clock.wallMs() + 60 * 60_000,
      };
      await memory.remember(entry);
      const { report } = inventory.report(vehicle.vin, 'PRECONDITION_FAILED');
      await options.outbox.put(`impossible ${entry.key}`, { ...report, reason });
      return { event: nothing('PRECONDITION_FAILED', code, reason) };
    }
    case 'plan': {
      const { plan } = decision;
      const event: CampaignEvent & EventOf<'offered'> = {
        kind: 'offered',
        id: toHex(random.bytes(16)),
        nonce: toHex(random.bytes(16)),
        wallMs: clock.wallMs(),
        plan,
        planDigest: planDigest(plan),
        asks: options.asks(plan),
      };
      const before = memory.recall(planTargetsKey(plan));
      return before === undefined ? { event } : { event, remembered: before };
    }
  }
}

function nothing(
  outcome: EventOf<'nothing'>['outcome'],
  code?: string,
  reason?: string,
): EventOf<'nothing'> {
  return {
    kind: 'nothing',
    outcome,
    ...defined({ code, reason }),
  };
}

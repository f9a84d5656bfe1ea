// What signed releases mean for the ECUs as they are: nothing to do, a reason why not, or the plan of a campaign.

import { candidates, decide } from '../campaign/decide.ts';
import type { CampaignEvent, EventOf } from '../campaign/event.ts';
import { planDigest, planTargetsKey, targetsKey } from '../campaign/plan.ts';
import type { Offer } from '../campaign/ports.ts';
import { toHex } from '../core/bytes.ts';
import { present } from '../core/present.ts';
import { isAskedAgain } from './asked-again.ts';
import { type Checked, type CheckOptions, type Look, nothing } from './check-options.ts';
import type { Remembered } from './memory.ts';
import { plannedEcus } from './ranks.ts';
import { stands } from './retention.ts';

/** What the releases mean for the ECUs as they are; `news` when one of them should be installed. */
export async function assess(
  options: Look,
  offers: readonly Offer[],
  signal: AbortSignal,
): Promise<Checked | undefined | 'news'> {
  const { inventory, vehicle } = options;
  const ecus = plannedEcus(vehicle);
  // A process asks every ECU with a release once, later only the ECUs with a new release.
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
 * The sets that a campaign can install, the most urgent first. Safety releases form a set of their own: a driver
 * who may refuse the other releases must not refuse the safety releases with them. A mixed state ends only with a
 * set that writes every lost ECU.
 */
function choices(wanted: OfferSet, lost: readonly string[]): OfferSet[] | Checked {
  const forced = wanted.filter((offer) => offer.forced);
  const sets = [...(forced.length < wanted.length ? [forced] : []), wanted];
  const leadsOut = (set: OfferSet): boolean =>
    set.length > 0 && lost.every((name) => set.some(({ ecu }) => ecu === name));
  const possible = sets.filter(leadsOut);
  if (lost.length === 0 || possible.length > 0) return possible;
  const reason = `no release set ends the mixed state: it needs a release for each of ${lost.join(' and ')}`;
  return { event: nothing('ROLLBACK_FAILED', 'SAFE_STATE', reason) };
}

/** The first set without a remembered end that is still valid. */
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
      // The ignition was off once, which is enough; it may be on again at the next look.
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

/** `fine`, or how the check ends. A silent ECU without a new release is only a warning. */
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

/** Asks the ECUs with a new release once more what they run, then decides. */
export async function makePlan(
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
  // The ECUs' latest answers can change the set.
  const all = candidates(offers, ecus, inventory.installed);
  const sets = choices(all, options.lost);
  if ('event' in sets) return sets;
  if (sets.length === 0) return upToDate(options);
  const chosen = await choose(sets, options, signal);
  if (signal.aborted) return undefined;
  if ('remembered' in chosen) return asRemembered(chosen.remembered);
  let wanted = chosen.offers;
  // An ECU that others depend on is asked what it runs, also when it has no release itself.
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
    // A safety release can depend on an ordinary one: then both go together, and the driver is asked.
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
        // Only other releases can help here; the next process notices other hardware.
        notBeforeWallMs:
          code === 'IMAGE_TOO_LARGE' || code === 'IMAGE_MISPLACED'
            ? null
            : clock.wallMs() + 60 * 60_000,
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

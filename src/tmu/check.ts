// One look at the backend: what is offered, what of it is news, and whether a campaign begins.

import { candidates, decide, type PlannedEcu } from '../campaign/decide.ts';
import type { CampaignEvent, EventOf } from '../campaign/event.ts';
import { planDigest, planTargetsKey, targetsKey } from '../campaign/plan.ts';
import type { Backend, Release } from '../campaign/ports.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { Random } from '../core/random.ts';
import { activationOrder } from '../vehicle/load.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { Inventory } from './inventory.ts';
import type { Memory, Remembered } from './memory.ts';
import type { Outbox } from './outbox.ts';
import { stands } from './retention.ts';
import { retrying } from './retry.ts';
import type { TmuListener } from './tmu-event.ts';

export interface CheckOptions {
  readonly backend: Backend;
  readonly vehicle: Vehicle;
  readonly inventory: Inventory;
  readonly memory: Memory;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly emit: TmuListener;
}

export interface Checked {
  readonly event: EventOf<'nothing'> | EventOf<'offered'>;
  /** The server asked not to be asked again before this long. */
  readonly retryAfterMs?: number;
  /** The outcome is the one of an earlier cycle. */
  readonly remembered?: Remembered;
}

/** Undefined: interrupted. Throws StorageError. */
export async function check(
  options: CheckOptions,
  signal: AbortSignal,
): Promise<Checked | undefined> {
  const offers = await fetchOffers(options, signal);
  if (offers === undefined || 'event' in offers) return offers;

  const { inventory, vehicle, memory, clock } = options;
  const ecus = plannedEcus(vehicle);
  // Once in the life of a process every ECU with a release is asked, then only those with news.
  const offered = ecus.filter(({ name }) => offers.some(({ ecu }) => ecu === name));
  const wantedBefore = candidates(offers, ecus, inventory.installed);
  const asked = new Set<string>();
  for (const { name } of offered) {
    if (inventory.knows(name)) continue;
    asked.add(name);
    const needed = wantedBefore.some(({ ecu }) => ecu === name);
    const fault = await identify(options, name, needed, signal);
    if (fault !== 'fine') return fault;
  }

  const wanted = candidates(offers, ecus, inventory.installed);
  if (wanted.length === 0) return upToDate(options);
  const known = memory.recall(targetsKey(wanted));
  if (known !== undefined && stands(known, clock.wallMs())) {
    return { event: nothing(known.outcome, known.code, known.reason), remembered: known };
  }
  for (const { ecu } of wanted) {
    if (asked.has(ecu)) continue;
    const fault = await identify(options, ecu, true, signal);
    if (fault !== 'fine') return fault;
  }
  return makePlan(options, candidates(offers, ecus, inventory.installed), ecus);
}

async function fetchOffers(
  { backend, vehicle, memory, clock, random, emit }: CheckOptions,
  signal: AbortSignal,
): Promise<readonly Release[] | Checked | undefined> {
  const names = vehicle.ecus.map(({ name }) => name);
  const { latest } = memory.content;
  const doing = 'asking for the latest version';
  const answer = await retrying(
    (inner) => backend.latest(names, latest?.etag ?? undefined, inner),
    {
      clock,
      random,
      signal,
      onRetry: (retry) => emit({ kind: 'retry', doing, ...retry }),
    },
  );
  switch (answer.kind) {
    case 'interrupted':
      return undefined;
    case 'failed':
      return {
        event: nothing('BACKEND_UNAVAILABLE', answer.code, answer.reason),
        ...(answer.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs }),
      };
    case 'not-modified':
      if (latest !== null) return latest.releases;
      return {
        event: nothing('BACKEND_UNAVAILABLE', 'GARBAGE', 'the server answered 304 unasked'),
      };
    case 'releases':
      await memory.update({
        latest: { etag: answer.etag ?? null, releases: [...answer.releases] },
      });
      return answer.releases;
  }
}

/** `fine`, or how the check ends. An ECU without news that is silent is only a warning. */
async function identify(
  { inventory, emit, logger }: CheckOptions,
  ecu: string,
  needed: boolean,
  signal: AbortSignal,
): Promise<'fine' | Checked | undefined> {
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

async function makePlan(
  options: CheckOptions,
  wanted: readonly Release[],
  ecus: readonly PlannedEcu[],
): Promise<Checked> {
  const { vehicle, inventory, memory, clock, random } = options;
  const decision = decide(vehicle.vin, wanted, ecus, inventory.identities);
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
      };
      const before = memory.recall(planTargetsKey(plan));
      return before === undefined ? { event } : { event, remembered: before };
    }
  }
}

function plannedEcus(vehicle: Vehicle): PlannedEcu[] {
  return activationOrder(vehicle).map(({ name, hardwareId, memory }) => ({
    name,
    hardwareId,
    bankSize: memory.bankSize,
  }));
}

function nothing(
  outcome: EventOf<'nothing'>['outcome'],
  code?: string,
  reason?: string,
): EventOf<'nothing'> {
  return {
    kind: 'nothing',
    outcome,
    ...(code === undefined ? {} : { code }),
    ...(reason === undefined ? {} : { reason }),
  };
}

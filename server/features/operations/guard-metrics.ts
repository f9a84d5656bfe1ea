// What the guards against floods have done, as metrics.

import type { Clock } from '../../../src/core/clock.ts';
import { bearerOf, type CallerGate } from '../../platform/auth/callers.ts';
import { GUARDS } from '../../platform/auth/guard-counts.ts';
import { counter, gauge, type Metric } from '../../platform/http/metrics.ts';
import type { AppContext } from '../../platform/http/request.ts';

export interface GuardMetricsParts {
  readonly gate: CallerGate;
  readonly clock: Clock;
}

/** Callers that are named, those that were refused most often first. */
const NAMED = 50;

/**
 * Names are for operators alone: a token of the role `operator`, or a person who is logged in. Throws HttpProblem 401, 403, 429
 * for a token that is not right.
 */
export async function mayReadNames(ctx: AppContext, gate: CallerGate): Promise<boolean> {
  const isTool = bearerOf(ctx) !== undefined;
  if (isTool) await gate.service(ctx, 'operator');
  return isTool || ctx.state.person !== undefined;
}

/** The totals are for every allowed address; who was refused is for operators, who may read names. */
export function guardMetrics(parts: GuardMetricsParts, mayName: boolean): Metric[] {
  return [...totals(parts), ...(mayName ? named(parts) : [])];
}

function totals({ gate, clock }: GuardMetricsParts): Metric[] {
  const all = gate.counts.totals(clock.nowMs());
  const of = (value: 'refused' | 'waitSeconds' | 'waiting') =>
    all.map((total) => [{ guard: total.guard }, total[value]] as const);
  const meaning = Object.entries(GUARDS)
    .map(([guard, what]) => `${guard} (${what})`)
    .join(', ');
  return [
    counter(
      'can_ota_guard_refused_total',
      `Requests that were answered 429 since the start, by what they were counted by: ${meaning}.`,
      of('refused'),
    ),
    counter(
      'can_ota_guard_wait_seconds_total',
      'Sum of the waits that were told with them.',
      of('waitSeconds'),
    ),
    gauge('can_ota_guard_waiting', 'Callers that have to wait now.', of('waiting')),
  ];
}

function named({ gate, clock }: GuardMetricsParts): Metric[] {
  const all = gate.counts.callers(clock.nowMs(), NAMED);
  const of = (value: 'refused' | 'leftSeconds' | 'longestSeconds') =>
    all.map(({ guard, caller, ...numbers }) => [{ guard, caller }, numbers[value]] as const);
  return [
    counter(
      'can_ota_guard_caller_refused_total',
      `The same by caller: a serial, a token, or a network. The ${NAMED} that were refused most often.`,
      of('refused'),
    ),
    gauge(
      'can_ota_guard_caller_wait_seconds',
      'How long the caller has to wait from now; 0 when it may ask again.',
      of('leftSeconds'),
    ),
    gauge(
      'can_ota_guard_caller_longest_wait_seconds',
      'The longest wait that the caller was told.',
      of('longestSeconds'),
    ),
  ];
}

// `can-ota campaign ...`: what an operator does about a campaign that is under way.

import { type Clock, sleep, systemClock } from '../core/clock.ts';
import { InputError } from '../core/errors.ts';
import { ExitCode } from '../core/exit-code.ts';
import { type CommonOptions, type Context, runCommand } from './context.ts';
import { credentialsOf, type LogInOptions } from './release.ts';
import { type CancelReply, ReleaseBackend } from './release-backend.ts';

interface CancelOptions extends CommonOptions, LogInOptions {
  readonly server: string;
  readonly reason: string;
  /** Seconds to wait for the vehicle's answer. */
  readonly wait?: number;
}

/** Between two looks for the vehicle's answer. */
const LOOK_EVERY_MS = 2000;

export function cancelCampaign(vin: string, options: CancelOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const { server: url, reason, wait: waitS } = options;
    const backend = await ReleaseBackend.logIn(
      { url, clock: systemClock, signal: context.signal },
      await credentialsOf(options),
    );
    return cancel({ context, backend, clock: systemClock }, vin, {
      reason,
      ...(waitS === undefined ? {} : { waitMs: waitS * 1000 }),
    });
  });
}

export interface CancelWork {
  readonly context: Pick<Context, 'say' | 'emit' | 'signal'>;
  readonly backend: Pick<ReleaseBackend, 'cancelCampaign' | 'cancelOrders'>;
  readonly clock: Clock;
}

/**
 * `success`: ordered, and with `waitMs` accepted; `preconditionFailed`: nothing is under way, or the vehicle refuses;
 * `deferred`: no answer within `waitMs`. Throws InputError, BackendError.
 */
export async function cancel(
  { context, backend, clock }: CancelWork,
  vin: string,
  { reason, waitMs = 0 }: { readonly reason: string; readonly waitMs?: number },
): Promise<ExitCode> {
  if (reason.trim() === '') throw new InputError('--reason', 'say why: the driver is told');
  const given = await backend.cancelCampaign(vin, reason);
  if (given.kind === 'no-campaign') {
    context.emit({ vin, state: 'no-campaign', reason: given.reason });
    context.say(`${vin}: ${given.reason}`);
    return ExitCode.preconditionFailed;
  }
  let { order } = given;
  const untilMs = clock.nowMs() + waitMs;
  while (order.state === 'open' && clock.nowMs() < untilMs) {
    const leftMs = untilMs - clock.nowMs();
    const end = await sleep(clock, 'answer', Math.min(LOOK_EVERY_MS, leftMs), context.signal);
    if (end === 'aborted') throw context.signal.reason;
    const now = (await backend.cancelOrders(vin)).find((other) => other.order === order.order);
    if (now !== undefined) order = now;
  }
  context.emit({ ...order });
  context.say(textOf(order));
  if (order.state === 'refused') return ExitCode.preconditionFailed;
  return order.state === 'open' && waitMs > 0 ? ExitCode.deferred : ExitCode.success;
}

function textOf({ vin, campaign, order, state, answer }: CancelReply): string {
  const what = `${vin}, campaign ${campaign}, order ${order}`;
  const why = answer === null ? '' : `: ${answer}`;
  if (state === 'open') {
    return `${what}: the vehicle is told at its next sign of life, and answers whether it stops`;
  }
  return `${what}: the vehicle ${state === 'accepted' ? 'stops' : 'refuses'}${why}`;
}

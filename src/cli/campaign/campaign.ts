// `can-ota campaign ...`: an operator's orders about a running campaign.

import { type Clock, systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { defined } from '../../core/optional.ts';
import { networkOf } from '../../link/network.ts';
import { type CancelReply, ReleaseBackend } from '../../signing/release-backend.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import { credentialsOf, type LogInOptions } from '../release/release.ts';
import { waitUntil } from '../services/operator.ts';

interface CancelOptions extends CommonOptions, LogInOptions {
  readonly server: string;
  readonly reason: string;
  /** Seconds to wait for the vehicle's answer. */
  readonly wait?: number;
}

export function cancelCampaign(vin: string, options: CancelOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const { server: url, reason, wait: waitS } = options;
    const { fetch } = await networkOf(options, url);
    const backend = await ReleaseBackend.logIn(
      { url, clock: systemClock, signal: context.signal, fetch },
      await credentialsOf(options),
    );
    return cancel({ context, backend, clock: systemClock }, vin, {
      reason,
      ...defined({ waitMs: waitS === undefined ? undefined : waitS * 1000 }),
    });
  });
}

export interface CancelWork {
  readonly context: Pick<Context, 'say' | 'emit' | 'signal'>;
  readonly backend: Pick<ReleaseBackend, 'cancelCampaign' | 'cancelOrders'>;
  readonly clock: Clock;
}

/**
 * `success`: ordered, and with `waitMs` accepted; `preconditionFailed`: no campaign is running, or the vehicle
 * refuses; `deferred`: no answer within `waitMs`. Throws InputError, BackendError.
 */
export async function cancel(
  { context, backend, clock }: CancelWork,
  vin: string,
  { reason, waitMs = 0 }: { readonly reason: string; readonly waitMs?: number },
): Promise<ExitCode> {
  if (reason.trim() === '')
    throw new InputError('--reason', 'is empty: say why; the driver reads it');
  const given = await backend.cancelCampaign(vin, reason);
  if (given.kind === 'no-campaign') {
    context.emit({ vin, state: 'no-campaign', reason: given.reason });
    context.say(`${vin}: ${given.reason}`);
    return ExitCode.preconditionFailed;
  }
  const order = await waitUntil(
    { context, clock },
    waitMs / 1000,
    given.order,
    async () => {
      const orders = await backend.cancelOrders(vin);
      return orders.find((other) => other.order === given.order.order) ?? given.order;
    },
    ({ state }) => state !== 'open',
  );
  context.emit({ ...order });
  context.say(textOf(order));
  if (order.state === 'refused') return ExitCode.preconditionFailed;
  return order.state === 'open' && waitMs > 0 ? ExitCode.deferred : ExitCode.success;
}

function textOf({ vin, campaign, order, state, answer }: CancelReply): string {
  const what = `${vin}, campaign ${campaign}, order ${order}`;
  const why = answer === null ? '' : `: ${answer}`;
  if (state === 'open') {
    return `${what}: the vehicle gets the order at its next contact, and answers whether it stops`;
  }
  return `${what}: the vehicle ${state === 'accepted' ? 'stops' : 'refuses'}${why}`;
}

interface AskAgainOptions extends CommonOptions, LogInOptions {
  readonly server: string;
  readonly reason: string;
}

/** `preconditionFailed`: the driver of this vehicle has refused no release. Throws InputError, BackendError. */
export function askAgain(vin: string, options: AskAgainOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const { server: url, reason } = options;
    const { fetch } = await networkOf(options, url);
    const backend = await ReleaseBackend.logIn(
      { url, clock: systemClock, signal: context.signal, fetch },
      await credentialsOf(options),
    );
    if (reason.trim() === '')
      throw new InputError('--reason', 'is empty: say why; the audit log keeps it');
    const reply = await backend.askAgain(vin, reason);
    context.emit({ ...reply });
    if (reply.kind === 'no-refusal') {
      context.say(`${vin}: ${reply.reason}`);
      return ExitCode.preconditionFailed;
    }
    context.say(
      `${vin}, campaign ${reply.campaign}: the driver is asked again after the next poll`,
    );
    return ExitCode.success;
  });
}

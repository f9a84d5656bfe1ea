// Whether a release that the driver has denied or put off is asked again now: the driver or the operator wants it.

import type { Approver, Backend } from '../campaign/ports.ts';
import { REFUSED_STATE } from '../contract/endpoints/campaigns/status.ts';
import type { Logger } from '../core/logger.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { Remembered, TmuMemory } from './memory.ts';

export interface AskedAgainOptions {
  readonly memory: TmuMemory;
  readonly backend: Pick<Backend, 'campaign'>;
  readonly approver?: Approver | undefined;
  readonly vehicle: Pick<Vehicle, 'vin'>;
  readonly logger: Logger;
}

/** Ends of a campaign by the driver's word or silence. */
const BY_DRIVER: ReadonlySet<string> = new Set(['DENIED', 'LATER', 'TIMED_OUT', 'WITHDRAWN']);

export function isByDriver({ outcome, code }: Pick<Remembered, 'outcome' | 'code'>): boolean {
  const refusal = outcome === 'USER_REJECTED' || outcome === 'DEFERRED';
  return refusal && code !== undefined && BY_DRIVER.has(code);
}

/**
 * One look at the console and one at the backend. Their answers approve nothing: the driver is asked the whole question
 * again. False without such an order, and without an answer.
 */
export async function isAskedAgain(
  remembered: Remembered,
  { memory, backend, approver, vehicle, logger }: AskedAgainOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const { campaign } = remembered;
  if (!isByDriver(remembered) || campaign === undefined) return false;
  const { question } = memory.content;
  if (approver !== undefined && question?.campaignId === campaign) {
    if (await approver.wantsAgain(question, signal)) {
      logger.info({ campaign }, 'the driver wants to be asked again');
      return true;
    }
    if (signal.aborted) return false;
  }
  const status = { vin: vehicle.vin, campaign, state: REFUSED_STATE };
  const answer = await backend.campaign(status, signal);
  if (answer.kind !== 'orders' || answer.askAgain == null) return false;
  const { by, reason } = answer.askAgain;
  logger.info({ campaign, by, reason }, 'the operator has the driver asked again');
  return true;
}

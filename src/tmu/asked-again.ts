// Whether the driver is asked again now about a release that was denied or deferred: the driver or the operator wants it.

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

/** Codes of a campaign that ended by an answer of the driver, or by no answer. */
const BY_DRIVER: ReadonlySet<string> = new Set(['DENIED', 'LATER', 'TIMED_OUT', 'WITHDRAWN']);

export function isByDriver({ outcome, code }: Pick<Remembered, 'outcome' | 'code'>): boolean {
  const refusal = outcome === 'USER_REJECTED' || outcome === 'DEFERRED';
  return refusal && code !== undefined && BY_DRIVER.has(code);
}

/**
 * Asks the console once and the backend once. Their answers approve nothing: the driver gets the whole approval request
 * again. False when neither wants it, or when neither answers.
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
  logger.info({ campaign, by, reason }, 'the operator wants the driver to be asked again');
  return true;
}

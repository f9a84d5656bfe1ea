// The mixed state: which ECUs could not be rolled back, and its description.

import { changedIn, isTouched } from './changes.ts';
import { resultOf } from './result.ts';
import type { CampaignResult, SafeState } from './state.ts';

/** ECUs that may run the wrong software. An ECU that only failed to discard a staged image is not one of them. */
export function lostOf({
  campaign,
  changes,
  failed,
}: Pick<SafeState, 'campaign' | 'changes' | 'failed'>): readonly string[] {
  return campaign.plan.items
    .map(({ ecu }) => ecu)
    .filter((ecu) => isTouched(changes, ecu) && failed[ecu] !== undefined);
}

/** Describes the mixed state, ECU by ECU. */
export function mixedText(state: SafeState): string {
  const { campaign, changes, undone, failed } = state;
  const lost = lostOf(state);
  return campaign.plan.items
    .map(({ ecu, from, to }) => {
      const failure = failed[ecu];
      return lost.includes(ecu) && failure !== undefined
        ? `${ecu} may run ${to.version}, it could not be taken back to ${from.version}: ${failure.reason}`
        : `${ecu} runs ${undone[ecu]?.version ?? from.version} (${changedIn(changes, ecu) === 'no' ? 'unchanged' : 'old'})`;
    })
    .join('; ');
}

export function mixedResult(state: SafeState): CampaignResult {
  const { campaign, cause, transfers, changes, undone } = state;
  return resultOf(campaign, 'ROLLBACK_FAILED', {
    code: cause.code,
    reason: `${cause.reason}; taking it back failed: ${mixedText(state)}`,
    transfers,
    changes,
    reported: undone,
    errors: errorsOf(state),
  });
}

/** The failures, by ECU name. */
export function errorsOf({
  failed,
  cause,
}: Pick<SafeState, 'failed' | 'cause'>): Record<string, string> {
  const errors = Object.fromEntries(
    Object.entries(failed).map(([ecu, { reason }]) => [ecu, reason]),
  );
  if (cause.ecu !== undefined) errors[cause.ecu] ??= cause.reason;
  return errors;
}

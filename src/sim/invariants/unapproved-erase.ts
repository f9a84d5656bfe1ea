// An erase needs a valid approval of the driver.

import { invariant } from './invariant.ts';

export const unapprovedErase = invariant({
  name: 'unapproved-erase',
  says: 'nothing is erased without a valid approval',
  watch({ approvalNeeded, withdrawalGraceMs }) {
    let approval: { readonly campaign: string; endedMs: number | undefined } | undefined;
    return {
      driver({ answer, campaign, atMs }) {
        if (answer === 'approved') {
          approval = { campaign, endedMs: undefined };
        } else if (answer === 'withdrawn') {
          if (approval?.campaign === campaign) approval.endedMs ??= atMs;
        } else {
          approval = undefined;
        }
      },
      erase({ ecu, atMs }, { start, informed }, broken) {
        if (!approvalNeeded) return;
        if (start.forced) {
          if (!informed) broken(`${ecu} was erased before the driver was told`);
        } else if (approval === undefined) {
          broken(`${ecu} was erased without an approval`);
        } else if (approval.endedMs !== undefined && atMs - approval.endedMs > withdrawalGraceMs) {
          const sinceMs = Math.round(atMs - approval.endedMs);
          broken(`${ecu} was erased ${sinceMs} ms after the approval was withdrawn`);
        }
      },
      rest(_seen, { end }) {
        // A declared mixed state is repaired later under the same approval.
        if (!end.isDeclared) approval = undefined;
      },
      recovered() {
        approval = undefined;
      },
    };
  },
});

// A raised counter cannot be undone, so it waits for all ECUs of the campaign.

import { invariant } from './invariant.ts';

export const earlyCounter = invariant({
  name: 'early-counter',
  says: 'no counter rises before every ECU of the campaign is confirmed',
  watch: () => ({
    counter({ ecu, counter }, { planned, activated, confirmed, counters }, broken) {
      const rises = counter > (counters.get(ecu) ?? 0);
      // A counter that an earlier campaign owed may rise before this campaign touches its ECU.
      if (!rises || !planned.includes(ecu) || !activated.has(ecu)) return;
      const missing = planned.filter((other) => !confirmed.has(other));
      if (missing.length === 0) return;
      broken(`the counter of ${ecu} rose to ${counter} before ${missing.join(', ')} was confirmed`);
    },
  }),
});

// The TMU waits for an ECU that is only slow or busy.

import { invariant } from './invariant.ts';
import { outcomeText } from './words.ts';

export const patience = invariant({
  name: 'patience',
  says: 'a campaign in which an ECU was only slow or busy succeeds',
  watch: () => ({
    rest(_seen, { start, end }, broken) {
      if (start.onlyTime !== true || end.last?.outcome === 'SUCCESS') return;
      broken(`an ECU was only slow or busy, and the campaign ended as ${outcomeText(end)}`);
    },
  }),
});

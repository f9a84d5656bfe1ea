// What the backend has taken it keeps: an image that it was given is on its disk, durably, whatever became of its power.

import { invariant } from './invariant.ts';

export const acknowledged = invariant({
  name: 'acknowledged',
  says: 'what the backend has acknowledged is still there',
  watch: () => ({
    'backend-rest'({ lost }, _step, broken) {
      for (const what of lost) broken(`the backend had taken ${what}, and has it no more`);
    },
  }),
});

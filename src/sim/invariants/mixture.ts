// The central invariant: all ECUs run new software, all run old software, or the vehicle has declared a mixed state.

import { invariant } from './invariant.ts';
import { mixtureText } from './words.ts';

export const mixture = invariant({
  name: 'mixture',
  says: 'all ECUs of a campaign run the new software, or all run the old one',
  watch: () => ({
    rest({ contents }, step, broken) {
      const { last, isNew, isOld, isDeclared } = step.end;
      if (isNew || isOld || isDeclared) return;
      broken(`after ${last?.outcome ?? 'nothing'}: ${mixtureText(step, contents)}`);
    },
  }),
});

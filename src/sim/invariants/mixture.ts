// The heart of it: the vehicle is new as a whole, or old as a whole, or it has said that it is neither.

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

// The last report against the bytes.

import { invariant } from './invariant.ts';
import { mixtureText, outcomeText } from './words.ts';

export const outcome = invariant({
  name: 'outcome',
  says: 'the outcome is what became of the vehicle',
  watch: () => ({
    rest({ contents }, step, broken) {
      const { last, isNew, isOld, isDeclared } = step.end;
      if (last === undefined || isDeclared) return;
      const isTrue = last.outcome === 'SUCCESS' ? isNew : isOld;
      if (!isTrue) broken(`${outcomeText(step.end)} was reported: ${mixtureText(step, contents)}`);
    },
  }),
});

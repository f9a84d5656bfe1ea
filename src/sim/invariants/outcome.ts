// Compares the last report with the bytes in the ECUs.

import { invariant } from './invariant.ts';
import { mixtureText, outcomeText } from './words.ts';

export const outcome = invariant({
  name: 'outcome',
  says: 'the reported outcome agrees with the software in the vehicle',
  watch: () => ({
    rest({ contents }, step, broken) {
      const { last, isNew, isOld, isDeclared } = step.end;
      if (last === undefined || isDeclared) return;
      const isTrue = last.outcome === 'SUCCESS' ? isNew : isOld;
      if (!isTrue) broken(`${outcomeText(step.end)} was reported: ${mixtureText(step, contents)}`);
    },
  }),
});

// Each campaign with faults is followed by one without, which shows that the vehicle can still be updated.

import { ECU_NAMES } from '../machine-names.ts';
import { invariant } from './invariant.ts';
import { outcomeText } from './words.ts';

export const proof = invariant({
  name: 'proof',
  says: 'the next campaign without faults succeeds',
  watch: () => ({
    rest({ contents }, { start, end }, broken) {
      if (!start.proof || end.last === undefined) return;
      if (end.last.outcome !== 'SUCCESS') {
        broken(`the campaign without faults ended as ${outcomeText(end)}`);
        return;
      }
      for (const ecu of ECU_NAMES) {
        const { counter, imageCounter } = contents[ecu];
        if (counter === imageCounter) continue;
        broken(`${ecu} runs an image with counter ${imageCounter}, its own is still ${counter}`);
      }
    },
  }),
});

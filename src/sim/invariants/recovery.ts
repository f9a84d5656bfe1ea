// Work that a campaign had to leave is done as soon as it is possible.

import { ECU_NAMES } from '../machine-names.ts';
import { invariant } from './invariant.ts';
import { allRun, isMadeGood, mixtureText } from './words.ts';

export const recovery = invariant({
  name: 'recovery',
  says: 'a mixed state is repaired, and owed counters are raised, as soon as everything works',
  watch: () => ({
    recovered({ contents }, step, broken) {
      const { wanted, contents: before } = step.start;
      const isWhole =
        allRun(contents, (ecu) => wanted[ecu]) || allRun(contents, (ecu) => before[ecu].sha256);
      if (!isWhole) broken(`after it: ${mixtureText(step, contents)}`);
      for (const ecu of ECU_NAMES) {
        if (isMadeGood(contents[ecu])) continue;
        const { standing, counter, imageCounter } = contents[ecu];
        broken(
          `${ecu} is ${standing} with counter ${counter}, that of its image is ${imageCounter}`,
        );
      }
    },
  }),
});

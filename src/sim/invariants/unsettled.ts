// After a campaign no bank of an ECU is on trial or pending.

import { ECU_NAMES } from '../machine-names.ts';
import { invariant } from './invariant.ts';

export const unsettled = invariant({
  name: 'unsettled',
  says: 'nothing is on trial or pending after the end',
  watch: () => ({
    rest({ contents }, { end }, broken) {
      if (end.isDeclared) return;
      for (const ecu of ECU_NAMES) {
        const { standing } = contents[ecu];
        if (standing !== 'settled') broken(`${ecu} is still ${standing}`);
      }
    },
  }),
});

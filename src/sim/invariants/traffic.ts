// Normal traffic, which a campaign switches off, runs again after it.

import { invariant } from './invariant.ts';

export const traffic = invariant({
  name: 'traffic',
  says: 'the normal traffic of every ECU runs again',
  watch: () => ({
    rest({ silent, imageless }, { end }, broken) {
      for (const ecu of silent) {
        if (end.isDeclared && imageless.includes(ecu)) continue;
        broken(`${ecu} does not send its normal traffic`);
      }
    },
  }),
});

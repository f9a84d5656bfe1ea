// At the end of a campaign every machine works, whatever happened.

import { invariant } from './invariant.ts';

export const dead = invariant({
  name: 'dead',
  says: 'every machine runs',
  watch: () => ({
    rest({ dead: machines, imageless }, { end }, broken) {
      if (!end.isDeclared) {
        for (const ecu of imageless) broken(`${ecu} has no image to run, and no report says so`);
      }
      for (const machine of machines) broken(`${machine} does not run`);
    },
  }),
});

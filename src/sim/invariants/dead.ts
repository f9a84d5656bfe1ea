// Whatever happened, every machine works in the end.

import { invariant } from './invariant.ts';

export const dead = invariant({
  name: 'dead',
  says: 'every machine runs',
  watch: () => ({
    rest({ dead: machines, imageless }, { end }, broken) {
      if (!end.isDeclared) {
        for (const ecu of imageless) broken(`${ecu} has no image to run, and nobody said so`);
      }
      for (const machine of machines) broken(`${machine} does not run`);
    },
  }),
});

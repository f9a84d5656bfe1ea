// A report about an ECU agrees with the memory of the ECU.

import { ECU_NAMES } from '../machine-names.ts';
import { invariant } from './invariant.ts';
import { shortHash } from './words.ts';

export const claim = invariant({
  name: 'claim',
  says: 'every report of what an ECU runs agrees with its memory',
  watch: () => ({
    rest({ contents, released }, { end }, broken) {
      // Another invariant checks a declared mixed state.
      if (end.last === undefined || end.isDeclared) return;
      for (const { name, version, sha256, error } of end.last.ecus) {
        const ecu = ECU_NAMES.find((known) => known === name);
        if (ecu === undefined || error !== null) continue;
        const held = contents[ecu].sha256;
        const really =
          held === undefined ? 'nothing' : (released[ecu].get(held) ?? 'unknown bytes');
        if (version !== null && version !== really) {
          broken(`${ecu} holds ${really}, ${end.last.outcome} says that it runs ${version}`);
        }
        if (sha256 !== null && sha256 !== held) {
          broken(`${ecu} holds ${shortHash(held)}, ${end.last.outcome} says ${shortHash(sha256)}`);
        }
      }
    },
  }),
});

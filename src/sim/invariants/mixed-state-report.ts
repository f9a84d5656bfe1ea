// A vehicle that declares a mixed state says of each ECU what it runs.

import { ECU_NAMES } from '../machine-names.ts';
import { invariant } from './invariant.ts';

export const mixedStateReport = invariant({
  name: 'mixed-state-report',
  says: 'a declared mixed state is spelled out as it is',
  watch: () => ({
    rest({ contents, released }, step, broken) {
      const { last, isDeclared, isOld } = step.end;
      // An ECU that nobody confirmed may have gone back by itself since.
      if (last === undefined || !isDeclared || isOld) return;
      for (const { name, version, error } of last.ecus) {
        if (error !== null) continue;
        const ecu = ECU_NAMES.find((known) => known === name);
        const { sha256 } = ecu === undefined ? { sha256: undefined } : contents[ecu];
        if (ecu === undefined || sha256 === undefined || version === null) continue;
        const really = released[ecu].get(sha256) ?? 'nothing released';
        if (really === version) continue;
        broken(`${ecu} runs ${really}, the declared mixed state says ${version}`);
      }
    },
  }),
});

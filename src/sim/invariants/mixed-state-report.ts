// A vehicle that declares a mixed state reports what each ECU runs.

import { ECU_NAMES } from '../machine-names.ts';
import { invariant } from './invariant.ts';

export const mixedStateReport = invariant({
  name: 'mixed-state-report',
  says: 'the report of a mixed state says what each ECU really runs',
  watch: () => ({
    rest({ contents, released }, step, broken) {
      const { last, isDeclared, isOld } = step.end;
      // An ECU without a confirmation may have rolled back by itself since.
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

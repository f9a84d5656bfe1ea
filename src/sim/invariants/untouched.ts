// Begun is not changed: an ECU that only said no is left alone, and nothing is undone that was never done.

import type { EcuName } from '../machine-names.ts';
import { invariant } from './invariant.ts';

interface Touch {
  /** Whether it has taken the programming session in this campaign. Undefined: it was not asked. */
  accepted: boolean | undefined;
  /** In this campaign. */
  erases: number;
}

export const untouched = invariant({
  name: 'untouched',
  says: 'an ECU that only refused is neither reset nor erased, and nothing is undone that was never done',
  watch() {
    let touches = new Map<EcuName, Touch>();
    const touchOf = (ecu: EcuName): Touch => {
      const touch = touches.get(ecu) ?? { accepted: undefined, erases: 0 };
      touches.set(ecu, touch);
      return touch;
    };
    return {
      start() {
        touches = new Map();
      },
      programming({ ecu, accepted }) {
        const touch = touchOf(ecu);
        touch.accepted = accepted || touch.accepted === true;
      },
      'reset-ordered'({ ecu }, _step, broken) {
        if (touchOf(ecu).accepted === false)
          broken(`${ecu} was reset, and had only refused to be programmed`);
      },
      erase({ ecu }, _step, broken) {
        const touch = touchOf(ecu);
        touch.erases++;
        if (touch.accepted === false)
          broken(`${ecu} was erased, and had only refused to be programmed`);
      },
      written({ ecu, sha256 }, { start }, broken) {
        const isSame = sha256 === start.contents[ecu].sha256 && sha256 !== start.wanted[ecu];
        // Erased only once, and that for what it had held.
        if (isSame && touchOf(ecu).erases === 1) {
          broken(`${ecu} was given what it ran already, and nothing else had been written into it`);
        }
      },
    };
  },
});

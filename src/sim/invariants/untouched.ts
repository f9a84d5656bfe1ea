// An ECU that only refused is left alone, and no rollback is made where nothing was changed.

import type { EcuName } from '../machine-names.ts';
import { invariant } from './invariant.ts';

interface Touch {
  /** Whether the ECU has accepted the programming session in this campaign. Undefined: it was not asked. */
  accepted: boolean | undefined;
  /** Number of erases in this campaign. */
  erases: number;
}

export const untouched = invariant({
  name: 'untouched',
  says: 'an ECU that only refused is neither reset nor erased, and unchanged ECUs are not rolled back',
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
          broken(`${ecu} was reset although it had only refused to be programmed`);
      },
      erase({ ecu }, _step, broken) {
        const touch = touchOf(ecu);
        touch.erases++;
        if (touch.accepted === false)
          broken(`${ecu} was erased although it had only refused to be programmed`);
      },
      written({ ecu, sha256 }, { start }, broken) {
        const isSame = sha256 === start.contents[ecu].sha256 && sha256 !== start.wanted[ecu];
        // The first erase of this campaign already wrote back the old image.
        if (isSame && touchOf(ecu).erases === 1) {
          broken(
            `${ecu} got the image that it ran already, although no other image had been written`,
          );
        }
      },
    };
  },
});

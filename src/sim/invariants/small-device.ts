// A small device boots what was released for it, ends on the old or the new release, and says only what it holds.

import { invariant } from './invariant.ts';

export const smallDevice = invariant({
  name: 'small-device',
  says: 'a small device boots what was released, and says what it holds',
  watch() {
    const booted = new Set<string>();
    return {
      'device-boot'({ held, says }, _step, broken) {
        if (says === null) {
          broken('the small device has nothing that it could run');
        } else if (held === undefined) {
          broken(`the small device boots bytes nobody released as ${says}`);
        } else if (held !== says) {
          broken(`the small device boots ${held} and calls it ${says}`);
        }
        if (held !== undefined) booted.add(held);
      },
      'device-says'({ held, says }, _step, broken) {
        if (says !== (held ?? '')) broken(`the small device holds ${held}, and says ${says}`);
      },
      'device-rest'({ held, newest, before, completed }, _step, broken) {
        // What did not work once, it goes back from, and does not try again by itself.
        if (held !== newest && held !== before) {
          broken(`the small device is left with ${held}, neither ${newest} nor ${before}`);
        }
        for (const version of completed) {
          if (booted.has(version)) continue;
          broken(`the backend believes that the small device runs ${version}, never booted`);
        }
      },
    };
  },
});

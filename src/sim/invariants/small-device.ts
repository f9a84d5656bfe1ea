// A small device boots only released images, ends with the old or the new release, and reports what it really holds.

import { invariant } from './invariant.ts';

export const smallDevice = invariant({
  name: 'small-device',
  says: 'a small device boots what was released, and says what it holds',
  watch() {
    const booted = new Set<string>();
    return {
      'device-boot'({ held, says }, _step, broken) {
        if (says === null) {
          broken('the small device has no image to run');
        } else if (held === undefined) {
          broken(`the small device boots bytes that were never released and calls them ${says}`);
        } else if (held !== says) {
          broken(`the small device boots ${held} and calls it ${says}`);
        }
        if (held !== undefined) booted.add(held);
      },
      'device-says'({ held, says }, _step, broken) {
        if (says !== (held ?? '')) broken(`the small device holds ${held}, and says ${says}`);
      },
      'device-rest'({ held, newest, before, completed }, _step, broken) {
        // After a release that did not work the device rolls back and does not try it again by itself.
        if (held !== newest && held !== before) {
          broken(`the small device is left with ${held}, neither ${newest} nor ${before}`);
        }
        for (const version of completed) {
          if (booted.has(version)) continue;
          broken(
            `the backend records that the small device runs ${version}, which it never booted`,
          );
        }
      },
    };
  },
});

// A confirmation needs the evidence of all ECUs of the campaign.

import { invariant } from './invariant.ts';

export const earlyConfirm = invariant({
  name: 'early-confirm',
  says: 'no ECU is confirmed before every ECU of the campaign was started and asked',
  watch: () => ({
    confirmed({ ecu }, { planned, activated, asked }, broken) {
      const early = planned.filter((other) => !activated.has(other));
      if (early.length > 0) {
        broken(`${ecu} was confirmed before ${early.join(', ')} had started the new software`);
      }
      const unasked = planned.filter((other) => activated.has(other) && !asked.has(other));
      if (unasked.length > 0) {
        broken(`${ecu} was confirmed before ${unasked.join(', ')} was asked what it runs`);
      }
    },
  }),
});

// New software that has detected a fault is not confirmed.

import { invariant } from './invariant.ts';

export const unhealthyConfirm = invariant({
  name: 'unhealthy-confirm',
  says: 'no ECU with new trouble codes is confirmed',
  watch: () => ({
    confirmed({ ecu, content }, { start }, broken) {
      const known = new Set(start.contents[ecu].troubleCodes);
      const codes = content.troubleCodes
        .filter((code) => !known.has(code))
        .map((code) => code.toString(16).toUpperCase().padStart(6, '0'));
      if (codes.length > 0)
        broken(`${ecu} was confirmed with new trouble codes: ${codes.join(', ')}`);
    },
  }),
});

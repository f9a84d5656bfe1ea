// An ECU starts only what was released for it.

import { invariant } from './invariant.ts';
import { shortHash } from './words.ts';

export const unverifiedBoot = invariant({
  name: 'unverified-boot',
  says: 'what is started was signed for this ECU, or came from its factory',
  watch: ({ released }) => ({
    boot({ ecu, sha256 }, _step, broken) {
      if (sha256 === undefined || released()[ecu].has(sha256)) return;
      broken(`${ecu} started bytes that nobody released for it: ${shortHash(sha256)}`);
    },
  }),
});

// An ECU starts only images that were released for it.

import { invariant } from './invariant.ts';
import { shortHash } from './words.ts';

export const unverifiedBoot = invariant({
  name: 'unverified-boot',
  says: 'an ECU starts only images that were signed for it or came from its factory',
  watch: ({ released }) => ({
    boot({ ecu, sha256 }, _step, broken) {
      if (sha256 === undefined || released()[ecu].has(sha256)) return;
      broken(`${ecu} started bytes that were never released for it: ${shortHash(sha256)}`);
    },
  }),
});

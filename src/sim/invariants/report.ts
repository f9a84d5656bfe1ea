// The backend receives every outcome.

import { invariant } from './invariant.ts';

export const report = invariant({
  name: 'report',
  says: 'every outcome is in the database of the backend, once',
  watch: () => ({
    rest({ reports, told }, { end }, broken) {
      const seen = new Set<string>();
      for (const { campaign, outcome } of reports) {
        const key = `${campaign} ${outcome}`;
        if (seen.has(key)) broken(`${outcome} of ${campaign} was reported twice`);
        seen.add(key);
      }
      for (const { campaign, outcome } of told) {
        if (!seen.has(`${campaign} ${outcome}`)) {
          broken(`${outcome} of ${campaign} never reached the backend`);
        }
      }
      if (end.last === undefined) {
        broken('the campaign has ended, and the backend has no outcome');
      }
    },
  }),
});

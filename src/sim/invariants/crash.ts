// Programs do not end by themselves. The episode, which runs them, reports it.

import { invariant } from './invariant.ts';

export const crash = invariant({
  name: 'crash',
  says: 'no program throws an unexpected error',
});

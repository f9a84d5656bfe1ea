// Programs do not end by themselves: seen by the episode, which runs them.

import { invariant } from './invariant.ts';

export const crash = invariant({
  name: 'crash',
  says: 'nothing throws that nobody expects',
});

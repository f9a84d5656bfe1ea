// Everything comes to an end: seen by the episode, which waits for it.

import { invariant } from './invariant.ts';

export const stuck = invariant({
  name: 'stuck',
  says: 'the campaign ends, and so does every command',
});

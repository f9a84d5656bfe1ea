// Every campaign and command ends. The episode, which waits for them, reports it.

import { invariant } from './invariant.ts';

export const stuck = invariant({
  name: 'stuck',
  says: 'the campaign ends, and so does every command',
});

// The backend keeps what it has acknowledged: such an image is durably on its disk, also after a power cut.

import { invariant } from './invariant.ts';

export const acknowledged = invariant({
  name: 'acknowledged',
  says: 'every image that the backend has acknowledged is still there',
  watch: () => ({
    'backend-rest'({ lost }, _step, broken) {
      for (const what of lost) broken(`the backend had acknowledged ${what} and has lost it`);
    },
  }),
});

// The configuration that the backend believes in is the one that the vehicle holds.

import { isDeepStrictEqual } from 'node:util';
import type { ServicesFacts } from '../services-facts.ts';
import { invariant } from './invariant.ts';

export const configuration = invariant({
  name: 'configuration',
  says: 'what the backend was told is in force is in force',
  watch: () => ({
    services({ facts }, _step, broken) {
      for (const text of configurationFaults(facts)) broken(text);
    },
  }),
});

export function* configurationFaults({ configuration: last }: ServicesFacts): Generator<string> {
  if (last?.told == null) return;
  if (isDeepStrictEqual(last.held, JSON.parse(last.told))) return;
  yield `the backend was told of ${last.told}, the vehicle holds ${JSON.stringify(last.held)}`;
}

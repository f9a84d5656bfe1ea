// The vehicle has the configuration in force that the backend was told.

import { isDeepStrictEqual } from 'node:util';
import type { ServicesFacts } from '../services-facts.ts';
import { invariant } from './invariant.ts';

export const configuration = invariant({
  name: 'configuration',
  says: 'the configuration that the vehicle reports is the one in force',
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

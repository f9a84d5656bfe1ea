// No batch of measurements is lost, and no sample arrives twice.

import type { ServicesFacts } from '../services-facts.ts';
import { invariant } from './invariant.ts';

export const telemetry = invariant({
  name: 'telemetry',
  says: 'every measurement is at the backend exactly once',
  watch: () => ({
    services({ facts }, _step, broken) {
      for (const text of telemetryFaults(facts)) broken(text);
    },
  }),
});

export function* telemetryFaults({ senders, twice }: ServicesFacts): Generator<string> {
  for (const { sender, highest, batches, lost } of senders) {
    if (lost === 0 && batches === highest) continue;
    yield `of ${highest} batches of ${sender} the backend has taken ${batches}, ${lost} are lost`;
  }
  if (twice !== undefined) yield `${twice.did} of ${twice.at} arrived twice`;
}

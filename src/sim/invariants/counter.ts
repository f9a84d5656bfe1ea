// Security counters only rise, and no image below them is started.

import { ECU_NAMES, type EcuName } from '../machine-names.ts';
import type { VehicleContents } from '../vehicle-contents.ts';
import { type Broken, invariant, type SeenCampaign } from './invariant.ts';

export const counter = invariant({
  name: 'counter',
  says: 'a security counter never falls, and nothing below it is started',
  watch: () => ({
    start: ({ contents }, step, broken) => allRise(contents, step, broken),
    boot({ ecu, sha256, imageCounter, counter: own }, step, broken) {
      rises(ecu, own, step, broken);
      if (sha256 === undefined || imageCounter >= own) return;
      broken(`${ecu} started an image with counter ${imageCounter}, confirmed was ${own}`);
    },
    counter: ({ ecu, counter: own }, step, broken) => rises(ecu, own, step, broken),
    rest: ({ contents }, step, broken) => allRise(contents, step, broken),
    recovered: ({ contents }, step, broken) => allRise(contents, step, broken),
  }),
});

function allRise(contents: VehicleContents, step: SeenCampaign, broken: Broken): void {
  for (const ecu of ECU_NAMES) rises(ecu, contents[ecu].counter, step, broken);
}

function rises(ecu: EcuName, now: number, { counters }: SeenCampaign, broken: Broken): void {
  const before = counters.get(ecu) ?? 0;
  if (now < before) broken(`the counter of ${ecu} fell from ${before} to ${now}`);
}

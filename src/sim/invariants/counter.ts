// Security counters only rise, and guard what is started.

import { ECU_NAMES, type EcuName } from '../machine-names.ts';
import type { Truths } from '../truth.ts';
import { type Broken, invariant, type SeenCampaign } from './invariant.ts';

export const counter = invariant({
  name: 'counter',
  says: 'a security counter never falls, and nothing below it is started',
  watch: () => ({
    start: ({ truths }, step, broken) => allRise(truths, step, broken),
    boot({ ecu, sha256, imageCounter, counter: own }, step, broken) {
      rises(ecu, own, step, broken);
      if (sha256 === undefined || imageCounter >= own) return;
      broken(`${ecu} started an image with counter ${imageCounter}, confirmed was ${own}`);
    },
    counter: ({ ecu, counter: own }, step, broken) => rises(ecu, own, step, broken),
    rest: ({ truths }, step, broken) => allRise(truths, step, broken),
    recovered: ({ truths }, step, broken) => allRise(truths, step, broken),
  }),
});

function allRise(truths: Truths, step: SeenCampaign, broken: Broken): void {
  for (const ecu of ECU_NAMES) rises(ecu, truths[ecu].counter, step, broken);
}

function rises(ecu: EcuName, now: number, { counters }: SeenCampaign, broken: Broken): void {
  const before = counters.get(ecu) ?? 0;
  if (now < before) broken(`the counter of ${ecu} fell from ${before} to ${now}`);
}

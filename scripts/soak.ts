// `npm run soak -- --minutes 30 [--seed S]`: campaigns with all faults until it is told to stop; writes nothing.

import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { createEpisodeRunner } from '../src/sim/episode.ts';
import { parseProfile } from '../src/sim/profiles.ts';
import { violationText } from '../src/sim/report.ts';
import { simulate } from '../src/sim/simulate.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: new Date().toISOString().slice(0, 10) },
    faults: { type: 'string', default: 'all' },
    'image-bytes': { type: 'string', default: '16384' },
  },
});
const minutes = Number(values.minutes);
const imageBytes = Number(values['image-bytes']);
if (!(minutes > 0) || !Number.isSafeInteger(imageBytes) || imageBytes < 1) {
  process.stderr.write('soak: --minutes and --image-bytes are numbers above 0\n');
  process.exit(2);
}

const LINE_EVERY = 100;
const endMs = performance.now() + minutes * 60_000;
let stopped = false;
let nextLine = LINE_EVERY;
process.once('SIGINT', () => {
  stopped = true;
});

const report = await simulate({
  seed: values.seed,
  categories: parseProfile(values.faults),
  vehicles: 1,
  imageBytes,
  sabotage: undefined,
  runEpisode: createEpisodeRunner({ imageBytes, sabotage: undefined }),
  nowMs: () => performance.now(),
  more: () => performance.now() < endMs,
  campaigns: undefined,
  shrinkLimit: 150,
  maxFailures: 10,
  stopped: () => stopped,
  onEpisode: (soFar) => {
    if (soFar.campaigns < nextLine) return;
    while (nextLine <= soFar.campaigns) nextLine += LINE_EVERY;
    const { success, rolledBack, rejected, safeState, violations } = soFar;
    process.stderr.write(
      `${soFar.campaigns} campaigns in ${Math.round(soFar.seconds)} s: success ${success}, rolled back ${rolledBack}, ` +
        `rejected ${rejected}, safe state ${safeState}, violations ${violations.length}\n`,
    );
  },
  onViolation: (violation) => void process.stderr.write(`${violationText(violation)}\n`),
});
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exitCode = report.violations.length === 0 ? 0 : 1;

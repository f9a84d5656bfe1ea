// `npm run soak -- --minutes 30 [--seed S] [--jobs N]`: runs campaigns with all faults until the time is over.
// Prints each violation when it is found, and at the end all kinds of violations and a JSON report. Writes no file.

import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { EpisodePool } from '../src/sim/episode-pool.ts';
import { parseProfile } from '../src/sim/profiles.ts';
import { kindsText, violationLine } from '../src/sim/report.ts';
import { simulate } from '../src/sim/simulate.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: new Date().toISOString().slice(0, 10) },
    faults: { type: 'string', default: 'all' },
    'image-bytes': { type: 'string', default: '16384' },
    jobs: { type: 'string', default: String(availableParallelism()) },
  },
});
const minutes = Number(values.minutes);
const imageBytes = Number(values['image-bytes']);
const jobs = Number(values.jobs);
if (!(minutes > 0) || ![imageBytes, jobs].every((n) => Number.isSafeInteger(n) && n > 0)) {
  process.stderr.write('soak: --minutes, --image-bytes and --jobs are numbers above 0\n');
  process.exit(2);
}

const LINE_EVERY = 100;
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const endMs = performance.now() + minutes * 60_000;
const pool = new EpisodePool({ jobs, imageBytes, sabotage: undefined, measured: 0 });
let stopped = false;
let nextLine = LINE_EVERY;
const stop = (): void => {
  stopped = true;
  pool.close();
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);

const report = await simulate({
  seed: values.seed,
  categories: parseProfile(values.faults),
  vehicles: 1,
  imageBytes,
  sabotage: undefined,
  runEpisode: pool.run,
  jobs,
  nowMs: () => performance.now(),
  more: () => performance.now() < endMs,
  campaigns: undefined,
  shrinkLimit: 150,
  // Violations are counted until the time is over.
  maxFailures: Number.POSITIVE_INFINITY,
  stopped: () => stopped,
  onEpisode: (soFar) => {
    if (soFar.campaigns < nextLine) return;
    while (nextLine <= soFar.campaigns) nextLine += LINE_EVERY;
    const { campaigns, seconds, violations } = soFar;
    say(`${campaigns} campaigns in ${Math.round(seconds)} s, violations ${violations.length}`);
  },
  onViolation: (violation) => say(violationLine(violation)),
}).finally(() => pool.close());
say(kindsText(report));
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exitCode = report.violations.length === 0 ? 0 : 1;

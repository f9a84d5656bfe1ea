// `npm run mutate -- --seconds 600 --seed S [--folder src/uds]`: makes single random changes to the source and shows
// which of them the tests of the same folder do not detect. It works on copies and only reads the tree.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { present } from '../src/core/present.ts';
import { seededRandom } from '../src/sim/seeded-random.ts';
import { Compiler, mutated } from './mutate/compiler.ts';
import { copiesOf } from './mutate/copies.ts';
import type { Mutation } from './mutate/mutations.ts';
import { endAllRuns, runFolder, testFolderOf } from './mutate/run-folder.ts';

const root = path.resolve(import.meta.dirname, '..');
const DEFAULT_FOLDERS = [
  ...['src/core', 'src/bus', 'src/isotp', 'src/uds', 'src/drivers', 'src/campaign', 'src/trust'],
  ...['src/vehicle', 'ecus/bootloader'],
];
/** Limit of a test run, relative to its duration without a change; a longer run counts as endless. */
const PATIENCE = { factor: 5, leastMs: 60_000 };

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    seed: { type: 'string', default: new Date().toISOString().slice(0, 10) },
    folder: { type: 'string', multiple: true, default: DEFAULT_FOLDERS },
    jobs: { type: 'string', default: String(availableParallelism()) },
    most: { type: 'string', default: 'Infinity' },
  },
});
const [seconds, jobs, most] = [Number(values.seconds), Number(values.jobs), Number(values.most)];
if (!(seconds > 0) || !(jobs >= 1) || !Number.isInteger(jobs) || !(most >= 1)) {
  process.stderr.write('mutate: --seconds, --jobs and --most are numbers above 0\n');
  process.exit(2);
}

/** A change that does not alter the behaviour, so no test can detect it. */
interface Equivalent {
  readonly file: string;
  /** The line without its indent. */
  readonly source: string;
  readonly change: string;
  readonly reason: string;
}
const equivalents = JSON.parse(
  readFileSync(path.join(import.meta.dirname, 'mutate', 'equivalent.json'), 'utf8'),
) as Equivalent[];
const isEquivalent = ({ file, source, change }: Mutation): boolean =>
  equivalents.some(
    (each) => each.file === file && each.source === source && each.change === change,
  );

interface Score {
  noticed: number;
  late: number;
  readonly survivors: Mutation[];
}
const scores = new Map<string, Score>();
let doNotCompile = 0;
let named = 0;

await using copies = await copiesOf(root);
using compiler = new Compiler(await copies.make('compiler'));
let stopped = false;
process.once('SIGINT', () => {
  stopped = true;
  endAllRuns();
});

const mutations = values.folder
  .flatMap((folder) => sourcesOf(folder))
  .flatMap((file) => compiler.mutationsOf(file));
const random = seededRandom(values.seed);
/** The mutations in an order that depends only on the seed; seconds and jobs limit how many are tested. */
const drawn = mutations
  .map((mutation) => ({ mutation, at: random.fork(keyOf(mutation)).fraction() }))
  .sort((a, b) => a.at - b.at)
  .map(({ mutation }) => mutation);
process.stderr.write(
  `seed ${values.seed}: ${mutations.length} mutations in ${values.folder.join(', ')}\n`,
);

const endMs = performance.now() + seconds * 1000;
let taken = 0;
const baselines = new Map<string, Promise<number>>();
await Promise.all(Array.from({ length: jobs }, (_, job) => work(job)));
print();

async function work(job: number): Promise<void> {
  const copy = await copies.make(`job-${job}`);
  for (let mutation = next(); mutation !== undefined; mutation = next()) {
    const folder = testFolderOf(copy, mutation.file);
    const score = scoreOf(mutation.file);
    let verdict = 'passed';
    if (folder !== undefined) {
      const usualMs = await baselineOf(copy, folder);
      const file = path.join(copy, mutation.file);
      const text = readFileSync(file, 'utf8');
      writeFileSync(file, mutated(text, mutation));
      const limitMs = Math.max(PATIENCE.leastMs, PATIENCE.factor * usualMs);
      verdict = await runFolder(copy, folder, limitMs);
      writeFileSync(file, text);
    }
    if (stopped) return;
    if (verdict === 'passed') score.survivors.push(mutation);
    else score.noticed++;
    if (verdict === 'late') score.late++;
    const word = { passed: 'SURVIVED', failed: 'noticed', late: 'does not end' }[verdict];
    process.stderr.write(`${word}: ${mutation.file}:${mutation.line} ${mutation.change}\n`);
  }
}

/** The next mutation that compiles and is not known as equivalent. */
function next(): Mutation | undefined {
  while (!stopped && performance.now() < endMs && count() < most) {
    const mutation = drawn[taken++];
    if (mutation === undefined) return undefined;
    if (isEquivalent(mutation)) named++;
    else if (!compiler.compiles(mutation)) doNotCompile++;
    else return mutation;
  }
  return undefined;
}

function count(): number {
  return taken - named - doNotCompile;
}

/** Duration of a folder's tests without a change. They must pass. */
function baselineOf(copy: string, folder: string): Promise<number> {
  const known = baselines.get(folder);
  if (known !== undefined) return known;
  const measured = (async () => {
    const startMs = performance.now();
    const verdict = await runFolder(copy, folder, 3_600_000);
    if (verdict !== 'passed' && !stopped) {
      throw new Error(`the tests of ${folder} fail without any change: repair them first`);
    }
    return performance.now() - startMs;
  })();
  baselines.set(folder, measured);
  return measured;
}

function sourcesOf(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .sort()
    .map((name) => path.posix.join(folder, name));
}

function keyOf({ file, start, end, change }: Mutation): string {
  return `${file} ${start} ${end} ${change}`;
}

function scoreOf(file: string): Score {
  const folder = present(
    values.folder.find((each) => file.startsWith(`${each}/`)),
    `the folder of ${file}`,
  );
  const score = scores.get(folder) ?? { noticed: 0, late: 0, survivors: [] };
  scores.set(folder, score);
  return score;
}

function print(): void {
  let [all, noticed] = [0, 0];
  for (const [folder, score] of [...scores].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const total = score.noticed + score.survivors.length;
    [all, noticed] = [all + total, noticed + score.noticed];
    const late = score.late === 0 ? '' : `, of these ${score.late} by not ending`;
    process.stdout.write(`${folder}: ${score.noticed} of ${total} noticed${late}\n`);
    for (const { file, line, change } of score.survivors) {
      process.stdout.write(`  ${file}:${line} ${change}\n`);
    }
  }
  process.stdout.write(
    `${noticed} of ${all} noticed; ${doNotCompile} did not compile, ${named} are named as equivalent\n`,
  );
}

// `npm test`: runs all stages that this machine can run, from small to large, and prints what was left out and why.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

interface Stage {
  readonly name: string;
  readonly command: readonly string[];
  /** File to which vitest writes its counts. */
  readonly report?: string;
  /** Exit code for a machine that cannot run the stage, with the missing parts. */
  readonly cannot?: { readonly code: number; readonly why: string };
  /** Runs at the same time as the next stages, up to one with `alone`; its output is shown afterwards. */
  readonly meanwhile?: boolean;
  readonly alone?: boolean;
}

const root = path.resolve(import.meta.dirname, '..');
const out = mkdtempSync(path.join(tmpdir(), 'can-ota-test-'));
const bin = path.join(root, 'node_modules', '.bin');
const report = (name: string): string => path.join(out, `${name}.json`);
const vitest = (project: string, file: string): string[] => [
  'vitest',
  'run',
  '--project',
  project,
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${file}`,
];

const GENTLY = ['nice', '-n', '19'];

const stages: Stage[] = [
  { name: 'format and lint', command: ['biome', 'check', '.'] },
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'unused files, exports and packages', command: ['knip'] },
  // The built package, which the tests on vcan0 and the tests of the package run.
  { name: 'build', command: ['tsc', '-p', 'tsconfig.build.json'] },
  { name: 'unit', command: vitest('unit', report('unit')), report: report('unit') },
  {
    name: 'processes, vcan0',
    // The user-mode kernel has one processor. Of its files only those in the host's folder $CAN_OTA_OUT remain.
    command: [path.join(root, 'scripts/with-vcan.sh'), ...vitest('vcan', report('vcan'))],
    report: report('vcan'),
    meanwhile: true,
    cannot: {
      code: 125,
      why: 'no vcan in this kernel and no user-mode kernel: install user-mode-linux, iproute2, kmod and can-utils',
    },
  },
  // Lowest priority: both run in virtual time, and the processes on vcan0 have deadlines.
  { name: 'slow', command: [...GENTLY, ...vitest('slow', report('slow'))], report: report('slow') },
  {
    name: 'simulation',
    command: [...GENTLY, ...vitest('simulation', report('simulation'))],
    report: report('simulation'),
  },
  {
    name: 'processes, local bus',
    command: vitest('world', report('world')),
    report: report('world'),
    alone: true,
  },
];

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
    /** Why the file as a whole failed; empty otherwise. */
    readonly message: string;
    readonly name: string;
  }[];
}

const leftOut: string[] = [];
/** Said again at the end: what a stage printed may be thousands of lines above it. */
const failures: string[] = [];
const totals = { passed: 0, failed: 0, skipped: 0 };
let broken = false;

let beside: { readonly stage: Stage; readonly ended: Promise<Ended> } | undefined;

for (const stage of stages) {
  if (stage.meanwhile === true) {
    beside = { stage, ended: run(stage, 'kept') };
    continue;
  }
  if (stage.alone === true) await settle();
  judge(stage, await run(stage, 'shown'));
}
await settle();
rmSync(out, { recursive: true, force: true });

process.stdout.write('\n');
for (const failure of failures) process.stdout.write(`FAILED ${failure}\n\n`);
for (const reason of leftOut) process.stdout.write(`left out: ${reason}\n`);
process.stdout.write(
  `${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`,
);
process.exitCode = broken || totals.failed > 0 ? 1 : 0;

/** The stage that runs beside the others. */
async function settle(): Promise<void> {
  if (beside !== undefined) judge(beside.stage, await beside.ended);
  beside = undefined;
}

interface Ended {
  readonly status: number | null;
  readonly seconds: string;
  /** Output that was not shown at once. */
  readonly kept: Buffer;
}

async function run(stage: Stage, output: 'shown' | 'kept'): Promise<Ended> {
  if (output === 'shown') process.stdout.write(`\n== ${stage.name}\n`);
  const startedMs = Date.now();
  const [program = '', ...args] = stage.command;
  const child = spawn(program, args, {
    cwd: root,
    stdio: output === 'shown' ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: `${bin}${path.delimiter}${process.env.PATH}`,
      CAN_OTA_OUT: out,
      CI: '1',
    },
  });
  const kept: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => kept.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => kept.push(chunk));
  const status = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', (code) => resolve(code));
  });
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  return { status, seconds, kept: Buffer.concat(kept) };
}

function judge(stage: Stage, { status, seconds, kept }: Ended): void {
  if (kept.length > 0) process.stdout.write(`\n== ${stage.name}\n${kept}`);
  if (stage.cannot !== undefined && status === stage.cannot.code) {
    leftOut.push(`${stage.name}: ${stage.cannot.why}`);
    process.stdout.write(`== ${stage.name}: left out\n`);
    return;
  }
  if (stage.report !== undefined) count(stage.name, stage.report);
  else if (status === 0) totals.passed++;
  else {
    totals.failed++;
    failures.push(`${stage.name}: see its output above`);
  }
  if (status !== 0) broken = true;
  process.stdout.write(
    `== ${stage.name}: ${status === 0 ? 'passed' : `FAILED (${status})`} in ${seconds} s\n`,
  );
}

function count(stage: string, file: string): void {
  let result: VitestReport;
  try {
    result = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  } catch {
    // Without a report the runner itself has failed, whatever its exit code.
    totals.failed++;
    failures.push(`${stage}: it ended without a report, see its output above`);
    broken = true;
    return;
  }
  totals.passed += result.numPassedTests;
  totals.failed += result.numFailedTests;
  totals.skipped += result.numPendingTests;
  for (const suite of result.testResults) {
    const file = path.relative(root, suite.name);
    if (suite.message !== '') failures.push(`${stage}: ${file}\n${suite.message}`);
    for (const test of suite.assertionResults) {
      if (test.status === 'skipped' || test.status === 'pending')
        leftOut.push(`${stage}: ${test.fullName}`);
      if (test.status === 'failed')
        failures.push(
          `${stage}: ${file}: ${test.fullName}\n${test.failureMessages.join('\n')}`.trimEnd(),
        );
    }
  }
}

// A small device on the bench: enrolled, updated in chunks, killed during the update, and checked at the end.

import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { present } from '../core/present.ts';
import type { DeviceEvent } from '../device/device-event.ts';
import type { Child, Children } from './children.ts';
import { firmware, STANDARD } from './images.ts';
import type { BenchView } from './view.ts';
import type { BenchTokens } from './world.ts';

export interface DeviceFigures {
  readonly from: string;
  readonly to: string;
  /** SHA-256 of the flash file that the device runs at the end. */
  readonly sha256: string;
  /** Number of chunks of the encrypted image. */
  readonly chunks: number;
  /** The second run continued where the first one was killed. */
  readonly resumed: boolean;
  /** Largest working memory in bytes. */
  readonly peakBytes: number;
}

export interface DeviceOnBench {
  readonly figures: DeviceFigures;
  readonly problems: readonly string[];
}

export interface DeviceBenchOptions {
  readonly children: Children;
  /** Folder of the bench. */
  readonly folder: string;
  readonly url: string;
  readonly tokens: BenchTokens;
  readonly view: BenchView;
}

const MODEL = 'SENSOR-1';
const INV = present(STANDARD.INV, 'INV of the standard images');
const OLD = { file: INV.factory, version: '1.0.0' };
const NEW = { file: INV.release, version: '2.0.0' };
/** Share of the image after which the device is killed. */
const KILL_AT = 0.4;

export async function benchDevice(options: DeviceBenchOptions): Promise<DeviceOnBench> {
  const { folder, url, view } = options;
  const work = path.join(folder, 'device');
  await mkdir(work, { recursive: true, mode: 0o700 });
  const file = (name: string): string => path.join(work, name);
  for (const role of ['factory', 'release'] as const) {
    await writeFile(file(`${role}.token`), `${options.tokens[role]}\n`, { mode: 0o600 });
  }
  const state = ['--state-dir', file('state')];
  const server = ['--server', url];
  const run = (name: string, args: readonly string[]) => finished(options, name, args);
  await run('key', ['keys', 'device-key', '--out', file('release.pem')]);
  await run('device', [
    ...['device', 'enroll', '--model', MODEL, '--release-key', file('release.pem.pub')],
    ...['--image', `${path.join(firmware, OLD.file)}@${OLD.version}`],
    ...[...server, '--token-file', file('factory.token'), ...state],
  ]);
  await run('release', [
    ...['release', 'device', path.join(firmware, NEW.file), '--model', MODEL, '--counter', '2'],
    ...['--version', NEW.version, '--key', file('release.pem'), ...server],
    ...['--token-file', file('release.token')],
  ]);
  const update = ['device', 'run', '--once', '--json', ...server, ...state];
  const first = await watched(options, update, KILL_AT);
  view.line(`device: killed after ${first.received} of ${first.total} bytes`);
  const second = await watched(options, update);
  const problems: string[] = [];
  const released = await digestOf(path.join(firmware, NEW.file), undefined);
  const length = (await readFile(path.join(firmware, NEW.file))).length;
  const banks = await Promise.all(
    ['bank-a.bin', 'bank-b.bin'].map((bank) =>
      digestOf(path.join(work, 'state', bank), length).catch(() => ''),
    ),
  );
  const held = banks.includes(released);
  if (second.outcome !== 'success') {
    problems.push(`the device ended with ${second.outcome}${second.reason}`);
  }
  if (!held) problems.push(`no bank of the device has the released SHA-256 ${released}`);
  if (second.resumedAt === 0)
    problems.push('the device started from the beginning after it was killed');
  return {
    figures: {
      from: first.from,
      to: second.version,
      sha256: held ? released : banks.join(' '),
      chunks: Math.ceil(second.total / second.chunkBytes),
      resumed: second.resumedAt > 0,
      peakBytes: Math.max(first.peakBytes, second.peakBytes),
    },
    problems,
  };
}

interface Watched {
  from: string;
  version: string;
  outcome: string;
  reason: string;
  received: number;
  total: number;
  chunkBytes: number;
  resumedAt: number;
  peakBytes: number;
}

/** `killAt`: the share of the image after which the process gets SIGKILL. */
async function watched(
  { children }: DeviceBenchOptions,
  args: readonly string[],
  killAt?: number,
): Promise<Watched> {
  const seen: Watched = {
    ...{ from: '', version: '', outcome: '', reason: '' },
    ...{ received: 0, total: 0, chunkBytes: 1, resumedAt: 0, peakBytes: 0 },
  };
  const child: Child = children.start('device', args, {
    mayEnd: true,
    onLine: (line) => {
      const event = JSON.parse(line) as DeviceEvent;
      note(seen, event);
      const due = killAt !== undefined && seen.received >= killAt * seen.total && seen.total > 0;
      if (due && event.kind === 'progress') child.process.kill('SIGKILL');
    },
  });
  await child.exited;
  return seen;
}

function note(seen: Watched, event: DeviceEvent): void {
  switch (event.kind) {
    case 'boot':
      if (seen.from === '') seen.from = event.version ?? '';
      break;
    case 'package':
      seen.chunkBytes = event.chunkBytes;
      seen.resumedAt = event.resumedAt;
      seen.total = event.length;
      break;
    case 'progress':
      seen.received = event.received;
      break;
    case 'outcome':
      seen.outcome = event.outcome;
      seen.version = event.version;
      seen.reason = event.reason === undefined ? '' : `: ${event.reason}`;
      seen.peakBytes = event.peakBytes;
      break;
    default:
      break;
  }
}

/** Throws ChildError if the process does not end with 0. */
async function finished(
  { children }: DeviceBenchOptions,
  name: string,
  args: readonly string[],
): Promise<void> {
  const child = children.start(name, args, { mayEnd: true });
  const exit = await child.exited;
  if (exit.code !== 0) throw child.failure(exit);
}

/** SHA-256 of the first `length` bytes of a file, or of all. */
async function digestOf(file: string, length: number | undefined): Promise<string> {
  const bytes = await readFile(file);
  return createHash('sha256').update(bytes.subarray(0, length)).digest('hex');
}

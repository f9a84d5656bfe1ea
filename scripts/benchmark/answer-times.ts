// Times from a request's last frame to the first frame of its answer, final or 78, as the broker of the bus stamps them.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openBus } from '../../src/bus/open-bus.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { present } from '../../src/core/present.ts';
import { connectTester } from '../../src/onboard/bus.ts';
import { loadVehicle } from '../../src/onboard/vehicle-file.ts';
import { DEFAULT_SERVER_TIMING } from '../../src/uds/server-types.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { Worker } from './processes.ts';

/** One request of each kind that needs no key: sessions, identification, digests, reports, refusals, 34 without a key. */
const REQUESTS = [
  '1001',
  '1003',
  '22f189',
  '22f190f191f18c',
  '22fd00',
  '22fd01',
  '22fd01fd00f189',
  '22fd20',
  '22fd22',
  '22ffff',
  '1902ff',
  '14ffffff',
  '3e00',
  '2701',
  '2702000102030405060708090a0b0c0d0e0f',
  '31030202',
  '3101ff000044080000000000100000',
  '28 01 01',
  '8502',
  '8501',
  '2ef190',
  '2f0001',
  '3400440800000000001000',
  '3601',
  '37',
  '1101',
].map((text) => fromHex(text.replaceAll(' ', '')));

export interface AnswerTimes {
  readonly answers: number;
  /** Answers of which the first frame came later than P2server_max. */
  readonly late: number;
  readonly p2Ms: number;
  readonly worstMs: number;
  /** The request of the slowest answer, hexadecimal. */
  readonly worst: string;
}

/** Rounds of all requests, the last of each a reset; `busy` processes that compute without a pause compete with the ECU. */
export async function measureAnswerTimes(
  spec: string,
  rounds: number,
  busy: number,
): Promise<AnswerTimes> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-benchmark-'));
  try {
    await using stack = new AsyncDisposableStack();
    const { bus } = await openBus(spec, { clock: systemClock, logger: silentLogger });
    stack.defer(() => bus.close());
    for (let index = 0; index < busy; index++) {
      const burner = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
      stack.defer(() => void burner.kill('SIGKILL'));
    }
    const flash = ['--flash', path.join(folder, 'EDT'), '--bus', spec, '--json', '--bench-keys'];
    stack.use(new Worker('src/cli/main.ts', ['ecu', 'EDT', ...flash]));
    const ecu = findEcu(await loadVehicle(undefined, false), 'EDT');
    const requester = connectTester(bus, ecu, { logger: silentLogger });
    stack.defer(() => requester.close());

    let askedMs = 0;
    let answeredMs: number | undefined;
    bus.monitor(({ frame, atMs }) => {
      const kind = (frame.data[0] ?? 0) >> 4;
      if (frame.id === 0x7e1 && kind !== 3) {
        askedMs = atMs;
        answeredMs = undefined;
      } else if (frame.id === 0x7e9 && kind !== 3) answeredMs ??= atMs;
    });
    const took: { readonly ms: number; readonly request: string }[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const request of REQUESTS) {
        answeredMs = undefined;
        const reply = await requester.request(request);
        if (reply.kind === 'silent') {
          // The ECU has not started yet, or it restarts.
          if (answeredMs === undefined) continue;
        }
        const ms: number = present<number>(answeredMs, 'the time of the answer') - askedMs;
        took.push({ ms, request: Buffer.from(request).toString('hex') });
      }
    }
    const p2Ms = DEFAULT_SERVER_TIMING.p2Ms;
    const [slowest] = [...took].sort((a, b) => b.ms - a.ms);
    return {
      answers: took.length,
      late: took.filter(({ ms }) => ms > p2Ms).length,
      p2Ms,
      worstMs: slowest?.ms ?? 0,
      worst: slowest?.request ?? '',
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

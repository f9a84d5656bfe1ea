// `npm run benchmark`: measures the parts, each compared with a limit or a peer of the same run; no time is a failure.
//   --only NAME   one of engine, simulation, local, vcan, programming, memory, chunked, trust, checkins, files
//   --seconds N   per measurement (default 3)
//   --peer NAME=COMMAND   another ISO-TP stack on vcan0: prints {"bytesPerSecond": n}; gets IFACE and SECONDS

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { transferLimit } from '../src/bus/transfer-limit.ts';
import { present } from '../src/core/present.ts';
import { measureAnswerTimes } from './benchmark/answer-times.ts';
import { measureCheckins } from './benchmark/checkins.ts';
import { measureChunked } from './benchmark/chunked.ts';
import { measureDownload } from './benchmark/download-memory.ts';
import { measureFlashFiles } from './benchmark/flash-files.ts';
import { measureEngine } from './benchmark/isotp-engine.ts';
import { hasKey, isReady, Worker } from './benchmark/processes.ts';
import { programTogether } from './benchmark/programming.ts';
import {
  measureSimulatedTraffic,
  measureSimulatedTransfer,
  profileSimulatedTransfer,
} from './benchmark/simulated-transfer.ts';
import { measureDecryption, measureVerification } from './benchmark/trust.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seconds: { type: 'string', default: '3' },
    peer: { type: 'string', multiple: true, default: [] },
  },
});
const seconds = Number(values.seconds);
const root = path.resolve(import.meta.dirname, '..');
const BUS_CHILD = 'scripts/benchmark/bus-child.ts';

const line = (text = ''): void => {
  process.stdout.write(`${text}\n`);
};
const row = (what: string, figure: string, beside = ''): void => {
  line(`  ${what.padEnd(46)} ${figure.padStart(18)}   ${beside}`);
};
const per = (value: number, unit: string): string =>
  `${Math.round(value).toLocaleString('en')} ${unit}`;
const kB = (bytesPerSecond: number): string => `${(bytesPerSecond / 1000).toFixed(1)} kB/s`;
const MB = (bytesPerSecond: number): string => per(bytesPerSecond / 1e6, 'MB/s');
const ms = (value: number): string => `${value.toFixed(2)} ms`;
const kilobytes = (bytes: number): string => `${Math.round(bytes / 1000).toLocaleString('en')} kB`;
const share = (value: number, of: number): string => `${((100 * value) / of).toFixed(1)} %`;

const CLASSIC = { bitrate: 500_000, fd: false, txDl: 8, blockLength: 0xfff } as const;
const FD = {
  bitrate: 500_000,
  dataBitrate: 2_000_000,
  fd: true,
  txDl: 64,
  blockLength: 0xfff,
} as const;

const sections: Record<string, () => Promise<void>> = {
  engine: async () => {
    line('ISO-TP engine: segmentation and reassembly on one core, no bus');
    for (const [name, fd] of [
      ['classic, 8 bytes', false],
      ['CAN FD, 64 bytes', { txDl: 64, brs: true }],
    ] as const) {
      measureEngine(fd, 0.3); // warm up the compiler
      const rate = measureEngine(fd, seconds);
      const fullBus = fd === false ? transferLimit(CLASSIC) : transferLimit(FD);
      const buses = rate.bytesPerSecond / fullBus.bytesPerSecond;
      row(
        name,
        per(rate.framesPerSecond, 'frames/s'),
        `${kB(rate.bytesPerSecond)}, ${buses.toFixed(0)} full buses of 500 kbit/s`,
      );
    }
  },
  simulation: async () => {
    line('Simulated wire under virtual time, 500 kbit/s, five nodes, one process on one core');
    await measureSimulatedTransfer(0.5); // warm up the compiler
    const transfer = await measureSimulatedTransfer(seconds);
    const micros = (rate: { seconds: number; frames: number }): string =>
      `${((1e6 * rate.seconds) / rate.frames).toFixed(2)} us a frame`;
    row(
      'images of 16 KiB over UDS and ISO-TP',
      per(transfer.frames / transfer.seconds, 'frames/s'),
      `${micros(transfer)}; ${(transfer.virtualSeconds / transfer.seconds).toFixed(0)} times as fast as real time`,
    );
    const shares = await profileSimulatedTransfer(seconds);
    row(
      'of that time, the clock and promises',
      share(shares.clock, 1),
      `wire ${share(shares.wire, 1)}, ISO-TP ${share(shares.isoTp, 1)}, UDS ${share(shares.uds, 1)}, other ${share(shares.other, 1)}`,
    );
    const traffic = await measureSimulatedTraffic(20_000);
    row(
      'cyclic frames, four every 100 ms',
      per(traffic.frames / traffic.seconds, 'frames/s'),
      `${micros(traffic)}; ${((1e6 * traffic.seconds) / traffic.virtualSeconds).toFixed(0)} us a virtual second`,
    );
  },
  local: async () => {
    line('Local bus, unpaced, between two processes');
    for (const fd of [false, true]) await flood(`local:benchmark-${process.pid}?bitrate=0`, fd);
    await askAndAnswer(`local:benchmark-${process.pid}?bitrate=0`, false);
    line('Local bus, paced at 500 kbit/s');
    await askAndAnswer(
      `local:benchmark-${process.pid}-500?bitrate=500000`,
      false,
      transferLimit(CLASSIC),
    );
  },
  vcan: async () => {
    if (!existsSync('/sys/class/net/vcan0')) return inGuest();
    line('SocketCAN, vcan0, between two processes');
    for (const fd of [false, true]) await flood('vcan0', fd);
    const own = await askAndAnswer('vcan0', false);
    await askAndAnswer('vcan0', true);
    line('Other stacks, the same exchange on the same vcan0');
    const peers = new Map(values.peer.map((text) => text.split(/=(.*)/s, 2) as [string, string]));
    peers.set(
      'python-can-isotp',
      `python3 ${path.join(root, 'scripts/benchmark/peer-python-can-isotp.py')}`,
    );
    for (const [name, command] of peers) {
      const { stdout, status } = spawnSync('sh', ['-c', `${command} vcan0 ${seconds}`], {
        encoding: 'utf8',
      });
      const text = stdout.trim().split('\n').at(-1) ?? '';
      if (status !== 0 || !text.startsWith('{'))
        row(name, 'left out', `not installed, or ended with ${status}`);
      else {
        const { bytesPerSecond, lost } = JSON.parse(text) as {
          bytesPerSecond: number;
          lost?: number;
        };
        row(
          name,
          kB(bytesPerSecond),
          `ours is ${(own / bytesPerSecond).toFixed(1)} times as fast; it lost ${lost ?? 'an unknown number of'} messages`,
        );
      }
    }
  },
  programming: async () => {
    line(
      'Programming over UDS, ECUs as processes (from 34 to 37, blocks of 4,093 bytes, stored durably)',
    );
    const unpaced = `local:benchmark-${process.pid}-p?bitrate=0`;
    const size = 1 << 20;
    for (const ecus of [['EDT'], ['EDT', 'INV', 'CGW']]) {
      const total = await programTogether(unpaced, ecus, size, false);
      row(
        `${ecus.length} ECU${ecus.length > 1 ? 's at once' : ''}, unpaced`,
        kB(total),
        'together',
      );
    }
    for (const [name, options, query] of [
      ['classic', CLASSIC, 'bitrate=500000'],
      ['CAN FD', FD, 'bitrate=500000&data-bitrate=2000000'],
    ] as const) {
      const limit = transferLimit({ ...options, requestId: 0x7e1, responseId: 0x7e9 });
      const rate = await programTogether(
        `local:benchmark-${process.pid}-q${name[0]}?${query}`,
        ['EDT'],
        options.fd ? 600_000 : 100_000,
        options.fd,
      );
      row(
        `1 ECU, ${query.replace('&', ', ')}`,
        kB(rate),
        `${share(rate, limit.bytesPerSecond)} of the limit by the bit rate`,
      );
      line(`      limit: ${limit.formula}`);
    }
  },
  answers: async () => {
    line(
      'Answers of an ECU as a process, from the last frame of the request to the first of the answer',
    );
    for (const busy of [0, 4]) {
      const spec = `local:benchmark-${process.pid}-a${busy}?bitrate=500000`;
      const times = await measureAnswerTimes(spec, 2 * seconds, busy);
      row(
        busy === 0 ? 'later than P2server_max' : `beside ${busy} processes that compute`,
        share(times.late, times.answers),
        `${times.late} of ${times.answers} later than ${times.p2Ms} ms; the slowest ${ms(times.worstMs)}, to ${times.worst}`,
      );
    }
  },
  memory: async () => {
    line('TMU: download of 256 MiB from the backend on this machine');
    const { peakBytes, seconds: took, baseBytes } = await measureDownload(256 << 20);
    row(
      'peak resident memory',
      `${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
      `${(baseBytes / 2 ** 20).toFixed(0)} MiB for an image of 1 MiB`,
    );
    row('rate, SHA-256 and fsync included', `${(256 / took).toFixed(0)} MiB/s`);
  },
  chunked: async () => {
    line('TMU: an image of 1.03 MB from the backend on this machine, SHA-256 and fsync included');
    const { httpBytesPerSecond, chunked } = await measureChunked(seconds, [1024, 16_384]);
    const rate = (value: number): string => `${(value / 1e6).toFixed(2)} MB/s`;
    row('plain HTTP', rate(httpBytesPerSecond));
    for (const { chunkBytes, bytesPerSecond } of chunked) {
      row(
        `chunks of ${chunkBytes.toLocaleString('en')} bytes, each with an HMAC`,
        rate(bytesPerSecond),
        `${share(bytesPerSecond, httpBytesPerSecond)} of plain HTTP`,
      );
    }
  },
  trust: async () => {
    line('Full verification of both repositories for three ECUs, on one core');
    for (const images of [10, 1000, 10_000]) {
      const cost = await measureVerification(images, seconds);
      const name = `${images.toLocaleString('en')} images`;
      row(
        `${name}, from the first Roots`,
        ms(cost.coldMs),
        `${share(cost.bareMs, cost.coldMs)} of it are its ${cost.signatures} Ed25519 signatures (alone ${ms(cost.bareMs)}); ${kilobytes(cost.jsonBytes)} of JSON`,
      );
      row(
        `${name}, nothing new`,
        ms(cost.againMs),
        `reading the stored state after a restart:  ${ms(cost.restoreMs)}`,
      );
    }
    const decryption = measureDecryption(seconds);
    row(
      'decryption of an image, X25519 to plain text',
      MB(decryption.bytesPerSecond),
      `AES-256-GCM alone: ${MB(decryption.blocksBytesPerSecond)} in blocks of 4 KiB, ${MB(decryption.bareBytesPerSecond)} as one stream`,
    );
  },
  checkins: async () => {
    line('Check-ins of vehicles with four reports each, over HTTP, a real server on this machine');
    const rates = await measureCheckins(seconds);
    row(
      'nothing has changed',
      per(rates.unchangedPerSecond, 'check-ins/s'),
      `${share(rates.unchangedPerSecond, rates.healthzPerSecond)} of GET /healthz`,
    );
    row(
      'new Targets, Snapshot and Timestamp each time',
      per(rates.changedPerSecond, 'check-ins/s'),
      `${share(rates.changedPerSecond, rates.healthzPerSecond)} of GET /healthz`,
    );
    row('GET /healthz', per(rates.healthzPerSecond, 'requests/s'));
  },
  files: async () => {
    line('Flash files of 4 MiB of data, read on one core');
    for (const { name, fileBytes, firstMs, bestMs } of measureFlashFiles(4 << 20, seconds)) {
      row(
        `${name}, ${(fileBytes / 1e6).toFixed(1)} MB`,
        ms(bestMs),
        `${MB((1000 * fileBytes) / bestMs)} of text; the first time ${ms(firstMs)}`,
      );
    }
  },
};

async function flood(spec: string, fd: boolean): Promise<void> {
  const arguments_ = [spec, String(seconds), ...(fd ? ['fd'] : [])];
  await using counter = new Worker(BUS_CHILD, ['count', ...arguments_]);
  await counter.until(isReady);
  await using sender = new Worker(BUS_CHILD, ['flood', ...arguments_]);
  const sent = await sender.until(hasKey('sent'));
  counter.tell();
  const heard = await counter.until(hasKey('frames'));
  const lost = present(sent.sent, 'the frames that were sent') - heard.frames;
  row(
    `${fd ? 'CAN FD, 64 bytes' : 'classic, 8 bytes'}`,
    per(present(heard.perSecond, 'the frames a second'), 'frames/s'),
    `${sent.sent} sent, ${lost} not received`,
  );
}

async function askAndAnswer(
  spec: string,
  fd: boolean,
  limit?: { bytesPerSecond: number },
): Promise<number> {
  const arguments_ = [spec, String(seconds), ...(fd ? ['fd'] : [])];
  await using answerer = new Worker(BUS_CHILD, ['answer', ...arguments_]);
  await answerer.until(isReady);
  await using asker = new Worker(BUS_CHILD, ['ask', ...arguments_]);
  const { bytesPerSecond, lost } = await asker.until(hasKey('bytesPerSecond'));
  row(
    `ISO-TP, requests of 4,095 bytes${fd ? ', CAN FD' : ''}`,
    kB(bytesPerSecond),
    limit === undefined
      ? `${lost} messages lost`
      : `${share(bytesPerSecond, limit.bytesPerSecond)} of the limit by the bit rate`,
  );
  answerer.tell();
  return bytesPerSecond;
}

/** Runs the section in a user-mode kernel, where this kernel has no vcan. */
async function inGuest(): Promise<void> {
  const { status } = spawnSync(
    path.join(root, 'scripts/with-vcan.sh'),
    [
      process.execPath,
      import.meta.filename,
      '--only',
      'vcan',
      '--seconds',
      String(seconds),
      ...values.peer.flatMap((peer) => ['--peer', peer]),
    ],
    { stdio: 'inherit' },
  );
  if (status === 125) line('SocketCAN: left out, there is no vcan0 and no user-mode kernel');
}

const chosen = values.only === undefined ? Object.keys(sections) : [values.only];
for (const name of chosen) {
  const section = sections[name];
  if (section === undefined) {
    process.stderr.write(`--only ${name}: expected one of ${Object.keys(sections).join(', ')}\n`);
    process.exit(2);
  }
  await section();
  line();
}

// Memory of the TMU during a download: the real daemon and the real backend; the driver denies the update at the end.

import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeWorld, releaseInWorld, WORLD } from '../../test/support/provisioned-world.ts';
import { hasKey, Worker } from './processes.ts';

const CLI = 'src/cli/main.ts';

export interface DownloadMeasure {
  readonly peakBytes: number;
  /** Peak of the same daemon with an image of 1 MiB. */
  readonly baseBytes: number;
  readonly seconds: number;
}

export async function measureDownload(size: number): Promise<DownloadMeasure> {
  const base = await once(1 << 20);
  const big = await once(size);
  return { peakBytes: big.peakBytes, baseBytes: base.peakBytes, seconds: big.seconds };
}

async function once(size: number): Promise<{ peakBytes: number; seconds: number }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-benchmark-'));
  try {
    await using stack = new AsyncDisposableStack();
    const image = path.join(folder, 'image.bin');
    const file = await open(image, 'w');
    await file.truncate(size);
    await file.close();
    // A vehicle as it leaves the factory, with banks that hold the image.
    const bus = `benchmark-m${process.pid}`;
    const world = await makeWorld(folder, bus, ['CGW', 'EDT'], { bankSize: size });
    const server = new Worker(CLI, [
      ...['server', '--port', '0', '--data', path.join(folder, WORLD.server)],
      ...['--trust', path.join(folder, WORLD.trust), '--max-upload', '2000', '--json'],
    ]);
    stack.use(server);
    const { url } = (await server.until(hasKey('url'))) as unknown as { url: string };
    await releaseInWorld(world, url, [{ ecu: 'EDT', file: image, version: '9.0.0' }]);

    const common = ['--bus', `local:${bus}?bitrate=0`, '--vehicle', world.vehicleFile, '--json'];
    for (const args of [
      ['ecu', 'EDT', '--flash', path.join(folder, WORLD.flash, 'EDT')],
      ['cgw', '--flash', path.join(folder, WORLD.flash, 'CGW'), '--approve', 'no'],
    ]) {
      const worker = new Worker(CLI, [...args, ...common]);
      stack.use(worker);
      await worker.until(hasKey('mode'));
    }
    const startMs = performance.now();
    const tmu = new Worker(CLI, [
      'tmu',
      '--once',
      '--server',
      url,
      '--state-dir',
      path.join(folder, WORLD.tmu),
      ...common,
    ]);
    stack.use(tmu);
    let peakBytes = 0;
    let seconds = 0;
    for (;;) {
      const event = (await tmu.next()) as { kind?: string; status?: string } | undefined;
      if (event === undefined) break;
      if (event.kind === 'approval' && seconds === 0)
        seconds = (performance.now() - startMs) / 1000;
      const status = await readFile(`/proc/${tmu.pid}/status`, 'utf8').catch(() => '');
      peakBytes = Math.max(peakBytes, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024);
    }
    return { peakBytes, seconds };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

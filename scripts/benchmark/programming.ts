// Programming throughput: ECU processes and `can-ota flash` processes on one bus.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hasKey, Worker } from './processes.ts';

const CLI = 'src/cli/main.ts';

/** Bytes of image per second that arrive in all `ecus` together while each gets its own `size` bytes. */
export async function programTogether(
  bus: string,
  ecus: readonly string[],
  size: number,
  fd: boolean,
): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-benchmark-'));
  try {
    await using stack = new AsyncDisposableStack();
    const image = path.join(folder, 'image.bin');
    await writeFile(image, randomBytes(size));
    const common = ['--bus', bus, '--json', ...(fd ? ['--fd'] : [])];
    for (const ecu of ecus) {
      const worker = new Worker(CLI, ['ecu', ecu, '--flash', path.join(folder, ecu), ...common]);
      stack.use(worker);
      await worker.until(hasKey('mode')); // it has booted
    }
    const results = await Promise.all(
      ecus.map(async (ecu) => {
        const worker = new Worker(CLI, ['flash', ecu, image, '--version', '2.0.0', ...common]);
        stack.use(worker);
        return worker.until(hasKey('bytesPerSecond'));
      }),
    );
    // At the same time: the slowest transfer bounds them all.
    const longest = Math.max(...results.map((result) => result.seconds!));
    return (size * ecus.length) / longest;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

// Programming throughput: ECUs as processes, and one tester that programs all at once like the TMU.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openBus } from '../../src/bus/open-bus.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { defined } from '../../src/core/optional.ts';
import { BusSilence } from '../../src/drivers/bus-silence.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { connectTester } from '../../src/onboard/bus.ts';
import { metadataOf } from '../../src/onboard/flash-metadata.ts';
import { loadVehicle } from '../../src/onboard/vehicle-file.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { imageOf } from './image.ts';
import { hasKey, Worker } from './processes.ts';

/** Image bytes per second that all `ecus` receive together, while each gets a separate image of `size` bytes. */
export async function programTogether(
  spec: string,
  ecus: readonly string[],
  size: number,
  fd: boolean,
): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-benchmark-'));
  try {
    await using stack = new AsyncDisposableStack();
    // This process hosts a local bus, so it comes first and leaves last.
    const { bus } = await openBus(spec, { clock: systemClock, logger: silentLogger, fd });
    stack.defer(() => bus.close());
    for (const ecu of ecus) {
      const flash = ['--flash', path.join(folder, ecu), '--bus', spec, '--json', '--bench-keys'];
      const worker = new Worker('src/cli/main.ts', ['ecu', ecu, ...flash, ...(fd ? ['--fd'] : [])]);
      stack.use(worker);
      await worker.until(hasKey('mode')); // it has booted
    }
    const vehicle = await loadVehicle(undefined, fd);
    const silence = new BusSilence();
    const image = imageOf(randomBytes(size));
    const seconds = await Promise.all(
      ecus.map(async (name) => {
        const ecu = findEcu(vehicle, name);
        const requester = connectTester(bus, ecu, { logger: silentLogger });
        stack.defer(() => requester.close());
        const driver = new UdsEcuDriver({ ecu, requester, clock: systemClock, silence });
        const flashed = { ecu, vehicle, file: `${name}-2.0.0.bin`, image };
        const options = { benchKeys: true, version: '2.0.0' };
        const metadata = await metadataOf(options, flashed, silentLogger);
        const staged = await driver.stage({
          campaign: '0'.repeat(32),
          version: '2.0.0',
          image,
          ...defined({ metadata }),
        });
        if (!staged.ok) throw new Error(staged.reason);
        return staged.value.transferMs / 1000;
      }),
    );
    // The transfers run at the same time, so the slowest one determines the rate.
    return (size * ecus.length) / Math.max(...seconds);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

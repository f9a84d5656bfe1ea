// The bus of a bench: two benches on one bus would answer each other's requests.

import type { Context } from '../core/context.ts';
import { InputError } from '../core/errors.ts';
import { lockName } from '../core/lock.ts';
import { type BusOptions, lockedBus, type OwnedBus, openCommandBus } from '../onboard/bus.ts';

/**
 * Opens the bus and keeps other benches away from it. If no bus was named, a second bench takes another one. Throws
 * InputError if a bus was named that another bench uses.
 */
export async function openBenchBus(options: BusOptions, context: Context): Promise<OwnedBus> {
  const opened = await openCommandBus(options, context);
  const { kind, name } = opened.bus;
  const lock = await lockName(`bench-${process.getuid?.() ?? 0}-${kind}-${name}`);
  if (lock !== undefined) {
    // The TMU of a bench is a tester, and so is the bench while it provisions the vehicle.
    const held = await lockedBus(opened, { command: 'bench', besideTester: 'warn' });
    return {
      bus: held.bus,
      why: held.why,
      [Symbol.asyncDispose]: async () => {
        await held[Symbol.asyncDispose]();
        await lock.release();
      },
    };
  }
  await opened[Symbol.asyncDispose]();
  if (options.bus !== undefined) {
    throw new InputError(
      '--bus',
      `another bench is on ${name}: name another bus, like --bus local:second`,
    );
  }
  const own = await openBenchBus({ ...options, bus: `local:bench-${process.pid}` }, context);
  return {
    ...own,
    [Symbol.asyncDispose]: own[Symbol.asyncDispose],
    why: `local:${own.bus.name}, because another bench is on ${name}`,
  };
}

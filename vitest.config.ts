import { defineConfig } from 'vitest/config';

/** By their names: the folders e2e and interop and *.world start processes, *.slow count many steps, the rest takes milliseconds. */
const SLOW = 'test/**/*.slow.test.ts';
const SIMULATION = 'test/sim/**/*.world.test.ts';
const WORLD = ['test/**/*.world.test.ts', 'test/e2e/**/*.test.ts', 'test/interop/**/*.test.ts'];
const VCAN = 'test/e2e/vcan*.test.ts';

const MINUTE_MS = 60_000;

// Projects by speed. Limits only end what hangs: no test depends on how fast the machine is.
export default defineConfig({
  test: {
    // One process a core: Vitest itself would leave one of them out, which is half of a small machine.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [SLOW, ...WORLD],
          testTimeout: MINUTE_MS,
          // Two thirds of the time would go into loading the same modules again for each file. What changes modules
          // (vi.mock) or imports other test files belongs into slow, where each file has a process of its own.
          isolate: false,
        },
      },
      {
        test: {
          name: 'slow',
          include: [SLOW],
          testTimeout: 10 * MINUTE_MS,
          hookTimeout: 10 * MINUTE_MS,
        },
      },
      {
        test: {
          // Much computing in virtual time, and no process that waits for another.
          name: 'simulation',
          include: [SIMULATION],
          testTimeout: 20 * MINUTE_MS,
          hookTimeout: 10 * MINUTE_MS,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'world',
          include: WORLD,
          exclude: [SIMULATION, VCAN],
          testTimeout: 20 * MINUTE_MS,
          hookTimeout: 10 * MINUTE_MS,
          // Each file owns processes and a bus; two cores carry one file at a time.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'vcan',
          include: [VCAN],
          testTimeout: 20 * MINUTE_MS,
          hookTimeout: 10 * MINUTE_MS,
          fileParallelism: false,
        },
      },
    ],
  },
});

import { defineConfig } from 'vitest/config';

// Three projects: what runs in milliseconds, what starts processes, and what needs a real vcan0.
export default defineConfig({
  test: {
    // One process a core: Vitest itself would leave one of them out, which is half of a small machine.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**'],
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: ['test/e2e/vcan*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 60_000,
          // Each file owns processes and a bus; two cores carry one file at a time.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'vcan',
          include: ['test/e2e/vcan*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});

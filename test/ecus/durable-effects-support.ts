// What a sequence of requests wears of the flash of an ECU, for tests.

import { expect } from 'vitest';
import { EcuBench, imageOf } from '../support/ecu-bench.ts';

export const image = imageOf(500);

/** Writes to the flash while `act` runs. */
export async function writes(bench: EcuBench, act: () => Promise<unknown>): Promise<number> {
  const before = bench.storage.operations;
  await act();
  return bench.storage.operations - before;
}

export async function repeat(times: number, act: () => Promise<unknown>): Promise<void> {
  for (let count = 0; count < times; count++) await act();
}

export async function onTrial(): Promise<EcuBench> {
  const bench = await EcuBench.start();
  await bench.program(image, '2.0.0', 'EDT', 5);
  await bench.expectOrder('activate');
  await bench.reset();
  expect(await bench.ask('22FD00')).toBe('62FD000101020002');
  return bench;
}

// The image that an ECU comes from the factory with: it fits its bank, or nothing is begun and nothing is written.

import { expect, it } from 'vitest';
import { BANK_SIZE, EcuBench, imageOf } from '../support/ecu-bench.ts';
import { FaultStorage } from '../support/fault-storage.ts';

const start = (length: number, storage = new FaultStorage()) =>
  EcuBench.start({
    storage,
    options: { factoryImage: { image: imageOf(length), version: '1.0.0' } },
  });

it.each([1, BANK_SIZE])('of %i bytes runs', async (length) => {
  const bench = await start(length);
  expect(await bench.text('F195')).toBe('1.0.0');
});

it.each([0, BANK_SIZE + 1])('of %i bytes is refused before anything is written', async (length) => {
  const storage = new FaultStorage();
  await expect(start(length, storage)).rejects.toThrow(
    `has ${length} bytes, a bank of EDT takes 1 to ${BANK_SIZE}`,
  );
  expect(storage.operations).toBe(0);
});

// What a factory writes into a virgin ECU: the shortest and the longest of each value, and one byte beyond.

import { describe, expect, it } from 'vitest';
import { EcuBench } from '../support/ecu-bench.ts';

const WRITTEN = 'written';
const WRONG_LENGTH = '7F2E13';

async function write(did: string, length: number, byte = '41'): Promise<string> {
  const bench = await EcuBench.start({ options: { benchKeys: false } });
  await bench.expect('1003');
  const answer = await bench.ask(`2E${did}${byte.repeat(length)}`);
  return answer === `6E${did}` ? WRITTEN : answer;
}

describe('a virgin ECU takes', () => {
  it.each([
    ['a serial number', 'F18C', 1, 32],
    ['a device secret', 'FD13', 32, 32],
    ['a key for SecurityAccess', 'FD14', 16, 64],
    ['a key for approvals', 'FD15', 32, 32],
  ])('%s (%s) of %i to %i bytes', async (_name, did, least, most) => {
    expect(await write(did, least)).toBe(WRITTEN);
    expect(await write(did, most)).toBe(WRITTEN);
    expect(await write(did, most + 1)).toBe(WRONG_LENGTH);
    expect(await write(did, least - 1)).toBe(WRONG_LENGTH);
  });

  it('no serial number that is no name', async () => {
    expect(await write('F18C', 4, '20')).toBe('7F2E31');
    expect(await write('F18C', 4, '2D')).toBe('7F2E31');
  });
});

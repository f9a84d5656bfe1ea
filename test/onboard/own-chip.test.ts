// The chip of TMU and small device: its number in a file, compared with the identity before anything is sent.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { OtherChipError, readChip, requireOwnChip } from '../../src/onboard/own-chip.ts';

async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'own-chip-'));
  onTestFinished(() => rm(made, { recursive: true }));
  return made;
}

describe('the number of the chip', () => {
  it('is in the state directory, or in the file that is named', async () => {
    const place = await folder();
    expect(await readChip(place)).toBeUndefined();
    await writeFile(path.join(place, 'device-id'), '0123456789abcdef\n');
    expect(await readChip(place)).toBe('0123456789abcdef');
    const other = path.join(place, 'serial');
    await writeFile(other, ' CHIP-2 \n');
    expect(await readChip(place, other)).toBe('CHIP-2');
  });

  it.each(['', 'a b', '../x', 'x'.repeat(65)])('is not %j', async (text) => {
    const place = await folder();
    await writeFile(path.join(place, 'device-id'), text);
    await expect(readChip(place)).rejects.toThrow('expected a chip number');
  });

  it('is missed where a file was named', async () => {
    await expect(readChip(await folder(), '/does/not/exist')).rejects.toThrow('/does/not/exist');
  });
});

describe('an identity', () => {
  const identity = { serial: 'CO-000001', hwId: '0123456789abcdef' };

  it('of this chip is in order, however the digits are written', () => {
    requireOwnChip(identity, '0123456789ABCDEF', 'run it');
    requireOwnChip(identity, undefined, 'run it');
  });

  it('of another chip stops the device, and says what to do', () => {
    const start = () => requireOwnChip(identity, '0123456789abcdee', 'run "can-ota provision"');
    expect(start).toThrow(OtherChipError);
    expect(start).toThrow(/CO-000001 .*0123456789abcdef.*0123456789abcdee.*can-ota provision/);
  });
});

// The log of candump: the tools of can-utils read it, where they are installed.

import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { classicFrame, fdFrame } from '../../src/bus/can-frame.ts';
import { formatLogEntry } from '../../src/bus/candump-log.ts';
import { fromHex } from '../../src/core/bytes.ts';

const AT = { wallMs: 1_700_000_000_123.456, interfaceName: 'vcan0' };

const LINES = [
  [{ ...AT, frame: classicFrame(0x7e8, fromHex('0662F195')) }, '7E8#0662F195'],
  [{ ...AT, frame: classicFrame(0x18da10f1, fromHex('023E80'), true) }, '18DA10F1#023E80'],
  [{ ...AT, frame: fdFrame(0x7e0, fromHex('0102')) }, '7E0##10102'],
  [{ ...AT, frame: fdFrame(0x7e0, fromHex('0102'), false, false) }, '7E0##00102'],
  [{ ...AT, frame: { ...classicFrame(0x123, new Uint8Array(0)), remote: true } }, '123#R'],
  [{ ...AT, frame: classicFrame(0, new Uint8Array(0)) }, '000#'],
  [{ ...AT, error: { errorClass: 0x40, detail: new Uint8Array(8) } }, '20000040#0000000000000000'],
] as const;

const canUtils = spawnSync('log2asc', ['-h']).error === undefined;
if (!canUtils) process.stdout.write('left out: log2asc, can-utils is not installed\n');

describe.skipIf(!canUtils)('can-utils', () => {
  const log = `${LINES.map(([entry]) => formatLogEntry(entry)).join('\n')}\n`;

  it('log2asc reads every line', () => {
    const { stdout, status } = spawnSync('log2asc', ['vcan0'], { input: log, encoding: 'utf8' });
    expect(status).toBe(0);
    const text = stdout.toLowerCase().replaceAll(/ +/g, ' ');
    expect(text).toContain('7e8 rx d 4 06 62 f1 95');
    expect(text).toContain('18da10f1x rx d 3 02 3e 80');
    expect(text).toMatch(/canfd 1 rx 7e0 1 0 2 2 01 02/);
    expect(text).toMatch(/canfd 1 rx 7e0 0 0 2 2 01 02/);
    expect(text).toContain('123 rx r');
    expect(text).toContain('errorframe');
  });
});

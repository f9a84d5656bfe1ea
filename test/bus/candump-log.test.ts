// The log of candump: literals, round trips, and the tools of can-utils as readers where they are installed.

import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classicFrame, fdFrame } from '../../src/bus/can-frame.ts';
import { formatLogEntry, parseLogLine, TraceWriter } from '../../src/bus/candump-log.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { anyFrame } from '../support/frames.ts';

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

describe('a line of the log', () => {
  it.each(LINES)('%#', (entry, text) => {
    const line = `(1700000000.123456) vcan0 ${text}`;
    expect(formatLogEntry(entry)).toBe(line);
    expect(parseLogLine(line)).toEqual(entry);
  });

  it('is read with the direction that newer versions write', () => {
    expect(parseLogLine('(1700000000.123456) vcan0 7E8#0662F195 R')).toEqual(LINES[0][0]);
    expect(parseLogLine('(1700000000.123456)  can0  7E8#0662F195 T\r')).toMatchObject({
      interfaceName: 'can0',
    });
  });

  it('is read back as it was written', () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(2 ** 50), (frame, micros) => {
        const wallMs = micros / 1000;
        const entry = parseLogLine(formatLogEntry({ wallMs, interfaceName: 'can1', frame }));
        expect(entry).toMatchObject({ interfaceName: 'can1', frame });
        expect(entry!.wallMs).toBeCloseTo(wallMs, 2);
      }),
    );
  });

  it('is none when it is damaged, and no text makes the reader throw', () => {
    for (const line of [
      '',
      '# comment',
      '(1700000000.123456) vcan0',
      '(1700000000.123456) vcan0 7E8#066',
      '(1700000000.123456) vcan0 7E8#001122334455667788',
      '(1700000000.123456) vcan0 FFF#00',
      '(1700000000) vcan0 7E8#00',
    ]) {
      expect(parseLogLine(line)).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseLogLine(text);
        parseLogLine(`(1700000000.123456) vcan0 ${text}`);
      }),
    );
  });
});

describe('a trace', () => {
  it('has every frame of the bus with the time of its end on the wire', async () => {
    const clock = new VirtualClock(Date.UTC(2023, 10, 14, 22, 13, 20));
    const wire = new SimulatedWire({ clock, bitrate: 500_000, name: 'bench' });
    const [a, b] = [wire.attach('a'), wire.attach('b')];
    const lines: string[] = [];
    const trace = new TraceWriter({ bus: a, clock, sink: (line) => lines.push(line) });
    a.send(classicFrame(0, new Uint8Array(0))); // 53 bits: 106 us
    await clock.advance(1);
    b.send(classicFrame(0, new Uint8Array(0)));
    await clock.advance(1);
    expect(trace.frames).toBe(2);
    trace.close();
    b.send(classicFrame(0, new Uint8Array(0)));
    await clock.advance(1);
    expect(lines).toEqual(['(1700000000.000106) bench 000#', '(1700000000.001106) bench 000#']);
  });
});

const canUtils = spawnSync('log2asc', ['-h']).error === undefined;
if (!canUtils) process.stdout.write('left out: log2asc, can-utils is not installed\n');

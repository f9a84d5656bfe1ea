// Commands and answers of XCP as bytes, in both byte orders and for both roles.

import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import {
  decodeConnected,
  decodeProgramStarted,
  decodeSeedPart,
  decodeStatus,
  decodeUploaded,
  encodeConnected,
} from '../../src/xcp/answers.ts';
import {
  commandText,
  decodeCommand,
  encodeCommand,
  type XcpCommand,
} from '../../src/xcp/commands.ts';
import { XcpError, xcpErrorAdvice, xcpErrorText } from '../../src/xcp/errors.ts';

const data = fromHex('01020304050607');
const COMMANDS: [XcpCommand, string, string][] = [
  [{ kind: 'connect', mode: 0 }, 'ff00', 'ff00'],
  [{ kind: 'disconnect' }, 'fe', 'fe'],
  [{ kind: 'get-status' }, 'fd', 'fd'],
  [{ kind: 'synch' }, 'fc', 'fc'],
  [{ kind: 'get-seed', mode: 1, resource: 0x10 }, 'f80110', 'f80110'],
  [{ kind: 'unlock', remaining: 2, part: fromHex('AABB') }, 'f702aabb', 'f702aabb'],
  [{ kind: 'set-mta', extension: 0, address: 0x08001234 }, 'f600000034120008', 'f600000008001234'],
  [{ kind: 'upload', count: 7 }, 'f507', 'f507'],
  [
    { kind: 'short-upload', count: 4, extension: 0, address: 0x08001234 },
    'f404000034120008',
    'f404000008001234',
  ],
  [{ kind: 'program-start' }, 'd2', 'd2'],
  [{ kind: 'program-clear', mode: 0, length: 0x1000 }, 'd100000000100000', 'd100000000001000'],
  [{ kind: 'program', data: fromHex('AABBCC') }, 'd003aabbcc', 'd003aabbcc'],
  [{ kind: 'program', data: new Uint8Array() }, 'd000', 'd000'],
  [{ kind: 'program-max', data }, 'c901020304050607', 'c901020304050607'],
  [{ kind: 'program-reset' }, 'cf', 'cf'],
];

describe('a command', () => {
  it.each(COMMANDS)('%o is the same bytes in both directions', (command, intel, motorola) => {
    expect(toHex(encodeCommand(command, 'intel'))).toBe(intel);
    expect(toHex(encodeCommand(command, 'motorola'))).toBe(motorola);
    expect(decodeCommand(fromHex(intel), 'intel', 8)).toEqual(command);
    expect(decodeCommand(fromHex(motorola), 'motorola', 8)).toEqual(command);
  });

  it.each([
    ['', XcpError.cmdUnknown],
    ['C7', XcpError.cmdUnknown],
    ['FF', XcpError.cmdSyntax],
    ['F60000', XcpError.cmdSyntax],
    ['D003AABB', XcpError.cmdSyntax],
    ['D007AABBCCDDEEFF', XcpError.outOfRange],
    ['C90102', XcpError.cmdSyntax],
  ])('%s is refused by a slave', (hex, code) => {
    expect(decodeCommand(fromHex(hex), 'intel', 8)).toBe(code);
  });

  it('has a name', () => {
    expect(commandText(0xd1)).toBe('PROGRAM_CLEAR (D1)');
    expect(commandText(0x11)).toBe('command 11');
  });
});

describe('an answer', () => {
  it('to CONNECT tells byte order and lengths', () => {
    // As OpenBLT answers.
    const openblt = fromHex('FF10000808000101');
    expect(decodeConnected(openblt)).toEqual({
      ...{ resources: 0x10, byteOrder: 'intel', addressGranularity: 1, maxCto: 8, maxDto: 8 },
      ...{ protocolVersion: 1, transportVersion: 1 },
    });
    const connected = decodeConnected(fromHex('FF1001080008 0101'.replace(' ', '')));
    expect(connected?.byteOrder).toBe('motorola');
    expect(connected && toHex(encodeConnected(connected))).toBe('ff10010800080101');
    expect(decodeConnected(fromHex('FF10020808000101'))?.addressGranularity).toBe(2);
  });

  it.each([
    ['FF'],
    ['FF100008080001'],
    ['FF00000000000000'],
    ['FF10060808000101'],
    ['FF10000408000101'],
  ])('%s is none to CONNECT', (hex) => {
    expect(decodeConnected(fromHex(hex))).toBeUndefined();
  });

  it('may be longer than its content, and never shorter', () => {
    expect(decodeStatus(fromHex('FF001000000000'))).toEqual({ locked: 0x10 });
    expect(decodeStatus(fromHex('FF0010'))).toBeUndefined();
    expect(decodeProgramStarted(fromHex('FF0000080000 00'.replace(' ', '')))).toEqual({
      maxCto: 8,
    });
    expect(decodeProgramStarted(fromHex('FF'))).toBeUndefined();
    expect(decodeUploaded(fromHex('FFAABBCC'), 2)).toEqual(fromHex('AABB'));
    expect(decodeUploaded(fromHex('FFAA'), 2)).toBeUndefined();
    expect(decodeSeedPart(fromHex('FF0155'), 8)).toEqual({ remaining: 1, part: fromHex('55') });
    expect(decodeSeedPart(fromHex('FF0855AABBCCDDEE'), 8)).toMatchObject({ remaining: 8 });
    expect(decodeSeedPart(fromHex('FF0455'), 8)).toBeUndefined();
  });
});

describe('an error', () => {
  it('has a name, a meaning and an advice', () => {
    for (const code of Object.values(XcpError)) {
      expect(xcpErrorText(code)).toMatch(/^ERR_[A-Z_]+ \([0-9A-F]{2}\): ./);
      expect(xcpErrorAdvice(code)).not.toBe('');
    }
    expect(xcpErrorText(0x77)).toBe('unknown error 77');
    expect(xcpErrorAdvice(0x77)).not.toBe('');
  });
});

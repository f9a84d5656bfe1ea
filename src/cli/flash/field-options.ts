// Options of `flash` and `check` that say of REQUEST:RESPONSE what a vehicle file says of its ECUs.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { defined } from '../../core/optional.ts';

export interface FieldOptions {
  readonly functional?: string;
  readonly p2?: number;
  readonly p2Star?: number;
  readonly resetTime?: number;
  readonly padding?: number | 'none';
  readonly blockLength?: number;
  readonly segments?: 'one' | 'each';
}

/** Names of the options by their property, for messages. */
export const FIELD_OPTIONS: Readonly<Record<keyof FieldOptions, string>> = {
  functional: '--functional',
  p2: '--p2',
  p2Star: '--p2-star',
  resetTime: '--reset-time',
  padding: '--padding',
  blockLength: '--block-length',
  segments: '--segments',
};

/** For commands that only ask. */
export function withAskFields(target: Command): Command {
  return target
    .option('--p2 <ms>', 'REQUEST:RESPONSE: how long to wait for an answer (timing.p2Ms)', time)
    .option(
      '--p2-star <ms>',
      'REQUEST:RESPONSE: how long to wait after a responsePending (timing.p2StarMs)',
      time,
    )
    .option(
      '--padding <byte>',
      'REQUEST:RESPONSE: padding byte like 0x55, or none (transport.padding, default 0xCC)',
      padding,
    );
}

/** For commands that program, too. */
export function withProgrammingFields(target: Command): Command {
  return withAskFields(target)
    .option(
      '--functional <id>',
      'REQUEST:RESPONSE: identifier of requests to all ECUs, or none (default 7DF or 18DB33F1)',
      functional,
    )
    .option(
      '--reset-time <ms>',
      'REQUEST:RESPONSE: longest time from a reset to the first answer (timing.resetMs)',
      time,
    )
    .option(
      '--block-length <bytes>',
      'REQUEST:RESPONSE: upper limit for blocks of 36 (programming.maxBlockLength)',
      blockLength,
    )
    .addOption(
      new Option(
        '--segments <policy>',
        'REQUEST:RESPONSE: transfer each segment of an image, or refuse an image of several (programming.segments)',
      ).choices(['one', 'each']),
    );
}

/** Fields of the ECU in the form of a vehicle file, without its address. */
export function fieldsOf(options: FieldOptions): Readonly<Record<string, unknown>> {
  const { p2, p2Star, resetTime, blockLength: maxBlockLength, segments } = options;
  const filler = options.padding === 'none' ? null : options.padding;
  const timing = defined({ p2Ms: p2, p2StarMs: p2Star, resetMs: resetTime });
  return {
    timing,
    transport: defined({ padding: filler }),
    programming: defined({ maxBlockLength, segments }),
  };
}

function whole(value: string): number {
  return /^(?:0x[0-9a-fA-F]+|\d+)$/.test(value) ? Number(value) : Number.NaN;
}

function time(value: string): number {
  const ms = whole(value);
  if (!(ms >= 1 && ms <= 3_600_000)) {
    throw new InvalidArgumentError('expected milliseconds from 1 to 3600000');
  }
  return ms;
}

function padding(value: string): number | 'none' {
  if (value === 'none') return value;
  const byte = whole(value);
  if (!(byte >= 0 && byte <= 0xff)) {
    throw new InvalidArgumentError('expected a byte like 0x55 or 204, or none');
  }
  return byte;
}

function blockLength(value: string): number {
  const bytes = whole(value);
  if (!(bytes >= 3 && bytes <= 0xffff_ffff)) {
    throw new InvalidArgumentError('expected 3 to 4294967295 bytes: 36, its counter and data');
  }
  return bytes;
}

function functional(value: string): string {
  if (value === 'none' || /^(?:[0-7][0-9a-fA-F]{2}|[01][0-9a-fA-F]{7})$/.test(value)) return value;
  throw new InvalidArgumentError(
    'expected 3 hexadecimal digits (11 bit), 8 digits (29 bit), or none',
  );
}

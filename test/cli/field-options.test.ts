// Options of `flash` and `check` that stand for fields of a vehicle file.

import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { type FieldOptions, withProgrammingFields } from '../../src/cli/flash/field-options.ts';
import { targetEcu } from '../../src/cli/flash/target-ecu.ts';

function parse(...words: string[]): FieldOptions {
  const command = withProgrammingFields(new Command()).exitOverride();
  command.configureOutput({ writeErr: () => {} });
  return command.parse(words, { from: 'user' }).opts();
}

const ecuWith = async (words: readonly string[], name = '7E0:7E8') =>
  (await targetEcu(name, parse(...words))).ecu;

describe('an ECU named by its identifiers', () => {
  it('has every field that an option gives', async () => {
    const ecu = await ecuWith([
      ...['--p2', '1000', '--p2-star', '20000', '--reset-time', '15000', '--padding', '0x55'],
      ...['--functional', '7DE', '--block-length', '258', '--segments', 'one'],
    ]);
    expect(ecu).toMatchObject({
      address: { functional: 0x7de },
      timing: { p2Ms: 1000, p2StarMs: 20_000, resetMs: 15_000, pendingLimitMs: 120_000 },
      transport: { padding: 0x55 },
      programming: { maxBlockLength: 258, segments: 'one', activation: 'reset', identify: 'skip' },
    });
  });

  it('has none of them otherwise', async () => {
    const ecu = await ecuWith([]);
    expect(ecu).toMatchObject({
      address: { functional: 0x7df },
      timing: { p2Ms: 500, p2StarMs: 5000, resetMs: 10_000 },
      transport: { padding: 0xcc },
      programming: { maxBlockLength: 4095, segments: 'each' },
    });
  });

  it('has them above a profile', async () => {
    const options = { ...parse('--block-length', '130'), profile: 'psa-like' };
    const { ecu } = await targetEcu('6A0:680', options);
    expect(ecu.programming).toMatchObject({ maxBlockLength: 130, sessionPauseMs: 500 });
    expect(ecu.timing.routineLimitMs).toBe(180_000);
  });

  it('may have no padding and no functional identifier', async () => {
    const ecu = await ecuWith(['--padding', 'none', '--functional', 'none']);
    expect(ecu.transport.padding).toBeNull();
    expect(ecu.address).not.toHaveProperty('functional');
  });

  it('has a functional identifier of its own width', async () => {
    const wide = await ecuWith(['--functional', '18DB34F1'], '18DA10F1:18DAF110');
    expect(wide.address).toMatchObject({ functional: 0x18db34f1, extended: true });
    await expect(ecuWith(['--functional', '18DB33F1'])).rejects.toThrow(
      '--functional: 18DB33F1: 7E0:7E8 has identifiers of 11 bit (3 digits)',
    );
  });
});

it.each([
  [['--p2', '0'], /milliseconds from 1/],
  [['--p2', '1e3'], /milliseconds from 1/],
  [['--p2-star', '-5'], /milliseconds from 1/],
  [['--padding', '256'], /a byte like 0x55 or 204, or none/],
  [['--padding', 'CC'], /a byte like/],
  [['--block-length', '2'], /3 to 4294967295 bytes/],
  [['--functional', '800'], /3 hexadecimal digits/],
  [['--functional', '7DF:7E8'], /or none/],
  [['--segments', 'all'], /Allowed choices are one, each/],
])('refuses %j', (words, message) => {
  expect(() => parse(...words)).toThrow(message);
});

it.each([
  [{ p2: 10 }, '--p2'],
  [{ padding: 'none' as const }, '--padding'],
  [{ functional: 'none' }, '--functional'],
  [{ segments: 'one' as const }, '--segments'],
  [{ level: 3 }, '--level'],
])('an ECU of the vehicle file takes no %j', async (options, name) => {
  await expect(targetEcu('EDT', { benchKeys: true, ...options })).rejects.toThrow(
    `${name}: EDT is described in the vehicle file: change it there`,
  );
});

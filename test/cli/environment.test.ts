// Options that every command repeats, from the environment: they are read, the command line wins, and bad ones name their variable.

import type { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

/** What the command gets, without running it. */
function optionsOf(
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Record<string, unknown> {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const program = createProgram();
  let command: Command | undefined = program;
  for (const word of words) {
    command = command?.commands.find((known) => known.name() === word) ?? command;
  }
  let got: Record<string, unknown> | undefined;
  for (const one of [program, ...program.commands.flatMap((child) => [child, ...child.commands])]) {
    one.exitOverride().configureOutput({ writeErr: () => {} });
  }
  command?.action(() => {
    got = command?.opts();
  });
  program.parse(['node', 'can-ota', ...words]);
  if (got === undefined) throw new Error(`${words.join(' ')} was not reached`);
  return got;
}

const ALL = {
  CAN_OTA_SERVER: 'http://10.0.0.1',
  CAN_OTA_STATE_DIR: '/var/lib/tmu',
  CAN_OTA_BUS: 'can1',
  CAN_OTA_VEHICLE: 'car.yaml',
  CAN_OTA_LOG_FORMAT: 'text',
};

describe('the environment', () => {
  it('gives what the command line leaves out', () => {
    expect(optionsOf(['tmu'], ALL)).toMatchObject({
      ...{ server: 'http://10.0.0.1', stateDir: '/var/lib/tmu', bus: 'can1' },
      ...{ vehicle: 'car.yaml', logFormat: 'text' },
    });
    const token = { CAN_OTA_TOKEN_FILE: 'operator.token' };
    const words = ['config', 'show', '1CANXTABENCH00001'];
    expect(optionsOf(words, { ...ALL, ...token })).toMatchObject({ tokenFile: 'operator.token' });
  });

  it('gives way to the command line', () => {
    expect(optionsOf(['tmu', '--bus', 'can0', '--log-format', 'json'], ALL)).toMatchObject({
      ...{ server: 'http://10.0.0.1', bus: 'can0', logFormat: 'json' },
    });
  });

  it('changes nothing where it is not set, and needs what is needed', () => {
    expect(() => optionsOf(['tmu'], {})).toThrow(/--server|--state-dir/);
    const options = optionsOf(['tmu', '--server', 'http://x', '--state-dir', 'y'], {});
    expect(options).not.toHaveProperty('bus');
    expect(options).toMatchObject({ poll: 10 });
  });

  it('leaves out what an optional server and a small device mean by an option', () => {
    const own = ['device', 'status', '--state-dir', 'pump'];
    expect(optionsOf(own, ALL)).toMatchObject({ stateDir: 'pump' });
    expect(() => optionsOf(['device', 'status'], ALL)).toThrow(/--state-dir/);
  });

  it('is named when what stands there is wrong', () => {
    const wrong = { ...ALL, CAN_OTA_LOG_FORMAT: 'xml' };
    expect(() => optionsOf(['tmu'], wrong)).toThrow(/CAN_OTA_LOG_FORMAT.*text, json/);
  });

  it('is told in the help, where the option stood', () => {
    const tmu = createProgram().commands.find((known) => known.name() === 'tmu');
    const help = tmu?.helpInformation() ?? '';
    for (const name of Object.keys(ALL)) expect(help).toContain(name);
    expect(help.indexOf('--json')).toBeLessThan(help.indexOf('--bus'));
    expect(help.indexOf('--bus')).toBeLessThan(help.indexOf('--once'));
  });
});

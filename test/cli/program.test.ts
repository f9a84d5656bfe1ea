// The command line as a whole: every command has a help text with examples and exit codes.

import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { JOURNAL_FILE } from '../../src/campaign/journal.ts';
import { createProgram } from '../../src/cli/program.ts';
import { ExitCode } from '../../src/core/exit-code.ts';
import { DEVICE_FILE } from '../../src/device/device.ts';
import { CHIP_FILE } from '../../src/onboard/own-chip.ts';
import { COMMANDS_FILE } from '../../src/tmu/remote/command-entry.ts';
import { CONFIGURATION_FILE } from '../../src/tmu/remote/configuration-store.ts';
import { PROGRESS_FILE, STATUS_FILE } from '../../src/tmu/status.ts';

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}

function all(command: Command): Command[] {
  return [command, ...command.commands.flatMap(all)];
}

function fullName(command: Command): string {
  const { parent } = command;
  return parent === null ? command.name() : `${fullName(parent)} ${command.name()}`;
}

/** Commands that have few exit codes, or whose codes another program defines. */
const OWN_CODES: Readonly<Record<string, readonly number[]>> = {
  'can-ota history': [0, 2, 15],
  'can-ota status': [0, 2, 10, 15],
  'can-ota tuf': [0, 1],
  'can-ota vcan': [2, 125, 127],
  'can-ota verify': [0, 1],
};

describe('the command line', () => {
  const commands = all(createProgram());

  it('has every command of the product', () => {
    expect(commands.map(fullName).sort()).toEqual(
      [
        'can-ota',
        ...[
          'bench',
          'cgw',
          'check',
          'ecu',
          'flash',
          'keys',
          'monitor',
          'provision',
          'read',
          'release',
        ].map((name) => `can-ota ${name}`),
        ...['history', 'server', 'simulate', 'status', 'tmu', 'tuf', 'vcan', 'verify'].map(
          (name) => `can-ota ${name}`,
        ),
        ...['init', 'create', 'import', 'list', 'rotate', 'revoke', 'threshold', 'sign'].map(
          (name) => `can-ota keys ${name}`,
        ),
        ...['accept', 'pull', 'refresh', 'reset-time', 'export-online', 'device-key'].map(
          (name) => `can-ota keys ${name}`,
        ),
        ...['add', 'list', 'revoke', 'push', 'pull', 'device', 'withdraw-device'].map(
          (name) => `can-ota release ${name}`,
        ),
        ...['campaign', 'campaign cancel', 'campaign ask-again'].map((name) => `can-ota ${name}`),
        ...['config', 'config show', 'config set', 'config history', 'config schema'].map(
          (name) => `can-ota ${name}`,
        ),
        ...['send', 'list', 'show', 'cancel', 'actions'].map((name) => `can-ota command ${name}`),
        ...['command', 'telemetry', 'telemetry show'].map((name) => `can-ota ${name}`),
        ...['device', 'device enroll', 'device run', 'device status'].map(
          (name) => `can-ota ${name}`,
        ),
        ...['user', 'user add', 'user list', 'user password', 'user remove'].map(
          (name) => `can-ota server ${name}`,
        ),
        ...['device list', 'device revoke', 'device activate', 'device reopen'].map(
          (name) => `can-ota server ${name}`,
        ),
        ...['image', 'image inspect', 'image convert'].map((name) => `can-ota ${name}`),
        ...['device', 'token', 'restored'].map((name) => `can-ota server ${name}`),
        ...[
          'completion',
          'vehicle',
          'vehicle init',
          'vehicle new',
          'vehicle check',
          'vehicle schema',
        ].map((name) => `can-ota ${name}`),
      ].sort(),
    );
  });

  it.each(commands.slice(1).map((command) => [fullName(command), command] as const))(
    '%s --help shows examples of itself, and the exit codes',
    (name, command) => {
      const help = helpOf(command);
      const examples = help.split('Examples:\n')[1]!.split('\n\n')[0]!;
      // A line that ends with a backslash continues in the next one, as in a shell.
      for (const line of examples
        .trimEnd()
        .replaceAll(/\\\n\s*/g, '')
        .split('\n')) {
        expect(line).toMatch(new RegExp(`^ {2}\\$ ${name}`));
      }
      expect(command.description()).toMatch(/\.$/);
      for (const option of command.options) expect(option.description).not.toBe('');
      const codes = name in OWN_CODES ? OWN_CODES[name]! : Object.values(ExitCode);
      for (const code of codes) {
        expect(help).toMatch(new RegExp(`(^|\\s)${code} `));
      }
    },
  );

  it.each([
    [
      'tmu',
      '--state-dir',
      ['identity.json', 'trust/', 'images/', 'state.json', 'outbox.json', 'telemetry/'],
      [CHIP_FILE, JOURNAL_FILE, COMMANDS_FILE, CONFIGURATION_FILE, 'session.json'],
      ['device-key.json', STATUS_FILE, PROGRESS_FILE, 'downloaded_sha.txt'],
    ],
    ['provision', '--state-dir', ['identity.json', 'trust/', CHIP_FILE]],
    [
      'device run',
      '--state-dir',
      ['identity.json', CHIP_FILE, DEVICE_FILE, 'boot-record.json', 'bank-a.bin', 'bank-b.bin'],
      ['download.bin', 'session.json', 'device-key.json', 'enrolment.json'],
    ],
    ['server', '--data', ['can-ota.db', 'images/', 'incoming/', 'lineage.json', 'server.lock']],
  ] as const)('%s says which files are in %s', (name, flag, ...files) => {
    const command = commands.find((each) => fullName(each) === `can-ota ${name}`)!;
    const about = command.options.find(({ long }) => long === flag)!.description;
    for (const file of files.flat()) expect(about.split(/[ ,;]+/)).toContain(file);
  });

  it.each([
    ['bench', '--image', 'EDT=file.bin', 'ECU=FILE@VERSION'],
    ['bench', '--image', 'edt=file.bin@1.0.0', 'ECU=FILE@VERSION'],
    ['bench', '--image', 'EDT=file.bin@two words', '1 to 32 characters'],
    ['bench', '--approval-timeout', 'soon', 'seconds'],
    ['server', '--port', '70000', '65535'],
    ['server', '--port', '80.5', 'whole number'],
    ['server', '--max-upload', '', 'MiB'],
    ['tmu', '--poll', '-1', 'seconds'],
  ])('%s %s %s is refused with what is expected', async (name, option, value, expected) => {
    const program = createProgram();
    let errors = '';
    for (const command of all(program)) {
      command.exitOverride().configureOutput({
        writeErr: (text) => {
          errors += text;
        },
      });
    }
    const run = program.parseAsync(['node', 'can-ota', name, option, value]);
    await expect(run).rejects.toMatchObject({ code: 'commander.invalidArgument' });
    expect(errors).toContain(option);
    expect(errors).toContain(expected);
  });
});

// The log of each daemon: JSON where it is collected, sentences for people, and one setting for both.

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';

const MAIN = path.join(import.meta.dirname, '../../src/cli/main.ts');

/** Ends the command when it has logged something; resolves with its first line on standard error. */
async function firstLogLine(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<string> {
  const child = spawn(process.execPath, [MAIN, ...args, '--log-level', 'trace'], {
    env: { ...process.env, CAN_OTA_LOG_FORMAT: undefined, NO_COLOR: undefined, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  for await (const chunk of child.stderr) {
    text += String(chunk);
    const line = text
      .split('\n')
      .find((one) => /^(\{|\w+: (?!.*process of yours))/.test(one) && text.includes(`${one}\n`));
    if (line !== undefined) {
      child.kill('SIGKILL');
      return line;
    }
  }
  throw new Error(`nothing was logged: ${text}`);
}

async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'can-ota-log-'));
  // The TMU says that it cannot read this.
  await writeFile(path.join(made, 'state.json'), 'damaged');
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

const bus = `local:log-${process.pid}?bitrate=0`;
/** Each daemon, started so that it has something to log. */
const daemons: [string, (dir: string) => string[]][] = [
  ['server', (dir) => ['server', '--port', '0', '--data', dir]],
  [
    'tmu',
    (dir) => [
      ...['tmu', '--server', 'http://127.0.0.1:9', '--state-dir', dir, '--bench-keys'],
      ...['--bus', bus],
    ],
  ],
  ['ecu', (dir) => ['ecu', 'EDT', '--flash', dir, '--bench-keys', '--bus', bus]],
  ['cgw', (dir) => ['cgw', '--approve', 'no', '--flash', dir, '--bench-keys', '--bus', bus]],
];

describe.each(daemons)('the log of %s', (_name, args) => {
  it('is JSON in a pipe', async () => {
    const line = JSON.parse(await firstLogLine(args(await folder())));
    expect(line).toMatchObject({ level: expect.any(Number), msg: expect.any(String) });
  });

  it('is a sentence where that is asked for, by option or environment', async () => {
    const sentence = /^(trace|debug|info|warn|error): \S/;
    const option = await firstLogLine([...args(await folder()), '--log-format', 'text']);
    expect(option).toMatch(sentence);
    expect(option).not.toContain('\x1b');
    const variable = { CAN_OTA_LOG_FORMAT: 'text' };
    expect(await firstLogLine(args(await folder()), variable)).toMatch(sentence);
    // The command line wins.
    const both = [...args(await folder()), '--log-format', 'json'];
    expect(await firstLogLine(both, variable)).toMatch(/^\{/);
  });
});

// Commands on terminals of several kinds, and without one: what they ask, draw, and leave behind.

import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { cli, folder, freshBus, root, run, scenario, start } from './support/processes.ts';
import { hasScript, Terminal, type TerminalSize } from './support/terminal.ts';

if (!hasScript) {
  process.stderr.write(
    'left out: commands on a terminal: there is no program "script" (util-linux)\n',
  );
}

/** Without anybody to answer: standard input is /dev/null, an empty file, or a pipe that has ended. */
const WITHOUT_INPUT = ['< /dev/null', '< empty', '<&-'] as const;

/** A shell that has `can-ota` on its PATH. */
async function terminal(kind: string, size: TerminalSize, more: NodeJS.ProcessEnv = {}) {
  const place = await folder();
  const bin = path.join(place, '.bin');
  await mkdir(bin);
  await writeFile(path.join(bin, 'can-ota'), `#!/bin/sh\nexec ${process.execPath} ${cli} "$@"\n`);
  await chmod(path.join(bin, 'can-ota'), 0o755);
  const vehicle = await readFile(path.join(root, 'ecus', 'bench-vehicle.yaml'), 'utf8');
  await writeFile(
    path.join(place, 'small.yaml'),
    vehicle.slice(0, vehicle.indexOf('  - name: INV')),
  );
  await writeFile(path.join(place, 'edt.bin'), new Uint8Array(40_000).fill(7));
  const env = { ...process.env, ...more, PATH: `${bin}:${process.env.PATH}`, TERM: kind };
  return new Terminal(place, env, size);
}

const NARROW = { columns: 40, rows: 24 };
const USUAL = { columns: 80, rows: 24 };

/** Moves the cursor, erases, or draws on another screen. Colours are no movement. */
const ESCAPE = '\x1b';
const MOVEMENT = new RegExp(`${ESCAPE}\\[[\\d;?]*[A-HJKSTfhl]|${ESCAPE}[78]`);
const COLOUR = new RegExp(`${ESCAPE}\\[[\\d;]*m`);

/** Without what the shell itself switches on and off at each prompt. */
function drawn(shell: Terminal): string {
  return shell.raw.replaceAll(new RegExp(`${ESCAPE}\\[\\?2004[hl]`, 'g'), '');
}

function bench(bus: string, ...more: readonly string[]): string {
  const image = ['--image', 'EDT=edt.bin@2.0.0'];
  return [
    'can-ota',
    'bench',
    '--vehicle',
    'small.yaml',
    '--bus',
    `'${bus}'`,
    ...image,
    ...more,
  ].join(' ');
}

describe('without anybody to ask', () => {
  scenario('bench and cgw say so before they start anything', async () => {
    const place = await folder();
    await writeFile(path.join(place, 'empty'), '');
    for (const command of ['bench --data data', 'cgw --flash flash']) {
      for (const input of WITHOUT_INPUT) {
        const line = `'${process.execPath}' '${cli}' ${command} --bus '${freshBus()}' ${input}`;
        const ended = await run(['-c', line], { program: ['bash'], cwd: place });
        expect(ended.exit?.code, line).toBe(2);
        expect(ended.stderr).toContain('nobody can be asked');
        expect(ended.stderr).toContain('--approve yes');
        expect(ended.lines).toEqual([]);
      }
      const piped = await run([...command.split(' '), '--bus', freshBus()], { cwd: place });
      expect(piped.exit?.code).toBe(2);
      expect(piped.stderr).toContain('nobody can be asked');
    }
    const left = await run(['-A', place], { program: ['ls'] });
    expect(left.lines).toEqual(['empty']);
  });

  scenario('passwords and passphrases end with what to give instead', async () => {
    const place = await folder();
    const cases: [readonly string[], string][] = [
      [
        ['server', 'user', 'add', 'alice', '--role', 'admin', '--data', 'data'],
        'pipe it in as one line',
      ],
      [['keys', 'init', '--dir', 'keys', '--passphrase'], '--passphrase-file'],
      [
        ['config', 'show', '1CANXTABENCH00001', '--server', 'http://127.0.0.1:9', '--user', 'al'],
        '--password-file',
      ],
    ];
    for (const [args, advice] of cases) {
      const ended = await run(args, { cwd: place });
      expect(ended.exit?.code, args.join(' ')).toBe(2);
      expect(ended.stderr).toContain(advice);
    }
  });

  scenario('a pipe that stays open may answer, and what was typed ahead is not lost', async () => {
    const flash = await folder();
    const gateway = start(['cgw', '--flash', flash, '--bench-keys', '--bus', freshBus()], {
      input: 'approve\n',
      keepInput: true,
    });
    await gateway.line(/^nothing is waiting for "approve"$/);
    gateway.kill();
    expect(await gateway.code()).toBe(0);
  });
});

describe('a bench on a terminal', () => {
  const kinds: [string, TerminalSize, NodeJS.ProcessEnv][] = [
    ['xterm', USUAL, {}],
    ['xterm', NARROW, { NO_COLOR: '1' }],
    ['dumb', USUAL, {}],
    ['dumb', NARROW, {}],
  ];
  for (const [kind, size, more] of kinds) {
    const name = `of the kind ${kind} with ${size.columns} columns${more.NO_COLOR ? ' without colours' : ''}`;
    scenario(`${name} asks, draws and ends`, async () => {
      if (!hasScript) return;
      const shell = await terminal(kind, size, more);
      // Slow enough for bars.
      const ended = shell.code(bench(freshBus('bitrate=250000')));
      await shell.shows(/What to do/);
      shell.type('appx\x7frove\n');
      expect(await ended).toBe(0);
      const { raw, screen } = shell;
      expect(screen).toContain('SUCCESS in ');
      expect(MOVEMENT.test(drawn(shell))).toBe(kind !== 'dumb');
      if (more.NO_COLOR) expect(raw).not.toMatch(COLOUR);
      // The table or the list of the end fits: no line of it wraps.
      const end = screen.slice(
        screen.search(/^(?:┌|EDT {2}1\.0\.0)/m),
        screen.indexOf('SUCCESS in'),
      );
      expect(end).toContain('40000');
      for (const line of end.split(/\r?\n/)) expect(line.length).toBeLessThanOrEqual(size.columns);
      if (kind !== 'dumb') expect(raw).toMatch(/EDT program +█/);
      // The terminal echoes again, and takes lines.
      await shell.run('stty -a > modes');
      await shell.run('grep -qE "(^| )icanon" modes && grep -qE "(^| )isig" modes');
    });
  }

  scenario('gives what was typed beside the bars to the shell, where nobody asks', async () => {
    if (!hasScript) return;
    const shell = await terminal('xterm', USUAL);
    await shell.run('stty echo');
    shell.type(`${bench(freshBus('bitrate=250000'), '--approve', 'yes')}\n`);
    await shell.shows(/EDT program +[█░]/);
    shell.type('echo typed-"ahead"\n');
    await shell.shows(/typed-ahead/);
    const at = shell.screen.indexOf('SUCCESS in ');
    expect(at).toBeGreaterThan(0);
    // Between the bars it was not seen: it came to the shell when the bench was over.
    expect(shell.screen.slice(0, at)).not.toContain('typed-"ahead"');
  });

  scenario('ends with Control-C while the keys are read', async () => {
    if (!hasScript) return;
    const shell = await terminal('xterm', USUAL);
    const ended = shell.code(bench(freshBus()));
    await shell.shows(/What to do/);
    shell.type('half\x03');
    expect(await ended).toBe(130);
    expect(shell.screen).toContain('> half');
  });
});

describe('a password on a terminal', () => {
  for (const kind of ['xterm', 'dumb']) {
    scenario(`of the kind ${kind} is asked for twice and never shown`, async () => {
      if (!hasScript) return;
      const shell = await terminal(kind, NARROW);
      const added = shell.code('can-ota server user add alice --role admin --data data');
      await shell.shows(/Password: /);
      shell.type('correct horse battery staple\r');
      await shell.shows(/Once more: /);
      shell.type('correct horse battery staple\r');
      expect(await added).toBe(0);
      expect(shell.screen).not.toContain('horse');
      expect(drawn(shell)).not.toMatch(MOVEMENT);
      const refused = shell.code('can-ota server user add bob --role admin --data data');
      await shell.shows(/Password: .*Password: /s);
      shell.type('\x03');
      expect(await refused).toBe(2);
      await shell.shows('none was entered');
    });
  }
});

describe('an empty local bus', () => {
  scenario('is told by each command that asks there, with what to do', async () => {
    const place = await folder();
    const keys = ['--bench-keys'];
    await writeFile(path.join(place, 'edt.bin'), 'image');
    const commands: string[][] = [
      ['read', 'EDT', 'F189', ...keys],
      ['flash', 'EDT', 'edt.bin', '--version', '2.0.0', ...keys],
      ['tmu', '--once', '--server', 'http://127.0.0.1:9', '--state-dir', 'state', ...keys],
    ];
    for (const args of commands) {
      const bus = freshBus();
      const name = /local:[\w-]+/.exec(bus)?.[0] ?? '';
      const alone = start([...args, '--bus', bus], { cwd: place });
      await alone.error(/you are alone on this bus/);
      expect(alone.stderr).toContain(`can-ota ecu EDT --bus ${name}`);
      expect(alone.stderr).toContain('a local bus is one of each user');
      alone.kill();
    }
    const bus = freshBus();
    const ecu = start(['ecu', 'EDT', '--flash', 'flash', '--bus', bus, ...keys], { cwd: place });
    await ecu.line(/alone on this bus so far; .* --bus local:/);
    const read = await run(['read', 'EDT', 'F189', '--bus', bus, ...keys], { cwd: place });
    expect(await read.code()).toBe(0);
    expect(read.stderr).toBe('');
  });
});

// `can-ota vcan`: a command of anybody with a real vcan0, in this kernel or in a user-mode kernel; and docs/vcan.md.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { vcanArguments } from '../../src/cli/vcan/vcan.ts';
import { readPage } from '../support/shell-blocks.ts';
import { DocsPage } from './support/docs-page.ts';
import { folder, type RunOptions, root, run, scenario, start } from './support/processes.ts';

const has = (...command: string[]): boolean =>
  spawnSync(command[0] ?? '', command.slice(1)).status === 0;
const uml = existsSync('/usr/lib/uml/modules') && has('linux.uml', '--version');
const possible = uml || existsSync('/sys/class/net/vcan0');
if (!possible) process.stderr.write('left out: can-ota vcan: no vcan0 and no user-mode-linux\n');
const canUtils = has('sh', '-c', 'command -v candump && command -v cansend');
const python = has('python3', '-c', 'import can');
if (!python) process.stderr.write('left out: the Python of docs/vcan.md: no python-can here\n');
const compiler = has('cc', '--version');

const vcan = (args: readonly string[], options: RunOptions = {}) => run(['vcan', ...args], options);

describe('the arguments for the script', () => {
  it('are the options, then the command as it is', () => {
    expect(vcanArguments(['a', '--out', '--'], { interface: [] })).toEqual([
      '--',
      'a',
      '--out',
      '--',
    ]);
    const options = { interface: ['vcan0', 'b'], out: 'o', memory: '1G', way: 'uml' } as const;
    expect(vcanArguments(['x'], options)).toEqual([
      ...['--interface', 'vcan0', '--interface', 'b'],
      ...['--out', 'o', '--memory', '1G', '--way', 'uml', '--', 'x'],
    ]);
  });
});

describe.skipIf(!possible)('can-ota vcan', () => {
  scenario(
    'hands over input, arguments, folder, environment, both outputs and the exit code',
    async () => {
      const cwd = await folder();
      const script =
        'ip -br link show vcan0; echo "$GIVEN|$1|$2|$(pwd)"; cat; echo told >&2; exit 9';
      const done = await vcan(['--', 'sh', '-c', script, 'sh', "it's a", '--out'], {
        cwd,
        env: { GIVEN: 'two  words' },
        input: 'line one\nline two\n',
      });
      expect(await done.code(), String(done)).toBe(9);
      expect(done.lines[0]).toMatch(/^vcan0 .*UP/);
      expect(done.lines.slice(1)).toEqual([
        `two  words|it's a|--out|${cwd}`,
        'line one',
        'line two',
      ]);
      expect(done.stderr).toBe('told\n');
    },
  );

  scenario('says that a command is not there by 127', async () => {
    const done = await vcan(['no-such-program', '--json']);
    expect(await done.code()).toBe(127);
    expect(done.stderr).toContain('no-such-program');
  });
});

describe.skipIf(!uml)('the user-mode kernel', () => {
  scenario('takes binary input of any length, and input that has no end', async () => {
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256));
    const cwd = await folder();
    await writeFile(path.join(cwd, 'input'), bytes);
    const main = [process.execPath, path.join(root, 'src/cli/main.ts')].join(' ');
    const program = ['sh', '-c', `${main} vcan --way uml -- md5sum <input; md5sum <input`];
    const done = await run([], { cwd, program });
    const [inside, outside] = done.lines;
    expect(inside, String(done)).toBe(outside);

    const open = start(['vcan', '--way', 'uml', '--', 'head', '-n', '1'], { keepInput: true });
    open.type('only this\n');
    expect(await open.code(), String(open)).toBe(0);
    expect(open.lines).toEqual(['only this']);
  });

  scenario(
    'has the interfaces that are named, keeps one folder, and discards the rest',
    async () => {
      const cwd = await folder();
      const script =
        'ls /sys/class/net; cat /sys/class/net/bus_b/mtu; echo lost >lost; echo kept >out/kept';
      const names = ['--interface', 'bus_a', '--interface=bus_b'];
      const options = [...names, '--way', 'uml', '--out', 'out', '--memory', '256M'];
      const done = await vcan([...options, 'sh', '-c', script], { cwd });
      expect(await done.code(), String(done)).toBe(0);
      expect(done.lines).toEqual(['bus_a', 'bus_b', 'lo', '72']);
      expect(await readdir(cwd)).toEqual(['out']);
      expect(await readFile(path.join(cwd, 'out', 'kept'), 'utf8')).toBe('kept\n');
    },
  );

  scenario('ends with its caller, and leaves nothing behind', async () => {
    const place = await folder();
    const env = { TMPDIR: place };
    const running = start(['vcan', '--way', 'uml', 'sh', '-c', 'echo runs; sleep 600'], { env });
    await running.line(/^runs$/);
    running.kill('SIGTERM');
    expect(await running.code()).toBe(143);
    expect(await readdir(place)).toEqual([]);
  });
});

describe('without a virtual CAN', () => {
  scenario('ends with 125 and the packages that are missing', async () => {
    // A PATH with the programs of the script, without the user-mode kernel.
    const place = await folder();
    const programs = ['sh', 'dirname', 'cat', 'id', 'uname', 'ip', 'env'];
    const links = programs.map((name) => `ln -s "$(command -v ${name})" '${place}/${name}'`);
    spawnSync('sh', ['-c', links.join('; ')]);
    const done = await vcan(['--interface', 'nosuch0', 'true'], { env: { PATH: place } });
    // Root of a kernel with vcan makes it.
    if (done.exit?.code === 0) return;
    expect(done.exit?.code, String(done)).toBe(125);
    expect(done.stderr).toContain('sudo apt-get install user-mode-linux iproute2 kmod');
    expect(done.stderr).toMatch(/sudo \/\S+\/vcan-setup\.sh/);
    expect(done.stderr).not.toContain('with-vcan.sh');
  });
});

describe('wrong options', () => {
  scenario('end with 2, before anything is started', async () => {
    for (const [args, message] of [
      [[], "missing required argument 'command'"],
      [['--interface', 'a/b', 'true'], 'no interface name'],
      [['--interface', 'sixteen-letters-', 'true'], 'no interface name'],
      [['--memory', 'much', 'true'], 'expected a size like 512M or 3G'],
      [['--way', 'qemu', 'true'], 'Allowed choices'],
      [['--frob', 'true'], 'unknown option'],
    ] as const) {
      const done = await vcan(args);
      expect(await done.code(), args.join(' ')).toBe(2);
      expect(done.stderr).toContain(message);
    }
  });
});

describe.skipIf(!possible)('docs/vcan.md', () => {
  scenario('works as it is written', async () => {
    const page = await DocsPage.open('vcan');
    const code = (info: string): string =>
      readPage('docs/vcan.md').blocks.find((block) => block.info === info)?.text ?? '';
    await writeFile(path.join(page.place, 'test_bus.py'), code('python'));
    await writeFile(path.join(page.place, 'send.c'), code('c'));
    if (canUtils) {
      const shown = await page.does('Run a command');
      expect(shown).toMatch(/mtu 72/);
      expect(shown).toContain('02 3E 00');
    }
    if (python) await page.does('Tests in Python');
    if (canUtils && compiler) expect(await page.does('Tests in C')).toContain('123#CAFE');
  });
});

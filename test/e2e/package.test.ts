// The npm package: built, packed, unpacked in another folder, and run from there.

import { copyFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { oldNode, pack } from './support/packed.ts';
import { folder, freshBus, root, run, scenario } from './support/processes.ts';

const old = oldNode();
if (old === undefined) {
  process.stderr.write('left out: the sentence for an old Node: there is no Node 16 to 23 here\n');
}

describe('the package', () => {
  scenario('runs from where it was unpacked', async () => {
    const place = await folder();
    const { file, names } = await pack(place);
    expect(names).toEqual(
      expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'dist/src/cli/main.js']),
    );
    // It has neither sources nor tests, apart from the images that the bench needs.
    expect(names.filter((name) => /(?<!\.d)\.ts$|\.test\./.test(name))).toEqual([]);
    const unpack = await run(['-xzf', file, '-C', place], { program: ['tar'] });
    expect(await unpack.code()).toBe(0);
    await symlink(path.join(root, 'node_modules'), path.join(place, 'node_modules'));
    const main = path.join(place, 'package', 'dist', 'src', 'cli', 'main.js');
    const installed = { program: [process.execPath, main], cwd: place };

    const help = await run(['--help'], installed);
    expect(await help.code()).toBe(0);
    for (const name of ['bench', 'tmu', 'server', 'ecu', 'cgw', 'flash', 'read', 'check', 'vcan']) {
      expect(help.lines.join('\n')).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    }
    // Its scripts are in the package, too.
    const vcan = await run(['vcan', '--', 'cat', '/sys/class/net/vcan0/mtu'], installed);
    if (vcan.exit?.code !== 125) expect(vcan.lines, String(vcan)).toEqual(['72']);
    const bus = freshBus();
    const bench = await run(['bench', '--approve', 'yes', '--json', '--bus', bus], installed);
    expect(bench.stderr).toBe('');
    expect(await bench.code()).toBe(0);
    expect(bench.last).toMatchObject({
      outcome: 'SUCCESS',
      ecus: [{ name: 'EDT' }, { name: 'INV' }],
    });
    // Its workers are programs of the package, too.
    const few = ['--campaigns', '40', '--faults', 'none', '--image-bytes', '500', '--no-shrink'];
    const simulated = await run(
      ['simulate', '--sabotage', 'counter-early', ...few, '--jobs', '2', '--json'],
      installed,
    );
    expect(simulated.stderr.match(/^VIOLATION early-counter/gm)).toHaveLength(3);
    expect(await simulated.code()).toBe(1);
    expect(simulated.last).toMatchObject({ episodes: 3 });

    if (old !== undefined) {
      // The npm package `node` is installed beside it: that Node runs the command.
      const helped = await run(['--help'], { program: [old, main] });
      expect(helped.lines).toEqual(help.lines);
      expect(await helped.code()).toBe(0);
      const alone = path.join(await folder(), 'main.mjs');
      await copyFile(main, alone);
      const refused = await run(['--help'], { program: [old, alone] });
      expect(await refused.code()).toBe(2);
      expect(refused.stderr).toMatch(/^can-ota needs Node\.js 24\.\d+ or newer, this is \d+/);
      expect(refused.stderr).not.toMatch(/^\s+at |SyntaxError/m);
    }
  });
});

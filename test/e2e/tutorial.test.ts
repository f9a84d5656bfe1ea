// docs/tutorial.md, run as it is written: one terminal for each block, in the order of the page.

import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { cli, folder, root, scenario } from './support/processes.ts';
import { hasScript, Terminal } from './support/terminal.ts';

const TUTORIAL = path.join(root, 'docs', 'tutorial.md');

interface Block {
  /** `sh`: lines of a shell. `keys`: typed into the running program. `text`: what must be on the screen. */
  readonly kind: string;
  readonly terminal: string;
  /**
   * Text on the screen before the next block, for a program that continues to run. For `keys`: before they are typed.
   */
  readonly until: string | undefined;
  readonly lines: readonly string[];
}

function blocksOf(page: string): Block[] {
  return [...page.matchAll(/^```(\w+) terminal=(\w+)(?: until="([^"]+)")?\n(.*?)^```$/gms)].map(
    ([, kind = '', terminal = '', until, text = '']) => {
      return { kind, terminal, until, lines: text.trimEnd().split('\n') };
    },
  );
}

describe('the tutorial', () => {
  scenario('works as it is written', async () => {
    if (!hasScript) {
      process.stderr.write('left out: the tutorial: there is no program "script" (util-linux)\n');
      return;
    }
    const place = await folder();
    const bin = path.join(place, '.bin');
    await mkdir(bin);
    await writeFile(path.join(bin, 'can-ota'), `#!/bin/sh\nexec ${process.execPath} ${cli} "$@"\n`);
    await chmod(path.join(bin, 'can-ota'), 0o755);
    const env = {
      ...process.env,
      PATH: `${bin}:${process.env.PATH}`,
      TERM: 'xterm',
      NO_COLOR: '1',
    };
    const terminals = new Map<string, Terminal>();
    const terminal = (name: string): Terminal => {
      let found = terminals.get(name);
      if (found === undefined) {
        const made = new Terminal(place, env);
        terminals.set(name, made);
        found = made;
      }
      return found;
    };
    for (const block of blocksOf(await readFile(TUTORIAL, 'utf8'))) {
      const on = terminal(block.terminal);
      if (block.kind === 'keys') {
        if (block.until !== undefined) await on.shows(block.until);
        on.type(block.lines.join('\n'));
      } else if (block.kind === 'text') {
        for (const line of block.lines) await on.shows(line);
      } else if (block.until !== undefined) {
        on.type(`${block.lines.join('\n')}\n`);
        await on.shows(block.until);
      } else {
        for (const line of block.lines) await on.run(line);
      }
    }
    const digest = /^([0-9a-f]{64}) {2}edt\.bin/m.exec(terminal('desk').screen)?.[1];
    expect(digest).toBeDefined();
    expect(terminal('desk').screen).toContain(`FD01  ${digest}`);
  });

  it('is found, block by block', async () => {
    const blocks = blocksOf(await readFile(TUTORIAL, 'utf8'));
    const page = await readFile(TUTORIAL, 'utf8');
    expect(blocks).toHaveLength(page.match(/^```\w/gm)?.length ?? 0);
    expect(blocks.length).toBeGreaterThan(15);
  });
});

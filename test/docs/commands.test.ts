// Every command of the documentation is one: each block for a shell is run by a test, or stands in a list with a reason, and
// each line of can-ota, in blocks and in sentences, has commands, options and arguments that exist.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandFault, commandNames } from '../support/parse-command.ts';
import { type Block, inlineCode, isShell, PAGES, readPage } from '../support/shell-blocks.ts';
import { shellCommands } from '../support/shell-words.ts';

const root = path.resolve(import.meta.dirname, '../..');

interface LeftOut {
  readonly page: string;
  readonly heading: string;
  /** Why no test runs the block as it stands, and what does instead. */
  readonly why: string;
}

const LEFT_OUT: readonly LeftOut[] = [
  {
    page: 'README.md',
    heading: 'can-ota',
    why: 'a fresh clone: test/e2e/bench.test.ts runs the bench, and `npm test` is what runs this',
  },
  {
    page: 'README.md',
    heading: 'Every day',
    why: 'an interface can0 and a thousand campaigns: test/e2e/tools.test.ts and test/cli/simulate.world.test.ts',
  },
  {
    page: 'docs/install.md',
    heading: 'From a clone',
    why: 'a clone and the network: test/e2e/package.test.ts',
  },
  {
    page: 'docs/install.md',
    heading: 'From the packed file',
    why: 'the npm registry: test/e2e/package.test.ts installs the packed file',
  },
  {
    page: 'docs/install.md',
    heading: 'The TMU daemon and the backend under systemd',
    why: 'root and systemd: test/e2e/packaging.test.ts verifies the units',
  },
  {
    page: 'docs/install.md',
    heading: 'The backend in a container',
    why: 'a builder of containers: test/e2e/packaging.test.ts reads the files',
  },
  {
    page: 'docs/install.md',
    heading: 'Completion and manual pages',
    why: 'man: test/cli/completion.slow.test.ts',
  },
  {
    page: 'docs/image-files.md',
    heading: 'Flash files',
    why: 'files of a build: test/cli/image.world.test.ts runs the same commands with files of its own',
  },
  {
    page: 'docs/simulation.md',
    heading: 'The whole system under one seed',
    why: 'an hour of computing: test/cli/simulate.world.test.ts runs the same commands with fewer campaigns',
  },
  {
    page: 'docs/operations/networks.md',
    heading: 'The backend behind nginx',
    why: 'nginx and a name in the DNS: test/server/behind-proxy.slow.test.ts sends what such a proxy sends',
  },
  {
    page: 'docs/operations/networks.md',
    heading: 'A client certificate as the second factor of devices',
    why: 'the same: test/server/client-certificates.slow.test.ts',
  },
];

/** Programs besides can-ota that the blocks above may name. */
const PROGRAMS = new Set(['npm', 'git', 'cd', 'sudo', 'echo', 'podman', 'make', 'man', 'can-ota']);

const blocks = PAGES.flatMap((page) => readPage(page).blocks).filter(isShell);

/** Tests that run processes, without the lists of sections that they leave to others. */
const runs = readdirSync(path.join(root, 'test', 'e2e'))
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(path.join(root, 'test', 'e2e', name), 'utf8'))
  .map((text) => text.replaceAll(/expectAllTried\(.*?\);/gs, ''));

function isRun({ page, heading, info }: Block): boolean {
  // test/e2e/tutorial.test.ts runs every block of the page that has a terminal, and counts them.
  if (page === 'docs/tutorial.md') return / terminal=/.test(info);
  const name = page.replace(/^docs\//, '').replace(/\.md$/, '');
  return runs.some(
    (test) => test.includes(`DocsPage.open('${name}')`) && test.includes(`'${heading}'`),
  );
}

function isLeftOut({ page, heading }: Block): boolean {
  return LEFT_OUT.some((each) => each.page === page && each.heading === heading);
}

describe('each block for a shell', () => {
  it('is run by a test from the text, or left out for a reason', () => {
    const forgotten = blocks.filter((block) => !isRun(block) && !isLeftOut(block));
    expect(forgotten.map(({ page, heading }) => `${page}: ${heading}`)).toEqual([]);
    expect(blocks.length).toBeGreaterThan(50);
  });

  it('that is left out exists, and no test runs it', () => {
    for (const { page, heading } of LEFT_OUT) {
      const named = blocks.filter((block) => block.page === page && block.heading === heading);
      expect([page, heading, named.filter((block) => !isRun(block)).length]).not.toEqual([
        ...[page, heading, 0],
      ]);
    }
  });

  it('that is left out names programs and files that exist', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    for (const block of blocks.filter(isLeftOut)) {
      for (const words of shellCommands(block.text)) {
        expect([block.page, words[0], PROGRAMS.has(words[0] ?? '')]).toEqual([
          ...[block.page, words[0], true],
        ]);
        if (words[0] === 'npm' && words[1] === 'run')
          expect(scripts).toHaveProperty([words[2] ?? '']);
        for (const word of words.filter((each) => /^(?:packaging|scripts|docs)\//.test(each))) {
          expect([word, existsSync(path.join(root, word))]).toEqual([word, true]);
        }
      }
    }
  });
});

/** The words behind `can-ota` of each command that calls it, with or without npx, sudo or npm run. */
function calls(text: string): string[][] {
  return shellCommands(text).flatMap((words) => {
    const at = words.indexOf('can-ota');
    if (
      at >= 0 &&
      words.slice(0, at).every((word) => /^(?:npx|sudo|-u|exec|-\w+|can-ota)$/.test(word))
    ) {
      return [words.slice(at + 1)];
    }
    const [program, run, name, dashes, ...rest] = words;
    return program === 'npm' && run === 'run' && name === 'bench'
      ? [['bench', ...(dashes === '--' ? rest : [])]]
      : [];
  });
}

describe.each(PAGES)('%s', (page) => {
  it('has no line of can-ota that the program would refuse', () => {
    const { blocks: all, prose } = readPage(page);
    const inBlocks = all
      .filter(isShell)
      .flatMap(({ text }) => calls(text))
      .map((words) => [words, commandFault(words, false)] as const);
    const names = new Set(commandNames());
    const inSentences = inlineCode(prose)
      .flatMap((code) => {
        const [first = '', second] = code.split(/\s+/);
        const isShort = names.has(first) && second !== undefined && /^[a-z-]/.test(second);
        return calls(isShort ? `can-ota ${code}` : code);
      })
      .map((words) => [words, commandFault(words, true)] as const);
    const wrong = [...inBlocks, ...inSentences].filter(([, fault]) => fault !== undefined);
    expect(wrong.map(([words, fault]) => `can-ota ${words.join(' ')}: ${fault}`)).toEqual([]);
  });
});

describe('the check', () => {
  it.each([
    ['tmu --server URL', false, /state-dir/],
    ['tmu --server URL --sate-dir x', true, /unknown option '--sate-dir'/],
    ['release ad edt.bin', true, /unknown command 'ad'/],
    ['server device revoke', false, /missing required argument/],
    ['server device revoke A B', true, /too many arguments/],
    ['bench --approve perhaps', true, /Allowed choices/],
    ['flash EDT', false, /missing required argument 'image'/],
    ['server --port 80.5', true, /whole number/],
    ['nothing', true, /unknown command/],
  ])('refuses %s (in a sentence: %s)', (line, mention, expected) => {
    expect(commandFault(line.split(' '), mention)).toMatch(expected);
  });

  it.each([
    ['tmu ... --client-key tmu.key', false],
    ['server --trust-proxy CIDR', true],
    ['keys rotate images targets', true],
    ['server device', true],
    ['--version', false],
  ])('takes %s (in a sentence: %s)', (line, mention) => {
    expect(commandFault(line.split(' '), mention)).toBeUndefined();
  });

  it('reads a shell as a shell does', () => {
    const text = `A=1 can-ota x --reason 'two words' \\\n  --y "a \\"b\\"" > out # ; not this\necho a | can-ota z && b\n`;
    expect(shellCommands(text)).toEqual([
      ['can-ota', 'x', '--reason', 'two words', '--y', 'a "b"'],
      ['echo', 'a'],
      ['can-ota', 'z'],
      ['b'],
    ]);
  });
});

// Completion scripts and manual pages name every command and every option, and shells and troff can read them.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { manualPages } from '../../src/cli/completion/man-pages.ts';
import { completionScript, SHELLS } from '../../src/cli/completion/shells.ts';
import { createProgram } from '../../src/cli/program.ts';

const has = (name: string): boolean => spawnSync(name, ['--version']).error === undefined;

function all(command: Command): Command[] {
  return [command, ...command.commands.flatMap(all)];
}

const program = createProgram();

describe.each(SHELLS)('the completion of %s', (shell) => {
  const script = completionScript(program, shell);

  it('has every command and every long option', () => {
    for (const { options, name } of all(program).map((command) => ({
      options: command.options.flatMap(({ long }) => long ?? []),
      name: command.name(),
    }))) {
      expect(script).toContain(name);
      for (const long of options) expect(script).toContain(shell === 'fish' ? long.slice(2) : long);
    }
  });

  it.skipIf(!has(shell))('is understood by its shell', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'completion-'));
    const file = path.join(folder, shell);
    writeFileSync(file, script);
    const { status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });
});

it('bash completes commands, options and values', () => {
  const words = (...line: string[]): string => {
    const set = `COMP_WORDS=(${line.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${line.length - 1}`;
    const input = `${completionScript(program, 'bash')}\n${set}\n_can_ota\necho "\${COMPREPLY[*]}"\n`;
    return spawnSync('bash', [], { input, encoding: 'utf8' }).stdout.trim();
  };
  expect(words('can-ota', 'server', 'to')).toBe('token');
  expect(words('can-ota', 'server', 'token', '--ro')).toBe('--role');
  expect(words('can-ota', 'bench', '--approve', '')).toBe('ask yes no');
  expect(words('can-ota', 'tmu', '--bus', 'can0', '--once', '--suite', '')).toContain('hmac');
});

describe('manual pages', () => {
  const pages = manualPages(program);

  it('there is one a command, with its options', () => {
    expect(pages.size).toBe(all(program).length);
    expect(pages.get('can-ota-server-token.1')).toContain('\\-\\-role <role>');
    expect(pages.get('can-ota.1')).toContain('.BR can\\-ota\\-bench (1)');
  });

  it.skipIf(!has('groff'))('are understood by groff', () => {
    const args = ['-man', '-ww', '-Tascii', '-Z'];
    const input = [...pages.values()].join('');
    const { stderr } = spawnSync('groff', args, { input, encoding: 'utf8' });
    expect(stderr.replaceAll(/.*cannot (adjust|break) line.*\n/g, '')).toBe('');
  });
});

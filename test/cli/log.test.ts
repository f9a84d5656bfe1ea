// Log lines for people, and the option that every command has for them.

import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { readable } from '../../src/cli/log.ts';
import { LOG_FORMAT_VARIABLE } from '../../src/cli/log-format.ts';
import { createProgram } from '../../src/cli/program.ts';

function all(command: Command): Command[] {
  return [command, ...command.commands.flatMap(all)];
}

describe('the log', () => {
  it('is a sentence with its facts', () => {
    const line = { level: 40, time: 1, ecu: 'EDT', facts: { tries: 2 }, msg: 'does not answer' };
    expect(readable(JSON.stringify(line))).toBe(
      'warn: does not answer (ecu EDT, facts {"tries":2})',
    );
    expect(readable('{"level":30,"msg":"starts"}')).toBe('info: starts');
    expect(readable('{"level":31,"msg":"starts"}')).toBe('log: starts');
  });

  it('has a format at each command that has a level', () => {
    const logging = all(createProgram()).filter((command) =>
      command.options.some(({ long }) => long === '--log-level'),
    );
    expect(logging.length).toBeGreaterThan(30);
    for (const command of logging) {
      const option = command.options.find(({ long }) => long === '--log-format');
      expect(option?.argChoices, command.name()).toEqual(['text', 'json']);
      expect(option?.envVar).toBe(LOG_FORMAT_VARIABLE);
    }
  });
});

// Manual pages of section 1, one for each command, generated from the definitions of commands and options.

import type { Command } from 'commander';
import { EXIT_CODES } from '../program-options.ts';

/** Text of each page by its file name: `can-ota-server-token.1`. */
export function manualPages(program: Command): Map<string, string> {
  const pages = new Map<string, string>();
  const add = (command: Command, path: readonly string[]): void => {
    pages.set(`${path.join('-')}.1`, page(command, path));
    for (const child of command.commands) add(child, [...path, child.name()]);
  };
  add(program, [program.name()]);
  return pages;
}

function page(command: Command, path: readonly string[]): string {
  const title = path.join('-');
  const summary = command.description().replace(/\.$/, '');
  const lines = [
    `.TH "${title.toUpperCase()}" "1" "" "can-ota" "can-ota"`,
    '.SH NAME',
    `${roff(title)} \\- ${roff(summary)}`,
    '.SH SYNOPSIS',
    `.B ${roff(path.join(' '))}`,
    roff(command.usage()),
  ];
  const args = command.registeredArguments;
  if (args.length > 0) {
    lines.push('.SH ARGUMENTS');
    for (const argument of args)
      lines.push('.TP', `.I ${roff(argument.name())}`, roff(argument.description));
  }
  lines.push('.SH OPTIONS');
  const help = command.createHelp();
  for (const option of help.visibleOptions(command)) {
    lines.push('.TP', `.B ${roff(option.flags)}`, roff(help.optionDescription(option)));
  }
  if (command.commands.length > 0) {
    lines.push('.SH COMMANDS');
    for (const child of command.commands) {
      lines.push('.TP', `.BR ${roff(`${title}-${child.name()}`)} (1)`, roff(child.description()));
    }
  }
  const examples = examplesOf(command);
  if (examples.length > 0) lines.push('.SH EXAMPLES', '.nf', ...examples.map(roff), '.fi');
  lines.push('.SH EXIT STATUS', '.nf', ...EXIT_CODES.trim().split('\n').slice(1).map(roff), '.fi');
  return `${lines.join('\n')}\n`;
}

/** The lines of the help after "Examples:". */
function examplesOf(command: Command): string[] {
  let text = '';
  const { writeOut, ...rest } = command.configureOutput();
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  command.configureOutput({ ...rest, ...(writeOut && { writeOut }) });
  const block = /\nExamples:\n(.*?)\n\n/s.exec(text)?.[1] ?? '';
  return block.split('\n').map((line) => line.replace(/^ {2}\$ /, ''));
}

/** Escapes a line of text, so that backslashes, leading points and hyphens are not commands of roff. */
function roff(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('\n', ' ');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

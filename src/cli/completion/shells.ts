// Completion scripts for bash, zsh and fish, generated from the definitions of commands and options.

import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(program: Command, shell: Shell): string {
  const entries = all(program, []);
  switch (shell) {
    case 'bash':
      return bash(program.name(), entries);
    case 'zsh':
      return zsh(program.name(), entries);
    case 'fish':
      return fish(program.name(), entries);
  }
}

interface Entry {
  /** Words after the name of the program: [] or ['server', 'token']. */
  readonly path: readonly string[];
  readonly command: Command;
}

function all(command: Command, path: readonly string[]): Entry[] {
  const below = command.commands.flatMap((child) => all(child, [...path, child.name()]));
  return [{ path, command }, ...below];
}

/** Whether the last word of the option is a path, which the shell completes itself. */
function takesFile({ flags }: Option): boolean {
  return /<(?:file|dir|log|place|image)>/.test(flags);
}

function longNames(command: Command): string[] {
  const own = command.options.flatMap(({ long }) => (long ? [long] : []));
  return [...own, '--help'];
}

function bash(name: string, entries: readonly Entry[]): string {
  const words = entries.map(({ path, command }) => {
    const children = command.commands.map((child) => child.name());
    return `    '${path.join(' ')}') words='${[...children, ...longNames(command)].join(' ')}' ;;`;
  });
  const values = entries.flatMap(({ path, command }) =>
    command.options.flatMap(({ long, argChoices }) =>
      argChoices === undefined
        ? []
        : [`    '${path.join(' ')} ${long}') words='${argChoices.join(' ')}' ;;`],
    ),
  );
  const paths = entries
    .filter(({ path }) => path.length > 0)
    .map(({ path }) => `'${path.join(' ')}'`);
  return `# bash completion for ${name}
_${identifier(name)}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
    ${paths.join('|')}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path $previous" in
${values.join('\n')}
  esac
  if [ -z "$words" ] && [[ $previous == --* && $current != -* ]]; then
    COMPREPLY=($(compgen -f -- "$current"))
    [ \${#COMPREPLY[@]} -eq 0 ] || return
  fi
  if [ -z "$words" ]; then
    case "$path" in
${words.join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _${identifier(name)} ${name}
`;
}

function zsh(name: string, entries: readonly Entry[]): string {
  const functions = entries.map(({ path, command }) => {
    const options = command.options.flatMap((option) => {
      if (option.long === undefined) return [];
      const value = zshValue(option);
      return [`    '${option.long}[${zshText(option.description)}]${value}' \\`];
    });
    const own = functionName(name, path);
    const body = [`  _arguments -C \\`, ...options, `    '--help[help]' \\`];
    if (command.commands.length === 0)
      return `${own}() {\n${body.join('\n')}\n    '*:file:_files'\n}`;
    const children = command.commands.map(
      (child) => `      '${child.name()}:${zshText(child.description())}'`,
    );
    const calls = command.commands.map(
      (child) => `      ${child.name()}) ${functionName(name, [...path, child.name()])} ;;`,
    );
    return `${own}() {
  local state line
  local -a commands
${body.join('\n')}
    '1: :->command' '*:: :->rest'
  case $state in
  command)
    commands=(
${children.join('\n')}
    )
    _describe command commands ;;
  rest)
    case $line[1] in
${calls.join('\n')}
    esac ;;
  esac
}`;
  });
  return `#compdef ${name}\n${functions.join('\n')}\n${functionName(name, [])} "$@"\n`;
}

function zshValue(option: Option): string {
  if (!option.required && !option.optional) return '';
  if (option.argChoices !== undefined) return `:value:(${option.argChoices.join(' ')})`;
  return takesFile(option) ? ':file:_files' : ':value:';
}

function zshText(text: string): string {
  return text.replaceAll(/[[\]]/g, '').replaceAll(':', '\\:').replaceAll("'", "'\\''");
}

function fish(name: string, entries: readonly Entry[]): string {
  const lines = entries.flatMap(({ path, command }) => {
    const names = command.commands.map((child) => child.name());
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const here = [
      ...seen,
      ...(names.length > 0 ? [`not __fish_seen_subcommand_from ${names.join(' ')}`] : []),
    ];
    const when = here.length > 0 ? `-n '${here.join('; and ')}' ` : '';
    const children = command.commands.map(
      (child) =>
        `complete -c ${name} ${when}-f -a ${child.name()} -d '${fishText(child.description())}'`,
    );
    const options = command.options.flatMap((option) => {
      if (option.long === undefined) return [];
      const value = option.argChoices === undefined ? '' : ` -a '${option.argChoices.join(' ')}'`;
      const needs = option.required ? (takesFile(option) ? ' -r -F' : ' -x') : '';
      return [
        `complete -c ${name} ${when}-l ${option.long.slice(2)}${needs}${value} -d '${fishText(option.description)}'`,
      ];
    });
    return [...children, ...options];
  });
  return `# fish completion for ${name}\n${lines.join('\n')}\n`;
}

function fishText(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
}

function identifier(name: string): string {
  return name.replaceAll('-', '_');
}

function functionName(name: string, path: readonly string[]): string {
  return ['', name, ...path].map(identifier).join('_');
}

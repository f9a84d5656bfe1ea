// Lines of a shell as their commands, word by word: quotes, comments, pipes, redirections. Nothing is expanded.

/** Each command of a text for a shell. `NAME=value` in front of a command and redirections are left out. */
export function shellCommands(text: string): string[][] {
  const commands: string[][] = [[]];
  let skips = false;
  for (const token of tokens(text.replaceAll(/\\\n\s*/g, ' '))) {
    const command = commands.at(-1) ?? [];
    if (token.kind === 'separator') commands.push([]);
    else if (token.kind === 'redirection') skips = true;
    else if (skips) skips = false;
    else if (command.length > 0 || !/^[A-Za-z_]\w*=/.test(token.text)) command.push(token.text);
  }
  return commands.filter((command) => command.length > 0);
}

interface Token {
  readonly kind: 'word' | 'separator' | 'redirection';
  readonly text: string;
}

const TOKEN =
  /(?<blank>[ \t]+)|(?<comment>#[^\n]*)|(?<separator>\|\||&&|[|;&\n])|(?<redirection>\d?>>?|<)|(?<word>(?:"(?:[^"\\]|\\.)*"|'[^']*'|\$\([^)]*\)|\\.|[^\s|;&<>"'\\])+)/y;

function tokens(text: string): Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const { groups } = TOKEN.exec(text) ?? {};
    if (groups === undefined) throw new Error(`no shell: ${text.slice(at, at + 60)}`);
    const { separator, redirection, word } = groups;
    if (separator !== undefined) found.push({ kind: 'separator', text: separator });
    else if (redirection !== undefined) found.push({ kind: 'redirection', text: redirection });
    else if (word !== undefined) found.push({ kind: 'word', text: unquoted(word) });
  }
  return found;
}

function unquoted(word: string): string {
  return word.replaceAll(
    /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g,
    (_all, double?: string, single?: string, escaped?: string) =>
      double?.replaceAll(/\\(.)/g, '$1') ?? single ?? escaped ?? '',
  );
}

// The pages of the documentation, and the shell blocks and the commands between backticks that are in them.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');

/** README and the like, then everything below `docs`; paths from the root of the repository. */
export const PAGES: readonly string[] = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export interface Block {
  readonly page: string;
  /** The nearest heading above it. */
  readonly heading: string;
  /** What stands behind the three backticks: `sh`, or `sh terminal=desk`. */
  readonly info: string;
  readonly text: string;
}

export function pageText(page: string): string {
  return readFileSync(path.join(root, page), 'utf8');
}

/** All blocks between fences, and the text around them. */
export function readPage(page: string): {
  readonly blocks: readonly Block[];
  readonly prose: string;
} {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let heading = '';
  let open: { readonly info: string; readonly lines: string[] } | undefined;
  for (const line of pageText(page).split('\n')) {
    if (line.startsWith('```')) {
      if (open === undefined) open = { info: line.slice(3).trim(), lines: [] };
      else {
        const text = open.lines.map((each) => `${each}\n`).join('');
        blocks.push({ page, heading, info: open.info, text });
        open = undefined;
      }
    } else if (open !== undefined) open.lines.push(line);
    else {
      heading = /^#{1,6} (.+)$/.exec(line)?.[1] ?? heading;
      prose.push(line);
    }
  }
  if (open !== undefined) throw new Error(`${page}: a block of "${heading}" has no end`);
  return { blocks, prose: prose.join('\n') };
}

export function isShell({ info }: Block): boolean {
  return /^sh\b/.test(info);
}

/** What stands between single backticks, the backslash before a bar of a table taken off. */
export function inlineCode(prose: string): string[] {
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code.replaceAll('\\|', '|'));
}

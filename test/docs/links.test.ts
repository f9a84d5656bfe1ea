// Every link of the documentation leads somewhere: to a file, and to a heading of it.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { PAGES } from '../support/shell-blocks.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** As the hosts of repositories make them of headings. */
function anchors(page: string): string[] {
  return [...page.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function broken(page: string): string[] {
  const text = readFileSync(path.join(root, page), 'utf8').replaceAll(/^```.*?^```/gms, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
    if (!existsSync(path.join(root, target))) return [`${page}: ${link}`];
    if (anchor === undefined) return [];
    const known = anchors(readFileSync(path.join(root, target), 'utf8'));
    return known.includes(anchor) ? [] : [`${page}: ${link}`];
  });
}

describe('links', () => {
  it.each(PAGES)('of %s lead somewhere', (page) => {
    expect(broken(page)).toEqual([]);
  });

  it('reach every page of the documentation', () => {
    const linked = new Set(
      PAGES.flatMap((page) =>
        [...readFileSync(path.join(root, page), 'utf8').matchAll(/\]\(([^)#\s]+)/g)].map(
          ([, link = '']) => path.posix.join(path.posix.dirname(page), link),
        ),
      ),
    );
    const isRoot = (page: string): boolean => ['README.md', 'CHANGELOG.md'].includes(page);
    expect(PAGES.filter((page) => !isRoot(page) && !linked.has(page))).toEqual([]);
    expect(PAGES.length).toBeGreaterThan(20);
  });
});

it('the README is a page, not a manual', () => {
  const lines = readFileSync(path.join(root, 'README.md'), 'utf8').split('\n').length;
  expect(lines).toBeLessThanOrEqual(200);
});

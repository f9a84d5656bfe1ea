// Files that a command makes for a person.

import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createNewFile } from '../../src/core/new-file.ts';
import { createSecretFile } from '../../src/core/secret-file.ts';

async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'can-ota-new-file-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

it('is written from its pieces, in folders that are missing, and is never replaced', async () => {
  const home = await folder();
  const file = path.join(home, 'a/b/c.txt');
  await createNewFile(file, ['one ', Buffer.from('two'), ''], '--out');
  expect(await readFile(file, 'utf8')).toBe('one two');
  await expect(createNewFile(file, ['three'], '--out')).rejects.toThrow(
    /^--out: .*c\.txt is there already and is never replaced/,
  );
  expect(await readFile(file, 'utf8')).toBe('one two');
  expect(await readdir(path.dirname(file))).toEqual(['c.txt']);
});

it('is not there when its pieces cannot be made', async () => {
  const home = await folder();
  function* pieces(): Generator<string, void> {
    yield 'one';
    throw new Error('no second piece');
  }
  await expect(createNewFile(path.join(home, 'x'), pieces(), '--out')).rejects.toThrow();
  expect(await readdir(home)).toEqual([]);
});

it('is readable by its owner alone where it is a secret', async () => {
  const file = path.join(await folder(), 'keys/secret');
  await createSecretFile(file, 'word', '--out');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700);
});

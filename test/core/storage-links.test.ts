// Files in a folder that somebody else could reach: links are not followed, and such a folder is refused.

import { chmod, lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { DiskStorage } from '../../src/core/storage.ts';

let folder: string;
let victim: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'can-ota-links-'));
  victim = path.join(folder, 'victim');
  await writeFile(victim, 'precious');
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
});

const own = async (): Promise<DiskStorage> => DiskStorage.openOwn(path.join(folder, 'state'));

describe('a file that is replaced', () => {
  it.each(['state.json', 'state.json.new'])('does not follow a link at %s', async (name) => {
    const storage = await own();
    await symlink(victim, path.join(storage.location, name));
    await storage.replace('state.json', Buffer.from('mine'));
    expect(await readFile(victim, 'utf8')).toBe('precious');
    const file = path.join(storage.location, 'state.json');
    expect((await lstat(file)).isFile()).toBe(true);
    expect((await lstat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, 'utf8')).toBe('mine');
  });

  it('does not create the target of a link that leads nowhere', async () => {
    const storage = await own();
    const nowhere = path.join(folder, 'nowhere');
    await symlink(nowhere, path.join(storage.location, 'state.json.new'));
    await storage.replace('state.json', Buffer.from('mine'));
    await expect(lstat(nowhere)).rejects.toThrow('ENOENT');
  });

  it('takes the place of what a crash has left, with its own permissions', async () => {
    const storage = await own();
    const left = path.join(storage.location, 'state.json.new');
    await writeFile(left, 'half of a longer sta', { mode: 0o666 });
    await chmod(left, 0o666);
    await storage.replace('state.json', Buffer.from('mine'));
    const file = path.join(storage.location, 'state.json');
    expect([await readFile(file, 'utf8'), (await lstat(file)).mode & 0o777]).toEqual([
      ...['mine', 0o600],
    ]);
  });
});

describe('a file that is opened', () => {
  it('is no link', async () => {
    const storage = await own();
    await symlink(victim, path.join(storage.location, 'journal'));
    await expect(storage.open('journal')).rejects.toMatchObject({
      code: 'NO_ACCESS',
      message: expect.stringContaining('symbolic link'),
    });
    expect(await readFile(victim, 'utf8')).toBe('precious');
  });
});

describe('a folder of our own', () => {
  it('is made for its owner alone, and may itself be reached by a link', async () => {
    const storage = await own();
    expect((await lstat(storage.location)).mode & 0o777).toBe(0o700);
    const link = path.join(folder, 'link');
    await symlink(storage.location, link);
    await (await DiskStorage.openOwn(link)).replace('a', Buffer.from('b'));
    expect(await readFile(path.join(storage.location, 'a'), 'utf8')).toBe('b');
  });

  it.each([0o777, 0o1777, 0o702])(
    'is refused with mode %o, and told how to mend it',
    async (mode) => {
      const open = path.join(folder, 'open');
      await mkdir(open);
      await chmod(open, mode);
      await expect(DiskStorage.openOwn(open)).rejects.toMatchObject({
        code: 'NO_ACCESS',
        message: expect.stringContaining(`mode ${mode.toString(8)}): run chmod go-w ${open}`),
      });
      await chmod(open, mode & ~0o022);
      await DiskStorage.openOwn(open);
    },
  );

  it('may be open to its own group for writing, and to all for reading', async () => {
    const shared = path.join(folder, 'shared');
    await mkdir(shared);
    for (const mode of [0o775, 0o755, 0o750]) {
      await chmod(shared, mode);
      await DiskStorage.openOwn(shared);
    }
  });
});

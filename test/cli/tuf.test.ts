// The TUF client: what it stores, what it downloads, and when it does neither. The public suite tests the rest.

import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TufClient } from '../../src/cli/tuf/tuf.ts';
import { DiskStorage } from '../../src/core/storage.ts';
import type { MetadataSource, SourceAnswer } from '../../src/link/metadata-source.ts';
import { versionsOf } from '../../src/trust/repository.ts';
import { MOCK_NOW_MS, MockRepository } from '../support/mock-repositories.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tuf-'));
});
afterEach(() => rm(folder, { recursive: true }));

const IMAGE = new TextEncoder().encode('an image');

function listed(bytes: Uint8Array) {
  const hash = (name: string) => createHash(name).update(bytes).digest('hex');
  return { length: bytes.length, hashes: { sha256: hash('sha256'), sha512: hash('sha512') } };
}

function repository(): MockRepository {
  return new MockRepository('plain', { nowMs: MOCK_NOW_MS }).addTarget(
    'dir/app.bin',
    listed(IMAGE),
  );
}

function metadata(mock: MockRepository): MetadataSource {
  return {
    answer: async (request) => mock.answer(request),
    open: () => Promise.reject(new Error('no metadata')),
  };
}

/** Images by URL; also records every request. */
function imagesOf(files: Readonly<Record<string, Uint8Array>>) {
  const asked: string[] = [];
  const source: MetadataSource = {
    answer: () => Promise.reject(new Error('no image')),
    open: async (file, maxBytes): Promise<SourceAnswer> => {
      asked.push(file);
      const bytes = files[file];
      if (bytes === undefined) return { kind: 'missing' };
      return {
        kind: 'stream',
        chunks: (async function* () {
          for (let at = 0; at < bytes.length; at += 3) {
            if (at + 3 > maxBytes + 3) return yield 'too-long';
            yield bytes.subarray(at, at + 3);
          }
        })(),
      };
    },
  };
  return { source, asked };
}

async function client(mock: MockRepository): Promise<TufClient> {
  const trust = path.join(folder, 'trust');
  const storage = await DiskStorage.open(trust);
  if ((await storage.read('root.json')) === undefined)
    await storage.replace('root.json', mock.anchor);
  return TufClient.open(trust, metadata(mock), MOCK_NOW_MS);
}

const URL = `dir/${listed(IMAGE).hashes.sha256}.app.bin`;

describe('the TUF client', () => {
  it('keeps what it trusts under unversioned names, as it was received', async () => {
    const mock = repository();
    await (await client(mock)).refresh();
    const trust = path.join(folder, 'trust');
    expect((await readdir(trust)).sort()).toEqual([
      'root.json',
      'snapshot.json',
      'targets.json',
      'timestamp.json',
    ]);
    expect(Uint8Array.from(await readFile(path.join(trust, 'snapshot.json')))).toEqual(
      mock.file('snapshot.json'),
    );
  });

  it('keeps what was accepted before something was refused', async () => {
    const mock = repository();
    await (await client(mock)).refresh();
    mock.publish().omit('2.snapshot.json');
    await expect((await client(mock)).refresh()).rejects.toThrow('snapshot: MISSING_METADATA');
    expect(versionsOf((await client(mock)).trust)).toEqual({
      root: 1,
      timestamp: 2,
      snapshot: 1,
      targets: 1,
    });
  });

  it('removes what a rotation of keys made worthless', async () => {
    const mock = repository();
    await (await client(mock)).refresh();
    mock.rotate('timestamp').omit('timestamp.json');
    await expect((await client(mock)).refresh()).rejects.toThrow('MISSING_METADATA');
    expect((await readdir(path.join(folder, 'trust'))).sort()).toEqual([
      'root.json',
      'targets.json',
    ]);
  });

  it('downloads by hash, once', async () => {
    const mock = repository();
    const target = await DiskStorage.open(path.join(folder, 'files'));
    const { source, asked } = imagesOf({ [URL]: IMAGE });
    for (let count = 0; count < 2; count++) {
      const tuf = await client(mock);
      await tuf.refresh();
      expect(await tuf.download('dir/app.bin', source, target)).toBe('dir%2Fapp.bin');
    }
    expect(asked).toEqual([URL]);
    expect(await target.read('dir%2Fapp.bin')).toEqual(IMAGE);
  });

  it('downloads again what is there and wrong', async () => {
    const tuf = await client(repository());
    await tuf.refresh();
    const target = await DiskStorage.open(path.join(folder, 'files'));
    const file = path.join(folder, 'files', 'dir%2Fapp.bin');
    for (const wrong of ['An image', 'an imag', 'an image and more']) {
      await writeFile(file, wrong);
      await tuf.download('dir/app.bin', imagesOf({ [URL]: IMAGE }).source, target);
      expect(await readFile(file, 'utf8')).toBe('an image');
    }
  });

  it.each([
    ['another image', 'AN IMAGE', 'IMAGE_MISMATCH'],
    ['a part of it', 'an im', 'IMAGE_MISMATCH'],
    ['more of it', 'an image and a long tail', 'ENDLESS_DATA'],
    ['nothing', undefined, 'UNKNOWN_TARGET'],
  ])('given %s it keeps nothing', async (_, text, code) => {
    const tuf = await client(repository());
    await tuf.refresh();
    const target = await DiskStorage.open(path.join(folder, 'files'));
    const files = text === undefined ? {} : { [URL]: new TextEncoder().encode(text) };
    await expect(tuf.download('dir/app.bin', imagesOf(files).source, target)).rejects.toThrow(code);
    expect(await target.list('.')).toEqual([]);
  });

  it('asks for no image that nobody has signed', async () => {
    const tuf = await client(repository());
    await tuf.refresh();
    const { source, asked } = imagesOf({});
    const target = await DiskStorage.open(path.join(folder, 'files'));
    await expect(tuf.download('other.bin', source, target)).rejects.toThrow('UNKNOWN_TARGET');
    expect(asked).toEqual([]);
  });

  it('says which of its own files is broken', async () => {
    const mock = repository();
    await (await client(mock)).refresh();
    await writeFile(path.join(folder, 'trust', 'root.json'), '{');
    await expect(client(mock)).rejects.toThrow('root: MALFORMED');
  });
});

// A small durable file: one write after the other, the old content or the new one, and what a damaged one means.

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { asciiBytes } from '../../src/core/bytes.ts';
import { DurableFile, jsonFile, readFileOnce } from '../../src/core/durable-file.ts';
import { FaultStorage } from '../support/fault-storage.ts';

const codec = jsonFile(z.strictObject({ n: z.int() }));
const open = (storage: FaultStorage) => DurableFile.open(storage, 'n.json', codec, { n: 0 });
const textOf = (storage: FaultStorage) => new TextDecoder().decode(storage.contents('n.json'));
const add = (count: number) => (content: { n: number }) => ({ n: content.n + count });

describe('a durable file', () => {
  it('that is missing has the initial content, and nothing is written', async () => {
    const storage = new FaultStorage();
    const { file, state } = await open(storage);
    expect([file.content, state]).toEqual([{ n: 0 }, 'missing']);
    expect(storage.contents('n.json')).toBeUndefined();
    expect(await readFileOnce(storage, 'n.json', codec)).toEqual({ state: 'missing' });
  });

  it.each([
    ['', /JSON/],
    ['{"n":1', /JSON/],
    ['{"n":"1"}', /^n: /],
    ['{"n":1,"m":2}', /m/],
    ['\xff\xfe', /./],
  ])('that is damaged (%j) has the initial content, and says why', async (text, reason) => {
    const storage = new FaultStorage(new Map([['n.json', Buffer.from(text, 'latin1')]]));
    const { file, state } = await open(storage);
    expect(file.content).toEqual({ n: 0 });
    expect((state as { damaged: string }).damaged).toMatch(reason);
  });

  it('is found again as it was left', async () => {
    const storage = new FaultStorage();
    await (await open(storage)).file.update(add(7));
    expect(textOf(storage)).toBe('{\n  "n": 7\n}\n');
    const { file, state } = await open(storage);
    expect([file.content, state]).toEqual([{ n: 7 }, 'known']);
    await DurableFile.create(storage, 'n.json', codec, { n: 3 });
    expect((await open(storage)).file.content).toEqual({ n: 3 });
  });

  it('takes changes in their order, each on the content of its turn', async () => {
    const storage = new FaultStorage();
    const { file } = await open(storage);
    const results = await Promise.all([1, 10, 100].map((count) => file.update(add(count))));
    expect(results).toEqual([{ n: 1 }, { n: 11 }, { n: 111 }]);
    expect(textOf(storage)).toContain('111');
  });

  it('is not written where nothing changes', async () => {
    const storage = new FaultStorage();
    const { file } = await open(storage);
    await file.update(add(1));
    const { operations } = storage;
    await file.update((content) => content);
    expect(storage.operations).toBe(operations);
  });

  it('refuses what the next start would take for damage', async () => {
    const storage = new FaultStorage();
    const { file } = await open(storage);
    await expect(file.update(() => ({ n: 1, m: 2 }))).rejects.toThrow(/cannot be read again: .*m/);
    await expect(file.update(() => ({ n: 1.5 }))).rejects.toThrow(/cannot be read again: n:/);
    expect(storage.contents('n.json')).toBeUndefined();
  });

  it('keeps the old content when a change is not durable or throws, and takes the next one', async () => {
    const storage = new FaultStorage();
    const { file } = await open(storage);
    storage.failing = 'NO_SPACE';
    const full = file.update(add(1));
    const wrong = file.update(() => {
      throw new Error('no such change');
    });
    await expect(full).rejects.toMatchObject({ code: 'NO_SPACE' });
    await expect(wrong).rejects.toThrow('no such change');
    expect(file.content).toEqual({ n: 0 });
    storage.failing = undefined;
    expect(await file.update(add(5))).toEqual({ n: 5 });
    await file.settled();
  });

  it('without power changes nothing any more, on disk and in what it says', async () => {
    const storage = new FaultStorage(new Map([['n.json', asciiBytes('{"n":1}')]]));
    const { file } = await open(storage);
    file.powerOff();
    expect(await file.update(add(1))).toEqual({ n: 1 });
    expect(textOf(storage)).toBe('{"n":1}');
  });

  it('is the old one or the new one after a power cut at any operation', async () => {
    for (const when of ['before', 'after'] as const) {
      for (let at = 1; ; at++) {
        const storage = new FaultStorage(new Map([['n.json', asciiBytes('{"n":1}')]]));
        const { file } = await open(storage);
        storage.cut = { at, when };
        await file.update(add(1)).catch(() => {});
        const after = await open(storage.afterPowerCut());
        expect(after.state).toBe('known');
        expect([1, 2]).toContain(after.file.content.n);
        if (!storage.powerLost) break;
      }
    }
  });
});

// `can-ota verify`: the state that it keeps between runs, and what it does when that state is damaged.

import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { MOCK_NOW_MS } from '../support/mock-repositories.ts';
import { mockWithOrder, SERIAL, sourcesOf, temporaryFolder, verifyMock } from './verify-support.ts';

const DAY_MS = 86_400_000;

describe('the state', () => {
  it('holds what was verified, under the names of a vehicle, and every Root', async () => {
    const { mock } = mockWithOrder();
    mock.director.rotate('timestamp');
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    const names = ['root', 'snapshot', 'targets', 'timestamp'].map((role) => `${role}.json`);
    expect((await readdir(path.join(state, 'images'))).sort()).toEqual(['1.root.json', ...names]);
    expect((await readdir(path.join(state, 'director'))).sort()).toEqual([
      ...['1.root.json', '2.root.json'],
      ...names,
    ]);
    for (const file of names) {
      expect(await readFile(path.join(state, 'director', file))).toEqual(
        Buffer.from(mock.director.file(file)),
      );
    }
  });

  it('asks for nothing twice', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    const asked: string[] = [];
    const { director, images } = sourcesOf(mock);
    const listening = (name: string, source: typeof director): typeof director => ({
      answer: (request) => {
        asked.push(`${name} ${request.file}`);
        return source.answer(request);
      },
    });
    const sources = {
      director: listening('director', director),
      images: listening('images', images),
    };
    const { outcome } = await verifyMock(mock, { state, sources });
    expect(outcome.ok).toBe(true);
    expect(asked).toEqual([
      ...['director 2.root.json', 'director timestamp.json'],
      ...['images 2.root.json', 'images timestamp.json'],
    ]);
  });

  it('keeps what was right before something was wrong', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    mock.images.omit('1.targets.json');
    expect((await verifyMock(mock, { state })).outcome).toMatchObject({ code: 'MISSING_METADATA' });
    expect(await readdir(path.join(state, 'images'))).toContain('snapshot.json');
    expect(await readdir(path.join(state, 'director'))).toContain('targets.json');
  });

  it('does not forget a Root when a repository is put back to its first day', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    const first = mock.images.files();
    mock.images.rotate('timestamp', 'root');
    expect((await verifyMock(mock, { state })).outcome.ok).toBe(true);
    const replayed: typeof first = new Map(first);
    const sources = {
      ...sourcesOf(mock),
      images: {
        answer: async ({ file }: { file: string }) => {
          const bytes = replayed.get(file);
          return bytes === undefined
            ? ({ kind: 'missing' } as const)
            : { kind: 'bytes' as const, bytes };
        },
      },
    };
    const { outcome, warnings } = await verifyMock(mock, { state, sources });
    expect(outcome).toMatchObject({ code: 'ARBITRARY_SOFTWARE', where: 'images timestamp' });
    expect(warnings).toEqual([
      '--director-root is not used: the state trusts Root version 1 already',
      '--images-root is not used: the state trusts Root version 2 already',
    ]);
  });

  it('begins with the first Root of a repository, so that its rotations are checked', async () => {
    const { mock } = mockWithOrder();
    mock.director.rotate('targets').foreignKeys('root');
    const state = await temporaryFolder();
    const { outcome, trustedOnFirstUse, trust } = await verifyMock(mock, { state, anchors: {} });
    expect(outcome).toMatchObject({ code: 'ARBITRARY_SOFTWARE', where: 'director root' });
    expect(trustedOnFirstUse).toEqual(['director', 'images']);
    expect(trust.director?.root.version).toBe(2);
  });

  it('begins with the latest Root where no other is kept', async () => {
    const { mock } = mockWithOrder();
    mock.director.rotate('targets');
    mock.director.omit('1.root.json');
    const state = await temporaryFolder();
    const { outcome, trust } = await verifyMock(mock, { state, anchors: {} });
    expect(outcome.ok).toBe(true);
    expect(trust.director?.root.version).toBe(2);
  });

  it('has nothing to begin with where there is no Root', async () => {
    const { mock } = mockWithOrder();
    mock.images.omit('1.root.json').omit('root.json');
    const { outcome, trust } = await verifyMock(mock, {
      state: await temporaryFolder(),
      anchors: {},
    });
    expect(outcome).toMatchObject({ code: 'MISSING_METADATA', where: 'images root' });
    expect(trust.images).toBeUndefined();
  });

  it.each([
    ['an empty file', ''],
    ['half a file', '{"signatures":'],
    ['a Root that was changed', undefined],
  ])('refuses to begin anew when its Root is %s', async (_, text) => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    const file = path.join(state, 'director', 'root.json');
    const whole = await readFile(file, 'utf8');
    await writeFile(file, text ?? whole.replace('"threshold":2', '"threshold":1'));
    const { outcome, trustedOnFirstUse } = await verifyMock(mock, { state });
    expect(outcome).toMatchObject({ ok: false, where: 'director root' });
    expect(outcome.ok === false && outcome.reason).toContain('put the newest N.root.json there');
    expect(trustedOnFirstUse).toEqual([]);
  });

  it('asks anew for what else is damaged, and says so', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    const file = path.join(state, 'images', 'targets.json');
    await writeFile(file, 'nothing of value');
    const { outcome, warnings } = await verifyMock(mock, { state, anchors: {} });
    expect(outcome.ok).toBe(true);
    expect(warnings).toEqual([
      expect.stringContaining('images/targets.json in the state is damaged'),
    ]);
    expect(await readFile(file)).toEqual(Buffer.from(mock.images.file('targets.json')));
  });

  it('gives up what the keys of a new Root have not signed', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    mock.images.rotate('snapshot').omit('timestamp.json');
    expect((await verifyMock(mock, { state })).outcome).toMatchObject({ code: 'MISSING_METADATA' });
    const names = ['1.root.json', '2.root.json', 'root.json'];
    expect((await readdir(path.join(state, 'images'))).sort()).toEqual(names);
  });

  it('goes on with the newest Root when power was lost while the first was written', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    await rm(path.join(state, 'director', 'root.json'));
    const { outcome, trustedOnFirstUse } = await verifyMock(mock, { state, anchors: {} });
    expect(outcome.ok).toBe(true);
    expect(trustedOnFirstUse).toEqual([]);
  });

  it('catches up after two months, over several Roots', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    mock.skip(60 * DAY_MS);
    mock.director.rotate('timestamp').rotate('root').publish();
    mock.images.rotate('snapshot').publish();
    const nowMs = MOCK_NOW_MS + 60 * DAY_MS;
    const { outcome, trust } = await verifyMock(mock, { state, nowMs });
    expect(outcome).toMatchObject({ ok: true, value: [{ serial: SERIAL }] });
    expect(trust.director?.root.version).toBe(3);
  });
});

// Two copies of a ceremony folder: what is noticed before anything is signed, and what a pull takes over and keeps.

import * as fs from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { renew, rotate } from '../../src/cli/keys/change.ts';
import { InputError } from '../../src/core/errors.ts';
import { compare, requireCurrent } from '../../src/signing/compare.ts';
import { pull } from '../../src/signing/pull.ts';
import { push } from '../../src/signing/push.ts';
import { add, revoke } from '../../src/signing/release.ts';
import type { ReleaseBackend } from '../../src/signing/release-backend.ts';
import {
  begun,
  NOW,
  openWork,
  type TestWork,
  temporaryFolder,
  workOn,
} from '../cli/keys-support.ts';
import { CHOICE, FakeBackend, imageFile, targetsOf } from '../cli/release-support.ts';

const DAY_MS = 86_400_000;

interface Copies {
  readonly backend: FakeBackend;
  readonly session: ReleaseBackend;
  readonly one: TestWork;
  readonly two: TestWork;
}

/** One ceremony whose state is published, in two folders. */
async function copies(): Promise<Copies> {
  const one = await begun();
  const backend = new FakeBackend();
  await backend.hold(one.folder);
  const dir = await temporaryFolder();
  await fs.cp(one.dir, dir, { recursive: true });
  return { backend, session: await backend.logIn(), one, two: await openWork({ dir }) };
}

async function release(work: TestWork, session: ReleaseBackend, version: string, ecu = 'EDT') {
  const image = await imageFile(`${ecu} ${version}`);
  return add({ ...work, backend: session }, image, { ...CHOICE, ecu, version });
}

/** Signs without asking a backend: as on a machine without a network. */
async function signAlone(work: TestWork, version: string, ecu = 'EDT'): Promise<void> {
  const image = await imageFile(`${ecu} ${version}`);
  await add({ ...work, backend: undefined }, image, { ...CHOICE, ecu, version });
}

async function folderOf(work: TestWork): Promise<string[]> {
  const names = await fs.readdir(work.dir, { recursive: true });
  return names.filter((name) => name.endsWith('.json')).sort();
}

describe('a folder whose other copy went on', () => {
  it('signs nothing and names the pull, for every command that asks the backend', async () => {
    const { backend, session, one, two } = await copies();
    await release(one, session, '2.0.0');
    const before = await folderOf(two);
    const posts = backend.posted.length;
    const tries = [
      () => release(two, session, '2.1.0'),
      () => revoke({ ...two, backend: session }, 'EDT', '2.0.0'),
      () => push({ ...two, backend: session }),
      () => requireCurrent(two.folder, session),
    ];
    for (const attempt of tries) {
      const refused = attempt();
      await expect(refused).rejects.toBeInstanceOf(InputError);
      await expect(refused).rejects.toThrow(
        /has Targets 1, the backend has Targets 2.*Nothing was signed.*release pull/,
      );
    }
    expect(await folderOf(two)).toEqual(before);
    expect(backend.posted).toHaveLength(posts);
  });

  it('goes on after a pull, with the counters of the other copy', async () => {
    const { session, one, two } = await copies();
    await release(one, session, '2.0.0');
    await pull(two, session);
    expect(two.facts).toContainEqual({ pulled: 'images targets', version: 2 });
    expect(await release(two, session, '2.1.0')).toBe('published');
    const { targets } = await targetsOf(two, 3);
    const counters = Object.values(targets).map(({ custom }) => custom);
    expect(counters).toMatchObject([
      { version: '2.0.0', releaseCounter: 1 },
      { version: '2.1.0', releaseCounter: 2 },
    ]);
    two.said.length = 0;
    await pull(two, session);
    expect(two.said).toEqual(['The folder has what the backend has.']);
  });

  it('takes over new Roots and says which keys it has to copy', async () => {
    const { backend, session, one, two } = await copies();
    await rotate(one, 'images', 'targets', {});
    await rotate(one, 'director', 'time', {});
    await backend.hold(one.folder);
    await expect(requireCurrent(two.folder, session)).rejects.toThrow(/has Root 1, .* Root 2/);
    await pull(two, session);
    expect(await two.folder.versions('images', 'root')).toEqual([1, 2]);
    expect(await two.folder.versions('director', 'root')).toEqual([1, 2]);
    const unknown = two.facts.filter((fact) => 'unknownKey' in fact);
    expect(unknown).toMatchObject([
      { repository: 'director', role: 'time' },
      { repository: 'images', role: 'targets' },
    ]);
    await requireCurrent(two.folder, session);
  });
});

describe('two copies that went apart', () => {
  it('are noticed at the same version, where the version alone says that all is well', async () => {
    const { backend, session, one, two } = await copies();
    await signAlone(two, '3.0.0');
    await release(one, session, '2.0.0');
    const pushing = push({ ...two, backend: session });
    await expect(pushing).rejects.toThrow(
      /went apart after Targets 1 .*version 2 has other content/,
    );
    const posts = backend.posted.length;
    await expect(release(two, session, '3.1.0')).rejects.toThrow(/went apart/);
    expect(backend.posted).toHaveLength(posts);
  });

  it('become one: the published state is taken, the other is kept and named', async () => {
    const { session, one, two } = await copies();
    await release(one, session, '1.9.0');
    await pull(two, session);
    await release(one, session, '2.0.0');
    await signAlone(two, '3.0.0');
    await signAlone(two, '1.0.0', 'INV');
    await revoke({ ...two, backend: undefined }, 'EDT', '1.9.0');
    two.said.length = 0;
    await pull(two, session);
    expect(two.said.join('\n')).toMatch(/EDT 3.0.0 .* is not published: release add it again/);
    expect(two.said.join('\n')).toMatch(/INV 1.0.0 .* is not published/);
    expect(two.said.join('\n')).toMatch(/EDT 1.9.0 .* was revoked here and is still published/);
    expect(await two.folder.versions('images', 'targets')).toEqual([1, 2, 3]);
    expect(await two.folder.storage.list('set-aside')).toEqual([
      'images-3.targets.json',
      'images-4.targets.json',
      'images-5.targets.json',
    ]);
    expect((await targetsOf(two, 3)).bytes).toEqual((await targetsOf(one, 3)).bytes);

    // A version that was signed once is not signed with other content: 4 and 5 are skipped.
    expect(await release(two, session, '3.0.0')).toBe('published');
    expect(await two.folder.versions('images', 'targets')).toEqual([1, 2, 3, 6]);
    const { targets } = await targetsOf(two, 6);
    const counters = Object.values(targets).map(({ custom: { version, releaseCounter } }) => [
      version,
      releaseCounter,
    ]);
    // 3.0.0 had counter 2 in the copy, as 2.0.0 has: it gets one of its own.
    expect(counters).toEqual([
      ['1.9.0', 1],
      ['2.0.0', 2],
      ['3.0.0', 3],
    ]);
    await pull(one, session);
    expect(await release(one, session, '4.0.0')).toBe('published');
    await expect(push({ ...two, backend: session })).rejects.toThrow(/has Targets 6, .* Targets 7/);
  });

  it('become one in their Roots, too', async () => {
    const { backend, session, one, two } = await copies();
    await rotate(one, 'images', 'snapshot', {});
    await backend.hold(one.folder);
    await rotate(two, 'images', 'timestamp', {});
    await renew(two, 3650);
    await expect(requireCurrent(two.folder, session)).rejects.toThrow(/went apart after Root 1/);
    await pull(two, session);
    expect(await two.folder.versions('images', 'root')).toEqual([1, 2]);
    expect(await two.folder.storage.read('images/2.root.json')).toEqual(
      await one.folder.storage.read('images/2.root.json'),
    );
    expect(await two.folder.storage.list('set-aside')).toContain('images-3.root.json');
    await requireCurrent(two.folder, session);
  });

  it('set a draft aside whose base is gone', async () => {
    const { session, one, two } = await copies();
    await release(one, session, '2.0.0');
    const alone = workOn(two.folder, { signWith: [] });
    await add({ ...alone, backend: undefined }, await imageFile('draft'), CHOICE);
    await pull(two, session);
    expect(await two.folder.storage.list('drafts')).toEqual([]);
    expect(await two.folder.storage.list('set-aside')).toEqual(['images-2.targets.draft.json']);
    expect(two.said.join('\n')).toMatch(/EDT 2.0.0 .* is not published/);
  });

  it('are told when the other one is faster between comparison and upload', async () => {
    const { backend, session, one, two } = await copies();
    const image = await imageFile('two');
    const racing: Pick<ReleaseBackend, 'read' | 'uploadImage' | 'uploadMetadata'> = {
      read: (path) => session.read(path),
      uploadMetadata: (path, bytes) => session.uploadMetadata(path, bytes),
      uploadImage: async () => {
        await release(one, session, '2.0.0');
        return true;
      },
    };
    const late = { ...CHOICE, version: '2.1.0' };
    const adding = add({ ...two, backend: racing as ReleaseBackend }, image, late);
    await expect(adding).rejects.toThrow(/went apart after Targets 1/);
    expect(backend.metadata.has('/metadata/2.targets.json')).toBe(true);
  });
});

describe('a pull', () => {
  it('takes nothing that the keys of the ceremony did not sign', async () => {
    const { backend, session, two } = await copies();
    const stranger = await begun({ rootKeys: 2, rootThreshold: 1 });
    await signAlone(stranger, '6.6.6');
    await backend.hold(stranger.folder);
    await expect(pull(two, session)).rejects.toThrow(/is another ceremony/);
    const before = await folderOf(two);
    backend.metadata.delete('/metadata/root.json');
    backend.metadata.delete('/director/metadata/root.json');
    await expect(pull(two, session)).rejects.toThrow(/Targets 2 .* not signed by enough keys/);
    await rotate(stranger, 'images', 'targets', {});
    const forged = (await stranger.folder.storage.read('images/2.root.json'))!;
    for (const name of ['root.json', '2.root.json']) {
      backend.metadata.set(`/metadata/${name}`, forged);
    }
    backend.metadata.set(
      '/metadata/1.root.json',
      (await two.folder.storage.read('images/1.root.json'))!,
    );
    await expect(pull(two, session)).rejects.toThrow(/images Root 2 of the backend.*is refused/);
    expect(await folderOf(two)).toEqual(before);
  });

  it('takes Targets over that have expired: a refresh comes next', async () => {
    const { session, one, two } = await copies();
    await release(one, session, '2.0.0');
    const later = workOn(two.folder, { nowMs: NOW + 1000 * DAY_MS });
    await pull(later, session);
    expect(await two.folder.versions('images', 'targets')).toEqual([1, 2]);
  });

  it('leaves a folder alone that is ahead, and says what to do', async () => {
    const { session, two } = await copies();
    await signAlone(two, '2.0.0');
    await pull(two, session);
    expect(two.said.at(-1)).toMatch(/more than the backend: can-ota release push/);
    expect(await compare(two.folder, session, 'images', 'targets')).toMatchObject({
      relation: 'ahead',
      here: 2,
      there: 1,
      common: 1,
    });
    expect(await push({ ...two, backend: session })).toBe('published');
  });

  it('does not mistake other signatures of the same content for another state', async () => {
    const one = await begun({ targetsKeys: 2 });
    const backend = new FakeBackend();
    await backend.hold(one.folder);
    const dir = await temporaryFolder();
    await fs.cp(one.dir, dir, { recursive: true });
    const two = await openWork({ dir });
    const session = await backend.logIn();
    const image = await imageFile('same');
    await add(
      { ...workOn(one.folder, { signWith: ['images-targets-1'] }), backend: session },
      image,
      CHOICE,
    );
    await add(
      { ...workOn(two.folder, { signWith: ['images-targets-2'] }), backend: undefined },
      image,
      CHOICE,
    );
    expect((await targetsOf(one, 2)).bytes).not.toEqual((await targetsOf(two, 2)).bytes);
    expect(await push({ ...two, backend: session })).toBe('published');
    expect(two.said).not.toContain(expect.stringMatching(/apart/));
  });
});

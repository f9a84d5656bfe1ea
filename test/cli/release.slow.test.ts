// Releases with real keys: what is signed, how counters are chosen, and what the backend gets.

import * as fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { rotate, setThreshold } from '../../src/cli/keys/change.ts';
import { acceptFile, signFile } from '../../src/cli/keys/sign.ts';
import { push } from '../../src/signing/push.ts';
import { add, list, revoke } from '../../src/signing/release.ts';
import { checkTargetsFile } from '../../src/trust/repository.ts';
import { parseSignedRole } from '../../src/trust/role-signing.ts';
import { begun, NOW, openWork, temporaryFolder, workOn } from './keys-support.ts';
import { CHOICE, FakeBackend, imageFile, signOnly, targetsOf } from './release-support.ts';

describe('release add', () => {
  it('signs what both repositories have to agree on', async () => {
    const work = await begun();
    const file = await imageFile();
    await add(signOnly(work), file, {
      ...CHOICE,
      hardware: ['EDT-HW-1', 'EDT-HW-2', 'EDT-HW-1'],
      encrypt: true,
      forced: true,
      notes: ' A\u0308rger behoben ',
      depends: { INV: '>=1.0.0' },
    });
    const { bytes, targets } = await targetsOf(work, 2);
    expect(targets).toEqual({
      'EDT-2.0.0-6105d6cc76af.bin': {
        length: 5,
        hashes: { sha256: '6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d' },
        custom: {
          ecu: 'EDT',
          version: '2.0.0',
          hardwareIds: ['EDT-HW-1', 'EDT-HW-2'],
          releaseCounter: 1,
          dependencies: { INV: '>=1.0.0' },
          encrypt: true,
          forced: true,
          notes: '\u00c4rger behoben',
        },
      },
    });
    const root = (await work.folder.storage.read('images/1.root.json'))!;
    const { bytes: before } = await targetsOf(work, 1);
    expect(checkTargetsFile(root, before, bytes, NOW)).toMatchObject({ ok: true });
    expect(work.last()).toMatchObject({ release: 'added', state: 'finished', version: 2 });
  });

  it('counts up for each ECU, also past a release that was revoked', async () => {
    const work = await begun();
    const release = async (ecu: string, version: string): Promise<unknown> =>
      add(signOnly(work), await imageFile(`${ecu} ${version}`), { ...CHOICE, ecu, version });
    await release('EDT', '2.0.0');
    await release('EDT', '2.1.0');
    await release('INV', '1.0.0');
    await revoke(signOnly(work), 'EDT', '2.1.0');
    await release('EDT', '2.2.0');
    const { targets } = await targetsOf(work, 6);
    const counters = Object.values(targets).map(
      ({ custom: { ecu, version, releaseCounter } }) => `${ecu} ${version}: ${releaseCounter}`,
    );
    expect(counters.sort()).toEqual(['EDT 2.0.0: 1', 'EDT 2.2.0: 3', 'INV 1.0.0: 1']);
  });
});

describe('with a backend', () => {
  it('leaves metadata alone that still waits for signatures, and pushes it afterwards', async () => {
    const work = await begun();
    const bob = await openWork({ signWith: ['bob'] });
    const { publicKey } = await bob.folder.create('bob', 'ed25519', undefined);
    await work.folder.register('bob', publicKey);
    await setThreshold(work, 'images', 'targets', 2, ['bob']);
    const backend = new FakeBackend();
    const releasing = { ...workOn(work.folder), backend: await backend.logIn() };
    expect(await add(releasing, await imageFile(), CHOICE)).toBe('waiting');
    expect(backend.posted).toEqual(['POST /upload']);
    await list(releasing);
    expect(releasing.said.at(-1)).toMatch(/Targets 2 is a draft/);

    const stick = path.join(await temporaryFolder(), 'draft.json');
    await fs.copyFile(work.folder.path('drafts/images-2.targets.json'), stick);
    await signFile(bob, stick, ['bob']);
    await acceptFile(workOn(work.folder, { signWith: [] }), stick);
    expect(await push(releasing)).toBe('published');
    expect(backend.posted.slice(1)).toEqual([
      'POST /director/metadata/root',
      'POST /metadata/root',
      'POST /metadata/targets',
    ]);
    const { version } = parseSignedRole(backend.metadata.get('/metadata/targets.json')!).signed;
    expect(version).toBe(2);
  });

  it('brings a backend every Root that it has missed, in order', async () => {
    const work = await begun();
    const backend = new FakeBackend();
    const releasing = { ...work, backend: await backend.logIn() };
    await rotate(work, 'images', 'targets', {});
    await rotate(work, 'images', 'snapshot', {});
    await rotate(work, 'images', 'timestamp', {});
    await push(releasing);
    expect(backend.roots.get('/metadata/root')).toBe(4);
    expect(work.facts.at(-1)).toEqual({ pushed: 'images targets', version: 2 });
    // The client offers Roots from the newest down, then upwards from the one that the backend accepts.
    const offered = backend.asked.filter((line) => line === 'POST /metadata/root');
    expect(offered).toHaveLength(3 + 2);
    backend.asked.length = 0;
    await push(releasing);
    expect(backend.posted).toEqual(['POST /director/metadata/root', 'POST /metadata/root']);
  });

  it('pushes to a lone Director and to a lone image repository what each has', async () => {
    const work = await begun();
    await rotate(work, 'director', 'time', {});
    await rotate(work, 'images', 'targets', {});
    const [director, images] = [new FakeBackend(), new FakeBackend()];
    director.roots.delete('/metadata/root');
    images.roots.delete('/director/metadata/root');
    director.metadata.set('/metadata/targets.json', (await targetsOf(work, 2)).bytes);
    await push({ ...work, backend: await director.logIn() });
    await push({ ...work, backend: await images.logIn() });
    expect([...director.roots, ...images.roots]).toEqual([
      ['/director/metadata/root', 2],
      ['/metadata/root', 2],
    ]);
  });
});

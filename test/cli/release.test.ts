// Releases: what is signed, what is refused before it is signed, and the order of the requests to the backend.

import * as fs from 'node:fs/promises';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addRelease } from '../../src/cli/release/options.ts';
import { InputError } from '../../src/core/errors.ts';
import { push } from '../../src/signing/push.ts';
import { add, customOf, list, revoke } from '../../src/signing/release.ts';
import {
  BackendError,
  type Credentials,
  ReleaseBackend,
} from '../../src/signing/release-backend.ts';
import { begun } from './keys-support.ts';
import {
  CHOICE,
  FakeBackend,
  imageFile,
  problem,
  signOnly,
  TOKEN,
  targetsOf,
} from './release-support.ts';

describe('release add', () => {
  it('takes a counter that is given, and keeps that of the same image', () => {
    const other = { ...CHOICE, version: '3.0.0' };
    const custom = customOf({ ...CHOICE, counter: 7 }, 'a', []);
    expect(custom.releaseCounter).toBe(7);
    const before = [{ name: 'a', length: 1, sha256: 'aa', custom }];
    expect(customOf(CHOICE, 'a', before).releaseCounter).toBe(7);
    expect(customOf(other, 'b', before).releaseCounter).toBe(8);
    expect(customOf({ ...other, counter: 0 }, 'b', before).releaseCounter).toBe(0);
  });

  it('refuses other content under a version that was released, and files that are none', async () => {
    const work = await begun();
    await add(signOnly(work), await imageFile('one'), CHOICE);
    const again = add(signOnly(work), await imageFile('two'), CHOICE);
    await expect(again).rejects.toThrow(/EDT 2.0.0 was released with other content/);
    for (const version of ['2', 'v2.0', '02.0.0']) {
      const spelled = add(signOnly(work), await imageFile('one'), { ...CHOICE, version });
      await expect(spelled).rejects.toThrow(/is the same version as 2\.0\.0, which was released/);
    }
    await expect(add(signOnly(work), await imageFile(''), CHOICE)).rejects.toThrow(/is empty/);
    await expect(add(signOnly(work), '/nowhere.bin', CHOICE)).rejects.toThrow(/does not exist/);
    expect(await work.folder.versions('images', 'targets')).toEqual([1, 2]);
  });

  it('does not build on Targets that somebody changed on the disk', async () => {
    const work = await begun();
    await add(signOnly(work), await imageFile(), CHOICE);
    const file = work.folder.path('images/2.targets.json');
    await fs.writeFile(file, (await fs.readFile(file, 'utf8')).replace('"length":5', '"length":6'));
    const next = add(signOnly(work), await imageFile('x'), { ...CHOICE, version: '3.0.0' });
    await expect(next).rejects.toThrow(/ARBITRARY_SOFTWARE/);
  });

  it('says what is released', async () => {
    const work = await begun();
    await list(signOnly(work));
    expect(work.said).toEqual(['no releases yet: can-ota release add FILE']);
    await add(signOnly(work), await imageFile(), { ...CHOICE, depends: { INV: '>=1' } });
    await list(signOnly(work));
    expect(work.last()).toMatchObject({
      ecu: 'EDT',
      version: '2.0.0',
      forced: false,
      draft: false,
    });
    expect(work.said.at(-1)).toMatch(/EDT 2.0.0, counter 1, for EDT-HW-1, 5 bytes, needs INV >=1$/);
    await expect(revoke(signOnly(work), 'EDT', '9.9.9')).rejects.toThrow(InputError);
    const safety = { ...CHOICE, ecu: 'INV', forced: true };
    await add(signOnly(work), await imageFile('x'), safety);
    await list(signOnly(work));
    expect(work.last()).toMatchObject({ ecu: 'INV', forced: true });
    expect(work.said.at(-1)).toMatch(/INV 2.0.0, counter 1, .*, 1 bytes, safety release$/);
  });
});

describe('a flash file', () => {
  const HEX = ':03000000010203F7\n:00000001FF\n';
  const GAPS = ':03000000010203F7\n:01001000AA45\n:00000001FF\n';
  const last = async (work: Awaited<ReturnType<typeof begun>>) => {
    await list(signOnly(work));
    return work.last() as { sha256: string; length: number; address?: number };
  };

  it('is released by what it holds, with the address of its one segment', async () => {
    const work = await begun();
    await add(signOnly(work), await imageFile('\x01\x02\x03'), CHOICE);
    const raw = await last(work);
    expect(raw.address).toBeUndefined();
    await add(signOnly(work), await imageFile(HEX), CHOICE);
    const hex = await last(work);
    expect(hex).toMatchObject({ sha256: raw.sha256, length: 3, address: 0 });
    await add(signOnly(work), `${await imageFile('\x01\x02\x03')}@0x8000`, CHOICE);
    expect((await last(work)).address).toBe(0x8000);
    expect(work.said.at(-1)).toContain('3 bytes at 0x00008000');
  });

  it('with gaps has its segment map in what is signed, and is not encrypted', async () => {
    const work = await begun();
    const encrypted = add(signOnly(work), await imageFile(GAPS), { ...CHOICE, encrypt: true });
    await expect(encrypted).rejects.toThrow(/has 2 segments, an encrypted image has one/);
    await add(signOnly(work), await imageFile(GAPS), CHOICE);
    const release = await last(work);
    expect(release).toMatchObject({ length: 20 + 2 * 8 + 4 });
    expect(release.address).toBeUndefined();
  });

  it('is raw data only where that is said', async () => {
    const work = await begun();
    const text = await imageFile('one\ntwo\n');
    await expect(add(signOnly(work), text, CHOICE)).rejects.toThrow(/--raw takes it/);
    await add(signOnly(work), text, { ...CHOICE, raw: true });
    expect((await last(work)).length).toBe(8);
  });

  it('is uploaded as it is signed, whatever the format', async () => {
    const work = await begun();
    const backend = new FakeBackend();
    await add({ ...work, backend: await backend.logIn() }, await imageFile(GAPS), CHOICE);
    const { file, raw } = Object.fromEntries(backend.form!);
    const sent = Buffer.from(await (file as File).arrayBuffer());
    expect(sent.subarray(0, 16).toString()).toBe('can-ota segments');
    expect(sent.subarray(36)).toEqual(Buffer.of(1, 2, 3, 0xaa));
    expect(raw).toBe('yes');
  });
});

describe('with a backend', () => {
  it('uploads the image first, then the metadata that names it', async () => {
    const work = await begun();
    const backend = new FakeBackend();
    const file = await imageFile();
    await add({ ...work, backend: await backend.logIn() }, file, { ...CHOICE, notes: 'better' });
    expect(backend.posted).toEqual(['POST /upload', 'POST /metadata/targets']);
    const fields = Object.fromEntries(backend.form!);
    expect(fields).toMatchObject({ ecu: 'EDT', version: '2.0.0', notes: 'better' });
    const sent = fields.file as File;
    expect([sent.name, await sent.text()]).toEqual(['EDT-2.0.0-6105d6cc76af.bin', 'image']);
    const { bytes } = await targetsOf(work, 2);
    expect(Buffer.from(backend.metadata.get('/metadata/targets.json')!)).toEqual(
      Buffer.from(bytes),
    );
  });

  it('takes a person with a password, too', async () => {
    const work = await begun();
    const backend = new FakeBackend();
    const anna: Credentials = { kind: 'password', user: 'anna', password: 'right' };
    await add({ ...work, backend: await backend.logIn(anna) }, await imageFile(), CHOICE);
    expect(backend.metadata.has('/metadata/targets.json')).toBe(true);
    const wrong = backend.logIn({ ...anna, password: 'wrong' });
    await expect(wrong).rejects.toThrow(/log-in with 401: LOGIN_FAILED: because of/);
    await expect(wrong).rejects.toBeInstanceOf(InputError);
  });

  it('says why no Root is taken', async () => {
    const work = await begun();
    const backend = new FakeBackend();
    const releasing = { ...work, backend: await backend.logIn() };
    backend.roots.set('/director/metadata/root', 9);
    await expect(push(releasing)).rejects.toThrow(/422: METADATA_REFUSED/);
    backend.postAnswers.push(() => problem(409, 'METADATA_KEYS'));
    await expect(push(releasing)).rejects.toThrow(/409: METADATA_KEYS/);
    expect(backend.metadata.size).toBe(0);
  });

  it('waits as long as a busy backend says, a few times', async () => {
    const backend = new FakeBackend();
    const busy = (seconds: string) => () => problem(429, 'BUSY', { 'retry-after': seconds });
    backend.answers.push(busy('7'), busy('1'));
    const session = await backend.logIn();
    const reading = session.read('/metadata/targets.json');
    await backend.clock.advance(7_999);
    expect(backend.asked).toHaveLength(2);
    await backend.clock.advance(1);
    expect(await reading).toBeUndefined();
    expect(backend.asked).toHaveLength(3);
    backend.answers.push(busy('3600'));
    await expect(session.read('/x')).rejects.toThrow(/429: BUSY/);
    backend.answers.push(busy('0'), busy('0'), busy('0'), busy('0'));
    const tries = expect(session.read('/x')).rejects.toThrow(/429/);
    await backend.clock.advance(1);
    await tries;
  });

  it.each<[string, () => Response, RegExp, new (...all: never[]) => Error]>([
    [
      'another name for the image',
      () =>
        Response.json({
          ...{ ecu: 'EDT', version: '1', file: 'b', size: 1, sha256: '00'.repeat(32), notes: '' },
          created: true,
        }),
      /calls the image b/,
      BackendError,
    ],
    [
      'an answer of something else',
      () => new Response('<html>'),
      /not from a can-ota backend: .*its type is "text\/plain/,
      BackendError,
    ],
    [
      'a proxy',
      () => new Response('Bad Gateway', { status: 502 }),
      /not from a can-ota backend: .* answered 502, a refusal of type/,
      BackendError,
    ],
    ['a conflict', () => problem(409, 'RELEASE_CONFLICT'), /409: RELEASE_CONFLICT/, InputError],
    ['a token that is no good', () => problem(401, 'TOKEN'), /401: TOKEN/, InputError],
    ['a redirect', () => new Response(null, { status: 302 }), /302/, BackendError],
  ])('tells %s apart', async (_name, answer, message, type) => {
    const work = await begun();
    const backend = new FakeBackend();
    const releasing = { ...work, backend: await backend.logIn() };
    backend.postAnswers.push(answer);
    const result = add(releasing, await imageFile(), CHOICE);
    await expect(result).rejects.toThrow(message);
    await expect(result).rejects.toBeInstanceOf(type);
    expect(backend.metadata.size).toBe(0);
  });

  it('is not reached, or has no address', async () => {
    const { clock } = new FakeBackend();
    const { signal } = new AbortController();
    const failing = async (): Promise<Response> => {
      throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') });
    };
    const options = { clock, signal, fetch: failing };
    const dead = await ReleaseBackend.logIn({ url: 'http://backend', ...options }, TOKEN);
    await expect(dead.read('/x')).rejects.toThrow(/cannot be reached.*ECONNREFUSED/);
    const nowhere = await ReleaseBackend.logIn({ url: 'backend', ...options }, TOKEN);
    await expect(nowhere.read('/x')).rejects.toThrow(/--server: backend is no address/);
  });
});

describe('the options', () => {
  function parse(...args: readonly string[]): Record<string, unknown> {
    const program = new Command().exitOverride().enablePositionalOptions();
    addRelease(program);
    const command = program.commands[0]!.commands.find((each) => each.name() === 'add')!;
    command.exitOverride().configureOutput({ writeErr: () => {} });
    command.action(() => {});
    program.parse(['node', 'can-ota', 'release', 'add', ...args]);
    return command.opts();
  }
  const needed = ['f.bin', '--ecu', 'EDT', '--version', '2.1.0', '--hardware', 'H1', 'H2'];

  it('are read', () => {
    expect(parse(...needed, '--depends', 'INV=>=1.0.0 <2', '--depends', 'BMS=3')).toMatchObject({
      ecu: 'EDT',
      version: '2.1.0',
      hardware: ['H1', 'H2'],
      depends: { INV: '>=1.0.0 <2', BMS: '3' },
      keys: 'can-ota-keys',
      validity: 365,
    });
    expect(parse(...needed, '--counter', '12').counter).toBe(12);
  });

  it.each([
    ['--ecu', 'edt'],
    ['--version', '1..2'],
    ['--version', '-1'],
    ['--counter', '1.5'],
    ['--counter', '4294967296'],
    ['--depends', 'INV'],
    ['--depends', 'INV=>='],
    ['--depends', 'inv=1'],
    ['--validity', '0'],
    ['--notes', 'x'.repeat(2001)],
  ])('%s %s is refused', (...pair) => {
    expect(() => parse(...needed, ...pair)).toThrow(/error/);
  });
});

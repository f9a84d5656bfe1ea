// Releases: what is signed, what is refused before it is signed, and what the backend is told in which order.

import * as fs from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addRelease } from '../../src/cli/define-release.ts';
import { rotate, setThreshold } from '../../src/cli/keys-change.ts';
import { acceptFile, signFile } from '../../src/cli/keys-sign.ts';
import { BackendError, type Credentials, ReleaseBackend } from '../../src/cli/release-backend.ts';
import { push } from '../../src/cli/release-push.ts';
import {
  add,
  customOf,
  list,
  type ReleaseChoice,
  type ReleaseWork,
  revoke,
} from '../../src/cli/release-sign.ts';
import { InputError } from '../../src/core/errors.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { checkTargetsFile } from '../../src/trust/repository.ts';
import { parseSignedRole } from '../../src/trust/role-signing.ts';
import { begun, NOW, openWork, type TestWork, temporaryFolder, workOn } from './keys-support.ts';

const CHOICE: ReleaseChoice = { ecu: 'EDT', version: '2.0.0', hardware: ['EDT-HW-1'] };
const TOKEN: Credentials = { kind: 'token', token: 'cot-secret' };

async function imageFile(content = 'image'): Promise<string> {
  const file = path.join(await temporaryFolder(), 'image.bin');
  await fs.writeFile(file, content);
  return file;
}

function signOnly(work: TestWork): ReleaseWork {
  return { ...work, backend: undefined };
}

async function targetsOf(work: TestWork, version: number) {
  const bytes = (await work.folder.storage.read(`images/${version}.targets.json`))!;
  return { bytes, targets: parseSignedRole(bytes).signed.targets as Record<string, never> };
}

/** A backend as far as a release goes: what it was asked, and the answers that a test wants instead. */
class FakeBackend {
  readonly asked: string[] = [];
  readonly metadata = new Map<string, Uint8Array>();
  /** It began with Root 1 of both repositories. */
  readonly roots = new Map([
    ['/metadata/root', 1],
    ['/director/metadata/root', 1],
  ]);
  readonly answers: (() => Response)[] = [];
  readonly clock = new VirtualClock();
  form: FormData | undefined;

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const { pathname } = new URL(request.url);
    this.asked.push(`${request.method} ${pathname}`);
    // Whoever follows a redirection shows its token to somebody else.
    expect(request.redirect).toBe('manual');
    const told = this.answers.shift();
    if (told !== undefined) return told();
    if (pathname === '/login') {
      const { name, password } = (await request.json()) as { name: string; password: string };
      if (password !== 'right') return problem(401, 'LOGIN_FAILED');
      const headers = { 'set-cookie': `session=${name}; HttpOnly` };
      return Response.json({ user: name, csrfToken: 'token-of-page' }, { headers });
    }
    if (request.method === 'GET') {
      const bytes = this.metadata.get(pathname);
      return bytes === undefined ? problem(404, 'NOT_FOUND') : new Response(Uint8Array.from(bytes));
    }
    const person = request.headers.get('cookie') === 'session=anna';
    const right = person
      ? request.headers.get('x-csrf-token') === 'token-of-page'
      : request.headers.get('authorization') === 'Bearer cot-secret';
    if (!right) return problem(403, 'CSRF');
    if (pathname === '/upload') {
      this.form = await request.formData();
      const { name } = this.form.get('file') as File;
      return Response.json({ file: name, created: true }, { status: 201 });
    }
    const bytes = new Uint8Array(await request.arrayBuffer());
    const { _type, version } = parseSignedRole(bytes).signed;
    const root = this.roots.get(pathname);
    if (_type === 'root') {
      if (root === undefined) return problem(409, 'NO_REPOSITORY');
      if (version !== root && version !== root + 1) return problem(422, 'METADATA_REFUSED');
      this.roots.set(pathname, version);
    }
    this.metadata.set(`${pathname}.json`, bytes);
    return Response.json({ version, created: version !== root }, { status: 201 });
  };

  logIn(credentials: Credentials = TOKEN): Promise<ReleaseBackend> {
    const { signal } = new AbortController();
    const { clock, fetch } = this;
    return ReleaseBackend.logIn({ url: 'http://backend', clock, signal, fetch }, credentials);
  }
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  return Response.json({ code, detail: `because of ${code}` }, { status, headers });
}

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
    const release = async (ecu: string, version: string): Promise<void> =>
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

describe('with a backend', () => {
  it('uploads the image first, then the metadata that names it', async () => {
    const work = await begun();
    const backend = new FakeBackend();
    const file = await imageFile();
    await add({ ...work, backend: await backend.logIn() }, file, { ...CHOICE, notes: 'better' });
    expect(backend.asked).toEqual([
      'POST /upload',
      'GET /metadata/targets.json',
      'POST /metadata/targets',
    ]);
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

  it('leaves metadata alone that still waits for signatures, and pushes it afterwards', async () => {
    const work = await begun();
    const bob = await openWork({ signWith: ['bob'] });
    const { publicKey } = await bob.folder.create('bob', 'ed25519', undefined);
    await work.folder.register('bob', publicKey);
    await setThreshold(work, 'images', 'targets', 2, ['bob']);
    const backend = new FakeBackend();
    const releasing = { ...workOn(work.folder), backend: await backend.logIn() };
    await add(releasing, await imageFile(), CHOICE);
    expect(backend.asked).toEqual(['POST /upload']);
    await list(releasing);
    expect(releasing.said.at(-1)).toMatch(/Targets 2 is a draft/);

    const stick = path.join(await temporaryFolder(), 'draft.json');
    await fs.copyFile(work.folder.path('drafts/images-2.targets.json'), stick);
    await signFile(bob, stick, ['bob']);
    await acceptFile(workOn(work.folder, { signWith: [] }), stick);
    await push(releasing);
    expect(backend.asked.slice(1)).toEqual([
      'POST /director/metadata/root',
      'POST /metadata/root',
      'GET /metadata/targets.json',
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
    // Offered from the newest down, then upwards from the one that it takes.
    const offered = backend.asked.filter((line) => line === 'POST /metadata/root');
    expect(offered).toHaveLength(3 + 2);
    backend.asked.length = 0;
    await push(releasing);
    expect(backend.asked).toEqual([
      'POST /director/metadata/root',
      'POST /metadata/root',
      'GET /metadata/targets.json',
    ]);
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

  it('says why no Root is taken', async () => {
    const work = await begun();
    const backend = new FakeBackend();
    const releasing = { ...work, backend: await backend.logIn() };
    backend.roots.set('/director/metadata/root', 9);
    await expect(push(releasing)).rejects.toThrow(/422: METADATA_REFUSED/);
    backend.answers.push(() => problem(409, 'METADATA_KEYS'));
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
    backend.answers.push(busy('0'), busy('0'), busy('0'));
    const tries = expect(session.read('/x')).rejects.toThrow(/429/);
    await backend.clock.advance(1);
    await tries;
  });

  it.each<[string, () => Response, RegExp, new (...all: never[]) => Error]>([
    [
      'another name for the image',
      () => Response.json({ file: 'b', created: true }),
      /calls the image b/,
      BackendError,
    ],
    [
      'an answer of something else',
      () => new Response('<html>'),
      /not that of a can-ota/,
      BackendError,
    ],
    [
      'a proxy',
      () => new Response('Bad Gateway', { status: 502 }),
      /502: Bad Gateway/,
      BackendError,
    ],
    ['a conflict', () => problem(409, 'RELEASE_CONFLICT'), /409: RELEASE_CONFLICT/, InputError],
    ['a token that is no good', () => problem(401, 'TOKEN'), /401: TOKEN/, InputError],
    ['a redirect', () => new Response(null, { status: 302 }), /302/, BackendError],
  ])('tells %s apart', async (_name, answer, message, type) => {
    const work = await begun();
    const backend = new FakeBackend();
    const releasing = { ...work, backend: await backend.logIn() };
    backend.answers.push(answer);
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

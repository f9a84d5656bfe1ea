// A backend in memory and keys for the tests of releases.

import * as fs from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { type KeyFolder, REPOSITORIES } from '../../src/signing/folder.ts';
import type { ReleaseWork } from '../../src/signing/push.ts';
import type { ReleaseChoice } from '../../src/signing/release.ts';
import { type Credentials, ReleaseBackend } from '../../src/signing/release-backend.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { parseSignedRole } from '../../src/trust/role-signing.ts';
import { problemResponse } from '../support/problem-response.ts';
import { type TestWork, temporaryFolder } from './keys-support.ts';

export const CHOICE: ReleaseChoice = { ecu: 'EDT', version: '2.0.0', hardware: ['EDT-HW-1'] };
export const TOKEN: Credentials = { kind: 'token', token: 'cot-secret' };

export async function imageFile(content = 'image'): Promise<string> {
  const file = path.join(await temporaryFolder(), 'image.bin');
  await fs.writeFile(file, content);
  return file;
}

export function signOnly(work: TestWork): ReleaseWork {
  return { ...work, backend: undefined };
}

export async function targetsOf(work: TestWork, version: number) {
  const bytes = (await work.folder.storage.read(`images/${version}.targets.json`))!;
  return { bytes, targets: parseSignedRole(bytes).signed.targets as Record<string, never> };
}

/** A backend for releases: records its requests, and gives the answers that a test sets. */
export class FakeBackend {
  readonly asked: string[] = [];
  readonly metadata = new Map<string, Uint8Array>();
  /** The backend starts with Root 1 of both repositories. */
  readonly roots = new Map([
    ['/metadata/root', 1],
    ['/director/metadata/root', 1],
  ]);
  readonly answers: (() => Response)[] = [];
  /** Answers for uploads only, however many reads come before. */
  readonly postAnswers: (() => Response)[] = [];
  readonly clock = new VirtualClock();
  form: FormData | undefined;

  /** The uploads, without the reads. */
  get posted(): string[] {
    return this.asked.filter((line) => line.startsWith('POST '));
  }

  /** Sets the content of a folder, as if all of it had been pushed. */
  async hold(folder: KeyFolder): Promise<void> {
    for (const repository of REPOSITORIES) {
      const base = repository === 'images' ? '/metadata' : '/director/metadata';
      for (const [name, bytes] of await folder.metadata(repository)) {
        this.metadata.set(`${base}/${name}`, bytes);
        this.metadata.set(`${base}/${name.replace(/^\d+\./, '')}`, bytes);
      }
      this.roots.set(`${base}/root`, (await folder.versions(repository, 'root')).at(-1)!);
    }
  }

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const { pathname } = new URL(request.url);
    this.asked.push(`${request.method} ${pathname}`);
    // A client that follows a redirection would show its token to another server.
    expect(request.redirect).toBe('manual');
    const told =
      this.answers.shift() ?? (request.method === 'POST' ? this.postAnswers.shift() : undefined);
    if (told !== undefined) return told();
    if (pathname === '/login') {
      const { name, password } = (await request.json()) as { name: string; password: string };
      if (password !== 'right') return problem(401, 'LOGIN_FAILED');
      const headers = { 'set-cookie': `session=${name}; HttpOnly` };
      return Response.json({ user: name, role: 'admin', csrfToken: 'token-of-page' }, { headers });
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
      const told = { ecu: 'EDT', version: '1', size: 1, sha256: '00'.repeat(32), notes: '' };
      return Response.json({ ...told, file: name, created: true }, { status: 201 });
    }
    const bytes = new Uint8Array(await request.arrayBuffer());
    const { _type, version } = parseSignedRole(bytes).signed;
    const root = this.roots.get(pathname);
    if (_type === 'root') {
      if (root === undefined) return problem(409, 'NO_REPOSITORY');
      if (version !== root && version !== root + 1) return problem(422, 'METADATA_REFUSED');
      this.roots.set(pathname, version);
    }
    const published = this.metadata.get(`${pathname}.json`);
    const known = published === undefined ? 0 : parseSignedRole(published).signed.version;
    if (_type === 'targets' && version <= known) return problem(422, 'METADATA_REFUSED');
    if (version >= known) this.metadata.set(`${pathname}.json`, bytes);
    this.metadata.set(pathname.replace(/([a-z]+)$/, `${version}.$1.json`), bytes);
    const role = pathname.slice(1);
    return Response.json({ role, version, created: version !== root }, { status: 201 });
  };

  logIn(credentials: Credentials = TOKEN): Promise<ReleaseBackend> {
    const { signal } = new AbortController();
    const { clock, fetch } = this;
    return ReleaseBackend.logIn({ url: 'http://backend', clock, signal, fetch }, credentials);
  }
}

export function problem(
  status: number,
  code: string,
  headers: Record<string, string> = {},
): Response {
  return problemResponse(status, code, undefined, headers);
}

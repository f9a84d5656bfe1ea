// Packages for small devices from the command line: keys, errors before anything is sent, and the upload.

import * as fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeKey, release } from '../../src/cli/release/device.ts';
import {
  type Profile,
  readReleaseKey,
  signedBy,
  signedManifest,
} from '../../src/contract/chunked/package.ts';
import { InputError } from '../../src/core/errors.ts';
import { temporaryFolder } from './keys-support.ts';

const PASSPHRASE = 'a long passphrase for tests';

/** Runs the work of a command; returns its JSON output or its error. */
async function run(
  work: (context: Parameters<typeof makeKey>[0]) => Promise<void>,
): Promise<{ readonly json: unknown; readonly error: string }> {
  const told: unknown[] = [];
  const { signal } = new AbortController();
  try {
    await work({ say: () => {}, emit: (value) => told.push(value), signal });
    return { json: told[0], error: '' };
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return { json: undefined, error: (error as Error).message };
  }
}

async function workplace(profile: Profile = 'default', passphrase = false) {
  const folder = await temporaryFolder();
  const file = (name: string): string => path.join(folder, name);
  await fs.writeFile(file('image.bin'), 'an image');
  await fs.writeFile(file('token'), 'cot-secret\n', { mode: 0o600 });
  await fs.writeFile(file('secret'), `${PASSPHRASE}\n`, { mode: 0o600 });
  const made = await run((context) =>
    makeKey(context, {
      profile,
      out: file('key.pem'),
      ...(passphrase ? { passphraseFile: file('secret') } : {}),
    }),
  );
  expect(made).toMatchObject({ json: { profile, keyId: expect.any(String) } });
  const options = {
    model: 'SENSOR-1',
    version: '1.1.0',
    counter: 2,
    profile,
    key: file('key.pem'),
    server: 'http://backend',
    tokenFile: file('token'),
  };
  return { file, options };
}

/** The request that the backend gets. */
interface Seen {
  form: FormData | undefined;
  authorization: string | null;
  readonly fetch: typeof fetch;
}

function listen(): Seen {
  const answer = async (url: URL, init: RequestInit) => {
    const request = new Request(url, init);
    seen.authorization = request.headers.get('authorization');
    seen.form = await request.formData();
    const {
      type: _,
      format: __,
      ...manifest
    } = JSON.parse(String(seen.form.get('manifest'))).manifest;
    const released = { released_by: 'tool', released_at: '2026-01-01T00:00:00.000Z' };
    const answered = { ...manifest, ...released, key_id: 'id', withdrawn: null, created: true };
    return Response.json(answered, { status: 201 });
  };
  const seen: Seen = { form: undefined, authorization: null, fetch: answer as typeof fetch };
  return seen;
}

describe('can-ota release device', () => {
  it.each(['default', 'rsa'] as const)(
    'signs, and sends manifest, key and image: %s',
    async (profile) => {
      const { file, options } = await workplace(profile, true);
      const seen = listen();
      const done = await run((context) =>
        release(
          context,
          file('image.bin'),
          { ...options, passphraseFile: file('secret') },
          seen.fetch,
        ),
      );
      expect(done).toMatchObject({ error: '', json: { created: true, keyId: 'id' } });
      expect(seen.authorization).toBe('Bearer cot-secret');
      const [manifest, pem, image] = ['manifest', 'public_key', 'file'].map((name) =>
        seen.form!.get(name),
      );
      const signed = signedManifest.parse(JSON.parse(manifest as string));
      const key = readReleaseKey(pem as string)!;
      expect(signed.manifest).toMatchObject({ profile, model: 'SENSOR-1', length: 8 });
      expect(signedBy(signed, key)).toBe(true);
      expect(await (image as File).text()).toBe('an image');
      expect(await fs.readFile(file('key.pem.pub'), 'utf8')).toBe(
        (pem as string).replaceAll('\r\n', '\n'),
      );
      expect((await fs.stat(file('key.pem'))).mode & 0o777).toBe(0o600);
    },
  );

  it('refuses what cannot be meant, before anything is sent', async () => {
    const { file, options } = await workplace();
    const seen = listen();
    const refused = async (more: Partial<typeof options>, image = 'image.bin'): Promise<string> => {
      const done = await run((context) =>
        release(context, file(image), { ...options, ...more }, fetch),
      );
      expect(done.json).toBeUndefined();
      return done.error;
    };
    expect(await refused({ profile: 'rsa' })).toContain('a key of profile default');
    expect(await refused({ key: file('token') })).toContain('no private key');
    expect(await refused({ key: file('none.pem') })).toContain('none.pem');
    expect(await refused({}, 'none.bin')).toContain('none.bin');
    await fs.writeFile(file('empty.bin'), '');
    expect(await refused({}, 'empty.bin')).toContain('is empty');
    await fs.chmod(file('key.pem'), 0o644);
    expect(await refused({})).toContain('chmod 600');
    expect(seen.form).toBeUndefined();
  });

  it('never writes over a key', async () => {
    const { file } = await workplace();
    const again = await run((context) =>
      makeKey(context, { profile: 'default', out: file('key.pem') }),
    );
    expect(again.error).toContain('is there already');
  });

  it('says what is wrong with the passphrase', async () => {
    const { file, options } = await workplace('default', true);
    listen();
    const none = await run((context) => release(context, file('image.bin'), options, fetch));
    expect(none.error).toContain('--passphrase-file');
    await fs.writeFile(file('secret'), 'another long passphrase\n');
    const wrong = await run((context) =>
      release(context, file('image.bin'), { ...options, passphraseFile: file('secret') }, fetch),
    );
    expect(wrong.error).toContain('the passphrase is wrong');
  });
});

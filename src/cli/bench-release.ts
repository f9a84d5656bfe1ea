// Releases images to a backend the way a person's script does: log in, take the CSRF token, upload.

import { openAsBlob } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { CanOtaError, InputError } from '../core/errors.ts';
import { fileFault } from './vehicle-file.ts';

export interface ReleaseImage {
  readonly ecu: string;
  readonly file: string;
  readonly version: string;
}

export class ReleaseError extends CanOtaError {
  readonly code = 'RELEASE';
}

const session = z.object({ csrfToken: z.string().min(1) });

/** Throws InputError for a file that cannot be read, ReleaseError when the backend refuses. */
export async function releaseImages(
  url: string,
  user: string,
  password: string,
  images: readonly ReleaseImage[],
): Promise<void> {
  const login = await fetch(new URL('/login', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ name: user, password }),
  });
  const cookie = login.headers
    .getSetCookie()
    .map((line) => line.split(';', 1)[0])
    .join('; ');
  const { csrfToken } = session.parse(await checked(login, 'log-in'));
  for (const image of images) {
    const form = new FormData();
    form.set('ecu', image.ecu);
    form.set('version', image.version);
    form.set('notes', `bench image ${path.basename(image.file)}`);
    form.set('file', await imageBlob(image.file), `${path.parse(image.file).name}.bin`);
    const upload = await fetch(new URL('/upload', url), {
      method: 'POST',
      headers: { accept: 'application/json', cookie, 'x-csrf-token': csrfToken },
      body: form,
    });
    await checked(upload, `upload of ${image.file}`);
  }
}

/** Throws InputError. `openAsBlob` throws at once, before there is a promise. */
async function imageBlob(file: string): Promise<Blob> {
  try {
    return await openAsBlob(file);
  } catch (error) {
    throw new InputError('--image', fileFault(file, error), { cause: error });
  }
}

async function checked(response: Response, doing: string): Promise<unknown> {
  const text = await response.text();
  if (!response.ok) {
    throw new ReleaseError(
      `the backend refused the ${doing} with ${response.status}: ${text.slice(0, 300)}`,
    );
  }
  return JSON.parse(text);
}

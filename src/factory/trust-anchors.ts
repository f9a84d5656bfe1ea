// The trust anchors of a vehicle: the newest Root of both repositories, from the folder that the backend uses, too.

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { InputError, systemErrorCode } from '../core/errors.ts';
import type { Anchor } from '../drivers/provisioner.ts';
import { faultText } from '../trust/attack.ts';
import { trustRoot, versionsOf } from '../trust/repository.ts';

export interface TrustAnchors {
  readonly director: Anchor;
  readonly images: Anchor;
}

/** Reads `director/N.root.json` and `images/N.root.json` below `folder`. Throws InputError that names the file. */
export async function readAnchors(folder: string): Promise<TrustAnchors> {
  return {
    director: await newestRoot(path.join(folder, 'director')),
    images: await newestRoot(path.join(folder, 'images')),
  };
}

async function newestRoot(folder: string): Promise<Anchor> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw new InputError('--trust', `${folder} cannot be read`, { cause: error });
  });
  const version = Math.max(
    0,
    ...names.map((name) => Number(/^([1-9]\d{0,8})\.root\.json$/.exec(name)?.[1] ?? 0)),
  );
  if (version === 0) {
    throw new InputError(
      '--trust',
      `there is no N.root.json in ${folder}: make both with "can-ota keys init", and give the folder of ` +
        '"can-ota keys export-online"',
    );
  }
  const file = path.join(folder, `${version}.root.json`);
  const bytes = Uint8Array.from(await readFile(file));
  // Check the signatures, because a vehicle would trust an unsigned Root for ever.
  const root = trustRoot(bytes, 'strict');
  if (!root.ok) throw new InputError('--trust', `${file}: ${faultText(root)}`);
  if (versionsOf(root.value).root !== version) {
    throw new InputError('--trust', `${file} holds version ${versionsOf(root.value).root}`);
  }
  return { bytes, version };
}

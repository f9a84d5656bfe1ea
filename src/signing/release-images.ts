// Uploads images of signed releases again to a backend that has lost them, without a new signature.

import { InputError } from '../core/errors.ts';
import { openFlashFile, payloadBlob, splitAddress } from '../image/image-file-formats.ts';
import type { ReleaseWork } from './push.ts';
import { newestTargets } from './release.ts';
import { listed } from './release-list.ts';

/**
 * Uploads files, each of which must be an image of the newest Targets by its bytes. `isRaw`: all are raw data, whatever
 * they look like. Throws InputError, BackendError.
 */
export async function pushImages(
  work: ReleaseWork,
  files: readonly string[],
  isRaw: boolean,
): Promise<void> {
  const { context, folder, backend } = work;
  if (files.length === 0) return;
  if (backend === undefined) throw new InputError('--server', 'is missing: name the backend');
  const releases = listed((await newestTargets(folder)).targets);
  const images: { payload: Blob; release: (typeof releases)[number] }[] = [];
  for (const file of files) {
    const at = await splitAddress(file, 'FILE');
    await using image = await openFlashFile(at, 'FILE', { told: isRaw });
    const found = releases.filter(({ sha256 }) => sha256 === image.sha256);
    if (found.length === 0) {
      throw new InputError(
        file,
        'is not the image of a signed release: can-ota release list shows the releases, can-ota release add signs one',
      );
    }
    const payload = await payloadBlob(image, at);
    images.push(...found.map((release) => ({ payload, release })));
  }
  for (const { payload, release } of images) {
    const { name, custom } = release;
    const { ecu, version, notes } = custom;
    const created = await backend.uploadImage({ ecu, version, notes, payload, name });
    context.emit({ uploaded: name, created });
    context.say(`${name} is uploaded${created ? '' : ' (it was there already)'}`);
  }
}

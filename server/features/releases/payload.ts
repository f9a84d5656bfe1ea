// What an uploaded file becomes: a flash file with addresses turns into what its release signs and stores.

import { InputError } from '../../../src/core/errors.ts';
import { hasCanonicalMagic, readSegmentMap } from '../../../src/image/canonical.ts';
import type { ImageFormat } from '../../../src/image/loaded-image.ts';
import { payloadInThread } from '../../../src/image/payload-thread.ts';
import { formatToRead } from '../../../src/image/read-image.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { ImageStore, StagedImage } from './image-store.ts';
import type { Upload } from './receive-upload.ts';

const HEAD = 1 << 20;
/** Flash files are read as a whole. */
const LARGEST_FILE = 256 << 20;

/**
 * The image to commit. Throws HttpProblem 400 `IMAGE_FORMAT` for a damaged flash file and for a file of another kind, 413
 * for a flash file that is too large to be read here; nothing is left on the disk then.
 */
export async function payloadOf(
  { image, fields, fileName }: Upload,
  images: ImageStore,
  maxBytes: number,
): Promise<StagedImage> {
  try {
    const head = await image.read(0, Math.min(HEAD, image.size));
    if (fields.get('raw') === 'yes') {
      await requireWholeMap(image, head);
      return image;
    }
    if (formatOf(head, fileName) === 'raw') return image;
    if (image.size > LARGEST_FILE) {
      throw new HttpProblem(
        413,
        'IMAGE_TOO_LARGE',
        `${fileName}: a server reads flash files with addresses up to ${LARGEST_FILE} bytes: use "can-ota release add"`,
      );
    }
    const bytes = await image.read(0, image.size);
    const read = await payloadInThread({ bytes, name: fileName });
    if (!read.ok) throw unreadable(read.message);
    const staged = await images.stage(oneChunk(read.payload), maxBytes);
    await image.discard();
    return staged;
  } catch (error) {
    await image.discard();
    throw error;
  }
}

/** A release tool sends what it has signed; a segment map that no ECU could use does not get that far. */
async function requireWholeMap(image: StagedImage, head: Uint8Array): Promise<void> {
  if (!hasCanonicalMagic(head)) return;
  const map = await readSegmentMap((offset, length) => image.read(offset, length), image.size);
  if (map?.ok === false) throw unreadable(`segment map: ${map.reason}`);
}

function formatOf(head: Uint8Array, fileName: string): ImageFormat {
  try {
    return formatToRead(head, fileName, { told: false });
  } catch (error) {
    if (error instanceof InputError) throw unreadable(error.message);
    throw error;
  }
}

function unreadable(message: string): HttpProblem {
  return new HttpProblem(400, 'IMAGE_FORMAT', message);
}

async function* oneChunk(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

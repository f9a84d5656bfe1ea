// Reads a multipart upload: fields and one image, which goes to the disk as it comes in.

import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import busboy from 'busboy';
import { HttpProblem } from '../../platform/http/errors.ts';
import { type ImageStore, type StagedImage, tooLarge } from './image-store.ts';

/** Boundaries and fields around the file. */
const FORM_OVERHEAD = 64 * 1024;

export interface UploadOptions {
  readonly images: ImageStore;
  readonly maxBytes: number;
  /**
   * Called when the file begins, with the fields that came before it; throws HttpProblem to refuse. Nothing
   * has been stored by then.
   */
  beforeFile(fields: ReadonlyMap<string, string>): Promise<void>;
}

export interface Upload {
  readonly fields: ReadonlyMap<string, string>;
  /** The caller ends it with `commit` or `discard`. */
  readonly image: StagedImage;
  readonly fileName: string;
}

/** Throws HttpProblem; then nothing is left on the disk, and the rest of the body is still to be drained. */
export async function receiveUpload(req: IncomingMessage, options: UploadOptions): Promise<Upload> {
  if (Number(req.headers['content-length'] ?? 0) > options.maxBytes + FORM_OVERHEAD) {
    throw tooLarge(options.maxBytes);
  }
  const parser = openParser(req);
  const fields = new Map<string, string>();
  let staging: Promise<StagedImage> | undefined;
  let fileName = '';

  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (error: unknown): void => {
        req.unpipe(parser);
        reject(error);
        // Ends the stream of the file, and with it the staging.
        parser.destroy(error instanceof Error ? error : new Error(String(error)));
      };
      parser.on('field', (name, value, info) => {
        if (info.valueTruncated) fail(badForm(`the field ${name} is too long`));
        else fields.set(name, value);
      });
      parser.on('file', (name, stream, info) => {
        stream.on('error', () => {}); // a reader of the stream gets the error; before the first read there is none
        if (name !== 'file') return fail(badForm('the image must be in the field "file"'));
        fileName = info.filename ?? '';
        staging = stage(stream, fileName, fields, options);
        staging.catch(fail);
      });
      for (const limit of ['filesLimit', 'fieldsLimit', 'partsLimit'] as const) {
        parser.on(limit, () => fail(badForm('expected one file and at most ten fields')));
      }
      parser.on('error', (error) =>
        fail(error instanceof HttpProblem ? error : badForm('the form is damaged', error)),
      );
      parser.on('close', () => resolve());
      req.on('close', () => {
        if (!req.complete) {
          fail(new HttpProblem(400, 'BODY_INCOMPLETE', 'the connection ended during the upload'));
        }
      });
      req.pipe(parser);
    });
  } catch (error) {
    await staging?.then(
      (image) => image.discard(),
      () => {},
    );
    throw error;
  }
  if (staging === undefined) throw badForm('the form has no file: choose one');
  return { fields, image: await staging, fileName };
}

function openParser(req: IncomingMessage): busboy.Busboy {
  if (!/^multipart\/form-data\s*;/i.test(req.headers['content-type'] ?? '')) {
    throw new HttpProblem(
      415,
      'UNSUPPORTED_MEDIA_TYPE',
      'expected a form of type multipart/form-data',
    );
  }
  try {
    return busboy({
      headers: req.headers,
      limits: { files: 1, fields: 10, parts: 12, fieldSize: 8192, fieldNameSize: 64 },
    });
  } catch (cause) {
    throw badForm('the form is damaged', cause);
  }
}

async function stage(
  stream: Readable,
  fileName: string,
  fields: ReadonlyMap<string, string>,
  options: UploadOptions,
): Promise<StagedImage> {
  await options.beforeFile(fields);
  if (fileName === '') throw badForm('no file was chosen: choose one');
  return options.images.stage(stream, options.maxBytes);
}

function badForm(message: string, cause?: unknown): HttpProblem {
  return new HttpProblem(400, 'BAD_FIELD', message, { cause });
}

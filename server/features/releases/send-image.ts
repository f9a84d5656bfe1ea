// Sends an image with ranges and digests, and records how far it came.

import type { Logger } from '../../../src/core/logger.ts';
import { matchesEtag, planRange, sendsEverything } from '../../platform/http/byte-range.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { AppContext } from '../../platform/http/request.ts';
import type { AuditAction, AuditLog } from '../audit/store.ts';
import type { ImageStore } from './image-store.ts';

export interface PublishedFile {
  /** The public name. */
  readonly file: string;
  /** bytes */
  readonly size: number;
  readonly sha256: string;
}

export interface Sending {
  readonly who: string;
  /** `who` has proven nothing. */
  readonly stranger?: boolean;
  /** What is written into the audit log; nothing for public files. */
  readonly actions: {
    readonly start?: AuditAction;
    readonly complete?: AuditAction;
    readonly aborted?: AuditAction;
  };
  /** Asked once, just before bytes are sent; throws to refuse. `whole`: every byte of the image. */
  allow?(whole: boolean): Promise<void>;
  /** When the answer has ended: how many bytes left, at most, and whether the last one of the image did. */
  sent?(sent: { readonly bytes: number; readonly last: boolean }): Promise<void>;
}

export interface ImageSenderParts {
  readonly images: ImageStore;
  readonly audit: AuditLog;
  readonly logger: Logger;
  /** Work that outlives its response; closing waits for it. */
  background(work: Promise<unknown>): void;
}

export class ImageSender {
  readonly #parts: ImageSenderParts;

  constructor(parts: ImageSenderParts) {
    this.#parts = parts;
  }

  /** Throws HttpProblem 404 when the file is gone, 416 for a range outside of it. */
  async send(ctx: AppContext, release: PublishedFile, sending: Sending): Promise<void> {
    const { images, audit, logger, background } = this.#parts;
    const etag = `"${release.sha256}"`;
    const plan = planRange(
      ctx.headers.range,
      ctx.headers['if-range'] as string | undefined,
      etag,
      release.size,
    );
    ctx.set({
      ETag: etag,
      'Accept-Ranges': 'bytes',
      'Cache-Control': 'private, no-store',
      'Content-Disposition': `attachment; filename="${release.file}"`,
      // RFC 9530: the digest of the whole image, also with a part of it.
      'Repr-Digest': `sha-256=:${Buffer.from(release.sha256, 'hex').toString('base64')}:`,
      'X-Checksum-SHA256': release.sha256,
    });
    if (matchesEtag(ctx.headers['if-none-match'], etag)) {
      ctx.status = 304;
      return;
    }
    if (plan.kind === 'unsatisfiable') {
      throw new HttpProblem(416, 'RANGE', `the image has ${release.size} bytes`, {
        headers: { 'Content-Range': `bytes */${release.size}` },
      });
    }
    const [start, end] = plan.kind === 'part' ? [plan.start, plan.end] : [0, release.size - 1];
    const image = await images.openImage(release.sha256);
    if (image === undefined || image.size !== release.size) {
      await image?.close();
      logger.error(
        { file: release.file, sha256: release.sha256 },
        'the image of a release is missing or damaged: upload it again or restore the data folder',
      );
      throw new HttpProblem(500, 'IMAGE_MISSING', 'the server has lost this image');
    }
    try {
      if (ctx.method !== 'HEAD') await sending.allow?.(sendsEverything(plan, release.size));
      ctx.status = plan.kind === 'part' ? 206 : 200;
      if (plan.kind === 'part') ctx.set('Content-Range', `bytes ${start}-${end}/${release.size}`);
      ctx.type = 'application/octet-stream';
      ctx.length = end - start + 1;
      if (ctx.method === 'HEAD') {
        await image.close();
        return;
      }
    } catch (error) {
      await image.close();
      throw error;
    }
    const range = plan.kind === 'part' ? ` bytes ${start}-${end}` : '';
    const record = async (action: AuditAction | undefined, note = ''): Promise<void> => {
      if (action === undefined) return;
      await audit.record({
        action,
        who: sending.who,
        stranger: sending.stranger === true,
        address: ctx.state.address,
        detail: `${release.file}${range}${note}`,
      });
    };
    await record(sending.actions.start);
    const stream = image.stream(start, end);
    const length = end - start + 1;
    let complete = false;
    // Everything was handed to the system. First in the row: afterwards Node takes the socket away. (A socket that was
    // destroyed ends its writes too; `writableFinished` is never true where a request was injected.)
    ctx.res.prependOnceListener('finish', () => {
      complete = ctx.res.socket?.destroyed !== true;
    });
    ctx.res.once('close', () => {
      const sent = complete
        ? { bytes: length, last: end === release.size - 1 }
        : { bytes: stream.bytesRead, last: false };
      if (sending.sent !== undefined) background(sending.sent(sent));
      const note = complete ? '' : `, cut off within ${length} bytes`;
      background(record(complete ? sending.actions.complete : sending.actions.aborted, note));
    });
    ctx.body = stream;
    ctx.length = length;
  }
}

export function imageNotFound(): HttpProblem {
  return new HttpProblem(404, 'NOT_FOUND', 'there is no image of this name');
}

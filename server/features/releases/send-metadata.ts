// Sends a metadata file: the bytes as they were signed, with a tag.

import { createHash } from 'node:crypto';
import { matchesEtag } from '../../platform/http/byte-range.ts';
import type { AppContext } from '../../platform/http/request.ts';

/** `timestamp` and `timestamp.json` are the same file; names on a repository have the ending. */
export function metadataFile(name: string): string {
  return name.endsWith('.json') ? name : `${name}.json`;
}

/** A file with a version in its name never changes. */
export function sendMetadata(ctx: AppContext, name: string, bytes: Uint8Array): void {
  const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
  ctx.set('ETag', etag);
  const pinned = /^\d+\./.test(name);
  ctx.set('Cache-Control', pinned ? 'private, max-age=31536000, immutable' : 'private, no-cache');
  if (matchesEtag(ctx.headers['if-none-match'], etag)) {
    ctx.status = 304;
    return;
  }
  ctx.type = 'application/json';
  ctx.body = Buffer.from(bytes);
}

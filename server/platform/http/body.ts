// Small request bodies (JSON, forms) with a limit of size and time, and the end of bodies that are not read.

import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import {
  type Endpoint,
  type EndpointRequest,
  MAX_BODY_BYTES,
} from '../../../src/contract/endpoint.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { JsonDepthError, parseJsonBytes } from '../../../src/core/json.ts';
import { itemAt } from '../../../src/core/present.ts';
import { HttpProblem } from './errors.ts';
import type { AppContext } from './request.ts';

const DEADLINE_MS = 10_000;
/** What is read of a refused body, so that the client comes to read the refusal. */
const DRAIN_BYTES = 8 * 1024 * 1024;

export type SmallBody =
  /** `bytes`: as they came. */
  | { readonly kind: 'json'; readonly value: unknown; readonly bytes: Uint8Array }
  | { readonly kind: 'form'; readonly value: Record<string, string> };

/** Throws HttpProblem: 408 too slow, 413 too large, 415 another type, 400 not JSON or cut off. */
export async function readSmallBody(
  ctx: AppContext,
  clock: Clock,
  maxBytes = MAX_BODY_BYTES,
): Promise<SmallBody> {
  const type = ctx.is('application/json', 'application/*+json', 'urlencoded');
  if (type === false || type === null || ctx.get('Content-Encoding') !== '') {
    throw new HttpProblem(
      415,
      'UNSUPPORTED_MEDIA_TYPE',
      'expected a body of type application/json or application/x-www-form-urlencoded, not compressed',
    );
  }
  const bytes = await readBytes(ctx, clock, maxBytes);
  if (type === 'urlencoded') {
    const fields = new URLSearchParams(bytes.toString('utf8'));
    return { kind: 'form', value: Object.fromEntries(fields) };
  }
  try {
    return { kind: 'json', value: parseJsonBytes(bytes), bytes };
  } catch (cause) {
    throw badJson('the body', cause);
  }
}

/** What `parseJsonText` and `parseJsonBytes` refused. `what`: "the body". */
export function badJson(what: string, cause: unknown): HttpProblem {
  const reason = cause instanceof JsonDepthError ? cause.message : 'expected JSON in UTF-8';
  return new HttpProblem(400, 'BAD_JSON', `${what} is refused: ${reason}`, { cause });
}

/** An endpoint with a JSON body. */
export interface WithBody<T extends z.ZodType> extends Endpoint {
  readonly request: EndpointRequest & { readonly body: T };
}

/** The JSON body of an endpoint that takes nothing else, checked. Throws HttpProblem 400, 408, 413, 415. */
export async function readBody<T extends z.ZodType>(
  ctx: AppContext,
  { request }: WithBody<T>,
  clock: Clock,
): Promise<z.output<T>> {
  return parseInput(request.body, (await readJson(ctx, clock, request.maxBytes)).value);
}

/** JSON and the bytes that it came in. Throws HttpProblem 400, 408, 413, 415. */
export async function readJson(
  ctx: AppContext,
  clock: Clock,
  maxBytes?: number,
): Promise<Extract<SmallBody, { kind: 'json' }>> {
  const body = await readSmallBody(ctx, clock, maxBytes);
  if (body.kind === 'json') return body;
  throw new HttpProblem(415, 'UNSUPPORTED_MEDIA_TYPE', 'expected application/json');
}

/** The bytes as they came, within the deadline. Throws HttpProblem 400, 408, 413. */
export function readBytes(ctx: AppContext, clock: Clock, maxBytes: number): Promise<Buffer> {
  const { req } = ctx;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (problem?: HttpProblem): void => {
      deadline.cancel();
      req.off('data', onData).off('end', onEnd).off('close', onClose);
      if (problem === undefined) resolve(Buffer.concat(chunks));
      else reject(problem);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > maxBytes) {
        end(new HttpProblem(413, 'BODY_TOO_LARGE', `the body is larger than ${maxBytes} bytes`));
      }
    };
    const onEnd = (): void => end();
    const onClose = (): void =>
      end(new HttpProblem(400, 'BODY_INCOMPLETE', 'the connection ended before the body did'));
    const deadline = clock.after('body', DEADLINE_MS, () =>
      end(
        new HttpProblem(408, 'BODY_TIMEOUT', `the body took longer than ${DEADLINE_MS / 1000} s`, {
          headers: { Connection: 'close' },
        }),
      ),
    );
    req.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}

/**
 * Reads and forgets the rest of a body that was refused, so that the client comes to read the refusal
 * instead of a reset; after a bounded number of bytes the connection ends.
 */
export function drain(req: IncomingMessage): void {
  if (req.complete || req.destroyed) return;
  let drained = 0;
  req.on('error', () => {});
  req.on('data', (chunk: Buffer) => {
    drained += chunk.length;
    if (drained > DRAIN_BYTES) req.destroy();
  });
}

/** Checks input against a schema; throws HttpProblem 400 `BAD_FIELD` that names the field. */
export function parseInput<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = itemAt(parsed.error.issues, 0);
  const field = issue.path.length === 0 ? 'the input' : z.core.toDotPath(issue.path);
  throw new HttpProblem(400, 'BAD_FIELD', `${field}: ${issue.message}`);
}

// Paths of devices whose requests and answers are sealed: opened before the work, and sealed again with whatever comes of it.

import type { Readable } from 'node:stream';
import type { z } from 'zod';
import { MAX_BODY_BYTES } from '../../../src/contract/endpoint.ts';
import { parseJsonBytes } from '../../../src/core/json.ts';
import { SEALED_TYPE, type SealedSession, sealMessage } from '../../../src/trust/sealed-session.ts';
import { accessOf, requireRole } from '../auth/access.ts';
import type { RegisteredDevice } from '../auth/identity.ts';
import { type ReceivedMessage, receiveMessage, type SealedGuard } from '../auth/sealed-message.ts';
import { badJson, parseInput, readBytes } from './body.ts';
import { HttpProblem } from './errors.ts';
import type { GuardedRouter, KnownEndpoint } from './guarded-router.ts';
import type { AppContext } from './request.ts';

export interface SealedRequest {
  readonly ctx: AppContext;
  readonly device: RegisteredDevice;
  readonly session: SealedSession;
  readonly sequence: number;
  readonly body: Uint8Array;
  /** The body as JSON of this form. Throws HttpProblem 400. */
  readonly json: <T extends z.ZodType>(schema: T) => z.output<T>;
}

export type SealedAnswer =
  | { readonly json: unknown; readonly status?: number }
  | { readonly bytes: Uint8Array; readonly status?: number }
  /** Goes out as it is: the handler authenticates it by other means. */
  | { readonly plain: Uint8Array | Readable; readonly status?: number };

/** Answers an endpoint with sealed messages. What `handle` throws as HttpProblem is sealed, too; what comes before cannot be. */
export function sealedPost(
  router: GuardedRouter,
  guard: SealedGuard,
  endpoint: KnownEndpoint,
  handle: (request: SealedRequest) => Promise<SealedAnswer>,
  options: { readonly uncounted?: boolean } = {},
): void {
  const access = accessOf(endpoint);
  if (access.for !== 'sealed') throw new Error(`${endpoint.id} is no sealed route in the table`);
  const { maxBytes = MAX_BODY_BYTES } = endpoint.request ?? {};
  router.answer(endpoint, async (ctx) => {
    if (ctx.is(SEALED_TYPE) === false) {
      throw new HttpProblem(
        415,
        'UNSUPPORTED_MEDIA_TYPE',
        `expected a body of type ${SEALED_TYPE}`,
      );
    }
    const message = await readBytes(ctx, guard.clock, maxBytes);
    const received = await receiveMessage(ctx, guard, message, options);
    ctx.state.device = received.device;
    ctx.set('Cache-Control', 'no-store');
    let answer: SealedAnswer;
    try {
      await requireRole(ctx, guard.audit, access, received.device);
      answer = await handle({ ...received, ctx, json: (schema) => jsonOf(received.body, schema) });
    } catch (error) {
      if (!(error instanceof HttpProblem)) throw error;
      ctx.set(error.headers);
      answer = { status: error.status, json: { code: error.code, detail: error.message } };
    }
    send(ctx, received, answer);
  });
}

function send(ctx: AppContext, { session, sequence }: ReceivedMessage, answer: SealedAnswer): void {
  const { status = 200 } = answer;
  ctx.status = status;
  if ('plain' in answer) {
    ctx.type = 'application/octet-stream';
    ctx.body = asBody(answer.plain);
    return;
  }
  const body = 'json' in answer ? Buffer.from(JSON.stringify(answer.json)) : answer.bytes;
  const context = { from: 'server', path: ctx.path, sequence, status } as const;
  ctx.type = SEALED_TYPE;
  ctx.body = asBody(sealMessage(session, context, body));
}

function asBody(bytes: Uint8Array | Readable): Buffer | Readable {
  return bytes instanceof Uint8Array
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    : bytes;
}

function jsonOf<T extends z.ZodType>(body: Uint8Array, schema: T): z.output<T> {
  let value: unknown;
  try {
    value = parseJsonBytes(body);
  } catch (cause) {
    throw badJson('the body', cause);
  }
  return parseInput(schema, value);
}

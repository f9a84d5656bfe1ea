// Errors on the wire: problem details (RFC 9457) for programs, a page for browsers.

import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Middleware } from 'koa';
import type { ProblemCode } from '../../../src/contract/problem.ts';
import { describeError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/logger.ts';
import type { Pages } from '../../web/pages.ts';
import { drain } from './body.ts';
import { HttpProblem, ServerError } from './errors.ts';
import type { AppContext, RequestState } from './request.ts';

/** When a client may ask again. */
const BUSY_RETRY_S = 2;
const FULL_RETRY_S = 60;

/** True for a browser that navigates; programs (JSON, anything, no Accept at all) get JSON. */
export function prefersHtml(ctx: Pick<AppContext, 'accepts'>): boolean {
  return ctx.accepts('application/problem+json', 'application/json', 'text/html') === 'text/html';
}

/** The innermost error handling: nothing behind it reaches Koa's own. */
export function problems(logger: Logger, pages: Pages): Middleware<RequestState> {
  return async (ctx, next) => {
    try {
      requireReadableHead(ctx.req);
      await next();
      if (ctx.status === 404 && ctx.body === undefined) {
        throw new HttpProblem(404, 'NOT_FOUND', 'there is nothing under this address');
      }
    } catch (error) {
      answer(ctx as AppContext, asProblem(error, ctx.path, logger), pages);
    }
  };
}

/**
 * Throws HttpProblem 400 for a target that is neither a path nor an URL, which the paths of Koa cannot be read from, and
 * for a request without a host (RFC 9112, 3.2).
 */
function requireReadableHead(req: IncomingMessage): void {
  const target = req.url ?? '';
  if (!target.startsWith('/') && target !== '*' && !URL.canParse(target)) {
    req.url = '/';
    throw new HttpProblem(400, 'BAD_REQUEST', 'the target of the request is no path');
  }
  if (req.httpVersion === '1.1' && req.headers.host === undefined) {
    throw new HttpProblem(400, 'BAD_REQUEST', 'the field Host is missing');
  }
}

function asProblem(error: unknown, path: string, logger: Logger): HttpProblem {
  if (error instanceof HttpProblem) {
    if (error.status >= 500) {
      logger.error({ path, code: error.code, error: describeError(error) }, 'request failed');
    }
    return error;
  }
  if (error instanceof ServerError && error.code === 'DATABASE_BUSY') {
    logger.warn({ path, error: describeError(error) }, 'another program holds the database');
    return new HttpProblem(503, 'DATABASE_BUSY', 'the database is in use: try again', {
      headers: { 'Retry-After': String(BUSY_RETRY_S) },
    });
  }
  if (error instanceof ServerError && error.code === 'DATABASE_STORAGE') {
    logger.error({ path, error: describeError(error) }, 'the database cannot be stored');
    return new HttpProblem(507, 'INSUFFICIENT_STORAGE', error.message, {
      headers: { 'Retry-After': String(FULL_RETRY_S) },
    });
  }
  logger.error(
    { path, error: describeError(error), stack: (error as Error | undefined)?.stack },
    'request failed unexpectedly',
  );
  return new HttpProblem(
    500,
    'INTERNAL',
    'something went wrong here; the log of the server says what',
  );
}

function answer(ctx: AppContext, problem: HttpProblem, pages: Pages): void {
  drain(ctx.req);
  if (ctx.headerSent) {
    ctx.res.destroy(); // too late for an answer; a cut connection at least cannot pass for a whole one
    return;
  }
  for (const name of ['ETag', 'Accept-Ranges', 'Content-Range', 'Content-Disposition']) {
    ctx.remove(name);
  }
  ctx.status = problem.status;
  ctx.set('Cache-Control', 'no-store');
  for (const [name, value] of Object.entries(problem.headers)) ctx.set(name, value);
  const title = STATUS_CODES[problem.status] ?? 'Error';
  if (prefersHtml(ctx)) {
    ctx.type = 'text/html; charset=utf-8';
    ctx.body = pages.render('error', {
      title,
      person: ctx.state.person,
      base: ctx.state.base,
      status: problem.status,
      code: problem.code,
      detail: problem.message,
    });
    return;
  }
  ctx.body = problemBody(problem.status, problem.code, problem.message);
  ctx.type = 'application/problem+json';
}

/** RFC 9457. */
export function problemBody(status: number, code: ProblemCode, detail: string): string {
  const title = STATUS_CODES[status] ?? 'Error';
  return JSON.stringify({ type: 'about:blank', title, status, detail, code });
}

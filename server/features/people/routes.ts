// Log-in and log-out, for the form in a browser and for scripts with JSON.

import type Router from '@koa/router';
import { logIn, logInPage } from '../../../src/contract/endpoints/people/log-in.ts';
import { logOut } from '../../../src/contract/endpoints/people/log-out.ts';
import { showSession } from '../../../src/contract/endpoints/people/session.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { Random } from '../../../src/core/random.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { requireCsrf, requireSameOrigin } from '../../platform/auth/person-session.ts';
import { parseInput, readSmallBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { prefersHtml } from '../../platform/http/problems.ts';
import { type AppContext, type RequestState, requiredPerson } from '../../platform/http/request.ts';
import { type PageFrame, seeOther } from '../../platform/http/show-page.ts';
import type { AuditLog } from '../audit/store.ts';
import { rememberClient } from './known-client.ts';
import type { LogIn } from './log-in.ts';
import { endSession, startSession } from './people.ts';

export interface SessionRoutesParts {
  readonly guard: RouteGuard;
  readonly frame: PageFrame;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: AuditLog;
  readonly logIn: LogIn;
}

export function sessionRoutes(parts: SessionRoutesParts): Router<RequestState> {
  const { frame } = parts;
  const router = guardedRouter(parts.guard);

  router.answer(logInPage, (ctx) => {
    if (ctx.state.person !== undefined) {
      seeOther(ctx, '/');
      return;
    }
    loginPage(ctx, frame, { name: '', error: undefined });
  });

  router.answer(logIn, async (ctx) => {
    await requireSameOrigin(ctx, parts);
    const body = await readSmallBody(ctx, parts.clock);
    const { name, password } = parseInput(logIn.request.body, body.value);
    try {
      const user = await parts.logIn.check(ctx, name, password);
      const person = await startSession(ctx, { name: user.name, role: user.role });
      if (body.kind === 'form') rememberClient(ctx, parts.random, user);
      ctx.set('Cache-Control', 'no-store');
      if (body.kind === 'json') {
        ctx.body = { user: person.name, role: person.role, csrfToken: person.csrfToken };
      } else {
        seeOther(ctx, '/');
      }
    } catch (error) {
      if (!(error instanceof HttpProblem) || !prefersHtml(ctx)) throw error;
      ctx.status = error.status;
      ctx.set(error.headers);
      loginPage(ctx, frame, { name, error: error.message });
    }
  });

  router.answer(showSession, async (ctx) => {
    const person = requiredPerson(ctx);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { user: person.name, role: person.role, csrfToken: person.csrfToken };
  });

  router.answer(logOut, async (ctx) => {
    const person = requiredPerson(ctx);
    let token = ctx.get('X-CSRF-Token');
    if (token === '' && ctx.request.length !== undefined && ctx.request.length > 0) {
      const body = await readSmallBody(ctx, parts.clock);
      token = String((body.value as { _csrf?: unknown } | null)?._csrf ?? '');
    }
    await requireCsrf(ctx, parts, token);
    endSession(ctx);
    await parts.audit.record({
      action: 'logout',
      who: person.name,
      address: ctx.state.address,
    });
    if (prefersHtml(ctx)) {
      seeOther(ctx, '/login');
    } else {
      ctx.status = 204;
    }
  });

  return router;
}

function loginPage(
  ctx: AppContext,
  frame: PageFrame,
  data: { name: string; error: string | undefined },
): void {
  ctx.set('Cache-Control', 'no-store');
  ctx.type = 'text/html; charset=utf-8';
  ctx.body = frame.render('login', {
    title: 'Log in',
    person: undefined,
    base: ctx.state.base,
    ...data,
  });
}

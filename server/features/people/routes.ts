// Log-in and log-out, for the form in a browser and for scripts with JSON.

import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { logIn, logInPage } from '../../../src/contract/endpoints/people/log-in.ts';
import { logOut } from '../../../src/contract/endpoints/people/log-out.ts';
import { showSession } from '../../../src/contract/endpoints/people/session.ts';
import { parseInput, readSmallBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { prefersHtml } from '../../platform/http/problems.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import type { Services } from '../../platform/http/services.ts';
import { seeOther } from '../../platform/http/show-page.ts';
import { clientOf, rememberClient } from './known-client.ts';
import { endSession, requireCsrf, requireSameOrigin, startSession } from './people.ts';

export function sessionRoutes(
  services: Services,
  sessions: Middleware<RequestState>,
): Router<RequestState> {
  const router = guardedRouter(services, sessions);

  router.answer(logInPage, (ctx) => {
    if (ctx.state.person !== undefined) {
      seeOther(ctx, '/');
      return;
    }
    loginPage(ctx, services, { name: '', error: undefined });
  });

  router.answer(logIn, async (ctx) => {
    await requireSameOrigin(ctx, services);
    const body = await readSmallBody(ctx, services.clock);
    const { name, password } = parseInput(logIn.request.body, body.value);
    try {
      const user = await checkLogIn(ctx, services, name, password);
      const person = await startSession(ctx, { name: user.name, role: user.role });
      if (body.kind === 'form') rememberClient(ctx, services.random, user);
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
      loginPage(ctx, services, { name, error: error.message });
    }
  });

  router.answer(showSession, async (ctx) => {
    const person = ctx.state.person!;
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { user: person.name, role: person.role, csrfToken: person.csrfToken };
  });

  router.answer(logOut, async (ctx) => {
    const person = ctx.state.person!;
    let token = ctx.get('X-CSRF-Token');
    if (token === '' && ctx.request.length !== undefined && ctx.request.length > 0) {
      const body = await readSmallBody(ctx, services.clock);
      token = String((body.value as { _csrf?: unknown } | null)?._csrf ?? '');
    }
    await requireCsrf(ctx, services, token);
    endSession(ctx);
    await services.audit.record({
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

/** Throws HttpProblem 429, or 401 with one answer for a wrong name and a wrong password. */
async function checkLogIn(
  ctx: AppContext,
  services: Services,
  givenName: string,
  password: string,
) {
  const name = givenName.toLowerCase();
  const { address } = ctx.state;
  const user = await services.users.find(name);
  // An invented name is not written down: it may be a password in the wrong field, and each one would be a row.
  const refused =
    user === undefined
      ? { address, stranger: true, detail: 'no such name' }
      : { address, who: name };
  const login = { address, name, client: clientOf(ctx, user) };
  const throttled = await services.throttle.enter(login);
  if (throttled !== undefined) {
    const { asker, waitSeconds } = throttled;
    const nowMs = services.clock.nowMs();
    services.gate.counts.refused('login', asker, waitSeconds * 1000, nowMs);
    await services.audit.record({ action: 'login.throttled', ...refused });
    throw new HttpProblem(
      429,
      'LOGIN_THROTTLED',
      `too many tries: wait ${Math.ceil(waitSeconds / 60)} min and try again`,
      { headers: { 'Retry-After': String(waitSeconds) } },
    );
  }
  if (!(await services.passwords.verify(password, user?.passwordHash)) || user === undefined) {
    await services.audit.record({ action: 'login.failed', ...refused });
    throw new HttpProblem(401, 'LOGIN_FAILED', 'name or password is wrong');
  }
  await services.throttle.succeeded(login);
  await services.audit.record({ action: 'login.ok', who: name, address });
  return user;
}

function loginPage(
  ctx: AppContext,
  services: Services,
  data: { name: string; error: string | undefined },
): void {
  ctx.set('Cache-Control', 'no-store');
  ctx.type = 'text/html; charset=utf-8';
  ctx.body = services.pages.render('login', {
    title: 'Log in',
    person: undefined,
    base: ctx.state.base,
    ...data,
  });
}

// Who is logged in: sessions through koa-session.

import type Koa from 'koa';
import type { Middleware } from 'koa';
import createSession from 'koa-session';
import { toHex } from '../../../src/core/bytes.ts';
import type { Random } from '../../../src/core/random.ts';
import type { Person, Role } from '../../platform/auth/identity.ts';
import {
  csrfTokenOf,
  newCsrfSecret,
  type SessionContext,
} from '../../platform/auth/person-session.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import { SESSION_IDLE_MS, type SessionStore } from './session-store.ts';
import type { UserStore } from './store.ts';

export const SESSION_COOKIE = 'can-ota-session';

/** Loads the session and the person behind it. Only routes for people pass here: vehicles have no sessions. */
export function peopleSessions(
  app: Koa<RequestState>,
  { sessions, users }: { readonly sessions: SessionStore; readonly users: UserStore },
  random: Random,
): Middleware<RequestState> {
  const load = createSession(
    {
      key: SESSION_COOKIE,
      maxAge: SESSION_IDLE_MS,
      rolling: true,
      httpOnly: true,
      sameSite: 'strict',
      // The cookie is 256 random bits that are looked up; a signature would add nothing.
      signed: false,
      genid: () => toHex(random.bytes(32)),
      store: {
        get: (id) => sessions.get(id),
        set: (id, data, maxAge, how) => sessions.set(id, data, maxAge, how),
        destroy: (id) => sessions.destroy(id),
      },
    },
    app,
  );
  return (ctx, next) =>
    load(ctx, async () => {
      const { session } = ctx as unknown as SessionContext;
      if (session?.user !== undefined && session.csrfSecret !== undefined) {
        // The role comes from the table each time: what was taken away is gone at once.
        const user = await users.find(session.user);
        if (user !== undefined) {
          const csrfToken = csrfTokenOf(session.csrfSecret);
          ctx.state.person = { name: user.name, role: user.role, csrfToken };
        }
      }
      await next();
    });
}

/** Starts a session under a new identifier: an identifier that an attacker has planted is worth nothing. Returns the person. */
export async function startSession(
  ctx: AppContext,
  user: { readonly name: string; readonly role: Role },
): Promise<Person> {
  const { session } = ctx as SessionContext;
  if (session === null) throw new Error('the session middleware is missing on this route');
  session.user = user.name;
  session.csrfSecret = await newCsrfSecret();
  await session.regenerate();
  const person = { ...user, csrfToken: csrfTokenOf(session.csrfSecret) };
  ctx.state.person = person;
  return person;
}

export function endSession(ctx: AppContext): void {
  (ctx as SessionContext).session = null;
  delete ctx.state.person;
}

// Who is logged in: sessions through koa-session, roles, CSRF tokens, and where a form may come from.

import Tokens from 'csrf';
import type Koa from 'koa';
import type { Middleware } from 'koa';
import createSession from 'koa-session';
import { toHex } from '../../../src/core/bytes.ts';
import type { Random } from '../../../src/core/random.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { AppContext, Person, RequestState } from '../../platform/http/request.ts';
import type { Services } from '../../platform/http/services.ts';
import { SESSION_IDLE_MS, type SessionData } from './session-store.ts';
import type { Role } from './store.ts';

export const SESSION_COOKIE = 'can-ota-session';
const tokens = new Tokens();

interface SessionObject extends Partial<SessionData> {
  regenerate(): Promise<void>;
}

type SessionContext = AppContext & { session: SessionObject | null };

/** Loads the session and the person behind it. Only routes for people pass here: vehicles have no sessions. */
export function peopleSessions(
  app: Koa<RequestState>,
  services: Services,
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
        get: (id) => services.sessions.get(id),
        set: (id, data, maxAge, how) => services.sessions.set(id, data, maxAge, how),
        destroy: (id) => services.sessions.destroy(id),
      },
    },
    app,
  );
  return (ctx, next) =>
    load(ctx, async () => {
      const { session } = ctx as unknown as SessionContext;
      if (session?.user !== undefined && session.csrfSecret !== undefined) {
        // The role comes from the table each time: what was taken away is gone at once.
        const user = await services.users.find(session.user);
        if (user !== undefined) {
          const csrfToken = tokens.create(session.csrfSecret);
          ctx.state.person = { name: user.name, role: user.role, csrfToken };
        }
      }
      await next();
    });
}

/** Starts a session under a new identifier, so that nobody can have planted it. Returns the person. */
export async function startSession(
  ctx: AppContext,
  user: { readonly name: string; readonly role: Role },
): Promise<Person> {
  const { session } = ctx as SessionContext;
  if (session === null) throw new Error('the session middleware is missing on this route');
  session.user = user.name;
  session.csrfSecret = await tokens.secret();
  await session.regenerate();
  const person = { ...user, csrfToken: tokens.create(session.csrfSecret) };
  ctx.state.person = person;
  return person;
}

export function endSession(ctx: AppContext): void {
  (ctx as SessionContext).session = null;
  delete ctx.state.person;
}

/** Throws HttpProblem 401 when nobody is logged in, 403 when the role is not enough. */
export async function requirePerson(
  ctx: AppContext,
  services: Services,
  role: Role = 'viewer',
): Promise<Person> {
  const { person } = ctx.state;
  if (person === undefined) {
    await services.audit.record({
      action: 'refused.session',
      address: ctx.state.address,
      detail: `${ctx.method} ${ctx.path}`,
    });
    throw new HttpProblem(
      401,
      'LOGIN_REQUIRED',
      'log in first: POST /login with name and password',
    );
  }
  if (role === 'admin' && person.role !== 'admin') {
    await services.audit.record({
      action: 'refused.role',
      who: person.name,
      address: ctx.state.address,
      detail: `${ctx.method} ${ctx.path}`,
    });
    throw new HttpProblem(
      403,
      'ROLE',
      `this needs the role admin, and ${person.name} is ${person.role}`,
    );
  }
  return person;
}

/** True for a token of this session. */
export function csrfTokenIsValid(ctx: AppContext, token: string | undefined): boolean {
  const secret = (ctx as SessionContext).session?.csrfSecret;
  return secret !== undefined && token !== undefined && tokens.verify(secret, token);
}

/** Throws HttpProblem 403 unless `token` belongs to this session. */
export async function requireCsrf(
  ctx: AppContext,
  services: Services,
  token: string | undefined,
): Promise<void> {
  if (csrfTokenIsValid(ctx, token)) return;
  await services.audit.record({
    action: 'refused.csrf',
    who: ctx.state.person?.name ?? '',
    address: ctx.state.address,
    detail: `${ctx.method} ${ctx.path}`,
  });
  throw csrfProblem();
}

export function csrfProblem(): HttpProblem {
  return new HttpProblem(
    403,
    'CSRF',
    'the CSRF token is missing or not of this session: send it as X-CSRF-Token or as the field _csrf before the file (GET /session has it)',
  );
}

/**
 * For the log-in form, which has no session yet that could hold a token: a browser says where a form comes
 * from, and another site must not log anybody in. Programs say nothing and are no danger.
 */
export async function requireSameOrigin(ctx: AppContext, services: Services): Promise<void> {
  const site = ctx.get('Sec-Fetch-Site');
  const origin = ctx.get('Origin');
  const foreign =
    site !== ''
      ? site !== 'same-origin' && site !== 'none'
      : origin !== '' && hostOf(origin) !== ctx.state.host;
  if (!foreign) return;
  await services.audit.record({
    action: 'refused.csrf',
    address: ctx.state.address,
    detail: `${ctx.method} ${ctx.path} from ${origin}`,
  });
  throw new HttpProblem(403, 'FOREIGN_ORIGIN', 'this form was sent from another site');
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

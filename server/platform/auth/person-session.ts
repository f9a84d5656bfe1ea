// What a request of a person has to prove: a log-in, its role, and that a form comes from this server.

import Tokens from 'csrf';
import { HttpProblem } from '../http/errors.ts';
import type { AppContext } from '../http/request.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { Person, Role } from './identity.ts';

const tokens = new Tokens();

/** What the session middleware keeps of a person who is logged in. */
interface PersonSession {
  user?: string;
  csrfSecret?: string;
  regenerate(): Promise<void>;
}

export type SessionContext = AppContext & { session: PersonSession | null };

/** The secret of one session; its forms carry tokens that are made of it. */
export function newCsrfSecret(): Promise<string> {
  return tokens.secret();
}

export function csrfTokenOf(secret: string): string {
  return tokens.create(secret);
}

/** Throws HttpProblem 401 without a log-in, 403 when the role is not enough. */
export async function requirePerson(
  ctx: AppContext,
  { audit }: { readonly audit: AuditTrail },
  role: Role = 'viewer',
): Promise<Person> {
  const { person } = ctx.state;
  if (person === undefined) {
    await audit.record({
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
    await audit.record({
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

/** Throws HttpProblem 403 unless `token` belongs to this session. */
export async function requireCsrf(
  ctx: AppContext,
  { audit }: { readonly audit: AuditTrail },
  token: string | undefined,
): Promise<void> {
  const secret = (ctx as SessionContext).session?.csrfSecret;
  if (secret !== undefined && token !== undefined && tokens.verify(secret, token)) return;
  await audit.record({
    action: 'refused.csrf',
    who: ctx.state.person?.name ?? '',
    address: ctx.state.address,
    detail: `${ctx.method} ${ctx.path}`,
  });
  throw new HttpProblem(
    403,
    'CSRF',
    'the CSRF token is missing or not of this session: send it as X-CSRF-Token or as the field _csrf before the file (GET /session has it)',
  );
}

/**
 * For the log-in form, which has no session yet that could hold a token: a browser says where a form comes
 * from, and another site must not log a person in. Programs send neither field and are no danger.
 */
export async function requireSameOrigin(
  ctx: AppContext,
  { audit }: { readonly audit: AuditTrail },
): Promise<void> {
  const site = ctx.get('Sec-Fetch-Site');
  const origin = ctx.get('Origin');
  const foreign =
    site !== ''
      ? site !== 'same-origin' && site !== 'none'
      : origin !== '' && hostOf(origin) !== ctx.state.host;
  if (!foreign) return;
  await audit.record({
    action: 'refused.csrf',
    address: ctx.state.address,
    detail: `${ctx.method} ${ctx.path} from ${origin}`,
  });
  throw new HttpProblem(403, 'FOREIGN_ORIGIN', 'this form was sent from another site');
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

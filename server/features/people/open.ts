// Puts the parts of the people's feature together: log-in, sessions, and their routes.

import type Router from '@koa/router';
import type Koa from 'koa';
import type { Middleware } from 'koa';
import type { Clock } from '../../../src/core/clock.ts';
import type { Random } from '../../../src/core/random.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import type { Database } from '../../platform/db/database.ts';
import type { RequestState } from '../../platform/http/request.ts';
import type { PageFrame } from '../../platform/http/show-page.ts';
import type { AuditLog } from '../audit/store.ts';
import { LogIn } from './log-in.ts';
import { LoginThrottle } from './login-throttle.ts';
import type { Passwords } from './passwords.ts';
import { peopleSessions } from './people.ts';
import { sessionRoutes } from './routes.ts';
import { SessionStore } from './session-store.ts';
import { UserStore } from './store.ts';

export interface PeopleParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: AuditLog;
  readonly passwords: Passwords;
}

export interface People {
  /** Loads the log-in of a person. */
  readonly sessions: Middleware<RequestState>;
  routes(guard: RouteGuard, frame: PageFrame): Router<RequestState>;
}

export function openPeople(app: Koa<RequestState>, parts: PeopleParts): People {
  const { db, clock, random, audit, passwords } = parts;
  const users = new UserStore(db);
  const throttle = new LoginThrottle(random);
  return {
    sessions: peopleSessions(app, { sessions: new SessionStore(db), users }, random),
    routes: (guard, frame) => {
      const logIn = new LogIn({ users, passwords, throttle, gate: guard.gate, audit, clock });
      return sessionRoutes({ guard, frame, clock, random, audit, logIn });
    },
  };
}

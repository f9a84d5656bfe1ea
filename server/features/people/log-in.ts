// The log-in of a person: how often a client may try, and whether name and password are right.

import type { Clock } from '../../../src/core/clock.ts';
import type { CallerGate } from '../../platform/auth/callers.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { AppContext } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import { clientOf } from './known-client.ts';
import type { LoginThrottle } from './login-throttle.ts';
import type { Passwords } from './passwords.ts';
import type { UserWithHash } from './rows.ts';
import type { UserStore } from './store.ts';

export interface LogInParts {
  readonly users: UserStore;
  readonly passwords: Passwords;
  readonly throttle: LoginThrottle;
  readonly gate: CallerGate;
  readonly audit: AuditLog;
  readonly clock: Clock;
}

export class LogIn {
  readonly #parts: LogInParts;

  constructor(parts: LogInParts) {
    this.#parts = parts;
  }

  /** Throws HttpProblem 429, or 401 with one answer for a wrong name and a wrong password. */
  async check(ctx: AppContext, givenName: string, password: string): Promise<UserWithHash> {
    const { users, passwords, throttle, gate, audit, clock } = this.#parts;
    const name = givenName.toLowerCase();
    const { address } = ctx.state;
    const user = await users.find(name);
    // An invented name is not written down: it may be a password in the wrong field, and each one would be a row.
    const refused =
      user === undefined
        ? { address, stranger: true, detail: 'no such name' }
        : { address, who: name };
    const login = { address, name, client: clientOf(ctx, user) };
    const throttled = await throttle.enter(login);
    if (throttled !== undefined) {
      const { asker, waitSeconds } = throttled;
      gate.counts.refused('login', asker, waitSeconds * 1000, clock.nowMs());
      await audit.record({ action: 'login.throttled', ...refused });
      throw new HttpProblem(
        429,
        'LOGIN_THROTTLED',
        `too many tries: wait ${Math.ceil(waitSeconds / 60)} min and try again`,
        { headers: { 'Retry-After': String(waitSeconds) } },
      );
    }
    if (!(await passwords.verify(password, user?.passwordHash)) || user === undefined) {
      await audit.record({ action: 'login.failed', ...refused });
      throw new HttpProblem(401, 'LOGIN_FAILED', 'name or password is wrong');
    }
    await throttle.succeeded(login);
    await audit.record({ action: 'login.ok', who: name, address });
    return user;
  }
}

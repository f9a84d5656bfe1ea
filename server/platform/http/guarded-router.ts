// A router whose routes all stand behind the guard of the access table: there is no other way to add one.

import Router from '@koa/router';
import type { Middleware } from 'koa';
import { accessOf, guard } from '../auth/access.ts';
import type { RequestState } from './request.ts';
import type { Services } from './services.ts';

/** Routes for people need `sessions`. Adding a route without a row in the table throws Error. */
export function guardedRouter(
  services: Services,
  sessions?: Middleware<RequestState>,
): Router<RequestState> {
  const router = new Router<RequestState>();
  const register = router.register.bind(router);
  // What `get`, `post` and the others end in.
  router.register = (path, methods, middleware, options) => {
    if (methods.length === 0) return register(path, methods, middleware, options);
    if (typeof path !== 'string') throw new Error('a guarded route has one path, and it is text');
    const handlers = [middleware].flat();
    for (const method of methods) {
      const access = accessOf(method.toUpperCase(), path);
      const entry = guard(services, sessions, access) as (typeof handlers)[number];
      register(path, [method], [entry, ...handlers], options);
    }
    return router;
  };
  return router;
}

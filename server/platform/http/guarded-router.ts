// A router whose routes are endpoints of the contract and stand behind the guard of the access table. A route is added by `answer` only.

import Router from '@koa/router';
import type { Endpoint } from '../../../src/contract/endpoint.ts';
import type { EndpointId } from '../../../src/contract/endpoints/endpoints.ts';
import { accessOf, guard, type RouteGuard } from '../auth/access.ts';
import type { AppContext, RequestState } from './request.ts';

/** An endpoint that is in the list of the contract. */
export type KnownEndpoint = Endpoint & { readonly id: EndpointId };

export interface GuardedRouter extends Router<RequestState> {
  /** Answers an endpoint, behind its guard. Throws Error for a second answer to the same endpoint. */
  answer(endpoint: KnownEndpoint, handle: (ctx: AppContext) => Promise<void> | void): void;
  /** What it answers, in the order of their coming. */
  readonly endpoints: readonly KnownEndpoint[];
}

export function guardedRouter(routeGuard: RouteGuard): GuardedRouter {
  const router = new Router<RequestState>();
  const register = router.register.bind(router);
  const endpoints: KnownEndpoint[] = [];
  // What `get`, `post` and the others end in.
  router.register = (path) => {
    throw new Error(`${String(path)} is a route without an endpoint: add it with answer()`);
  };
  return Object.assign(router, {
    endpoints,
    answer: (endpoint: KnownEndpoint, handle: (ctx: AppContext) => Promise<void> | void): void => {
      if (endpoints.includes(endpoint)) throw new Error(`${endpoint.id} is answered twice`);
      endpoints.push(endpoint);
      const entry = guard(routeGuard, accessOf(endpoint));
      type Handler = Parameters<typeof register>[2];
      register(endpoint.path, [endpoint.method], [entry, handle] as unknown as Handler);
    },
  });
}

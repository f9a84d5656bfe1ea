// What a request carries through the middleware.

import type { RouterContext } from '@koa/router';
import type { Role } from '../../features/people/store.ts';
import type { ServiceToken } from '../../features/registry/service-token-store.ts';
import type { RegisteredDevice } from '../../features/registry/store.ts';

export interface Person {
  readonly name: string;
  readonly role: Role;
  /** A token for this session's forms. */
  readonly csrfToken: string;
}

export interface RequestState {
  /** Canonical address of the client, behind trusted proxies. */
  address: string;
  /** The client speaks TLS, to us or to a trusted proxy. */
  secure: boolean;
  /** A trusted proxy hands the request on: its header fields are believed. */
  viaProxy: boolean;
  /** Host and port that the client used. */
  host: string;
  /** Path below which the client knows us: empty, or like `/ota`. Stands in front of every address of a page. */
  base: string;
  /** Set behind the session middleware when somebody is logged in. */
  person?: Person;
  /** Set where a vehicle has proven which device it is. */
  device?: RegisteredDevice;
  /** Set where a tool has proven itself with a token. */
  token?: ServiceToken;
}

export type AppContext = RouterContext<RequestState>;

// What a request carries through the middleware.

import type { RouterContext } from '@koa/router';
import type { Person, RegisteredDevice, ServiceToken } from '../auth/identity.ts';

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
  /** Set behind the session middleware for a person who is logged in. */
  person?: Person;
  /** Set where a vehicle has proven which device it is. */
  device?: RegisteredDevice;
  /** Set where a tool has proven itself with a token. */
  token?: ServiceToken;
}

export type AppContext = RouterContext<RequestState>;

/** The person behind a request. Throws Error on a route that the access table does not give to people alone. */
export function requiredPerson({ state: { person } }: AppContext): Person {
  if (person === undefined) throw new Error('the guard let a request without a person through');
  return person;
}

/** The device behind a request. Throws Error on a route that the access table does not give to devices alone. */
export function requiredDevice({ state: { device } }: AppContext): RegisteredDevice {
  if (device === undefined) throw new Error('the guard let a request without a device through');
  return device;
}

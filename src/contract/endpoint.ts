// The form of an endpoint: method, path, request, response and problems. Servers and clients use the same object.

import type { z } from 'zod';
import type { ProblemCode } from './problem.ts';

/** The request of an endpoint. */
export interface EndpointRequest {
  /** The parameters of the path, which begin with a colon. */
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** Header fields that the endpoint uses, each with a description. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Schema of a JSON body. */
  readonly body?: z.ZodType;
  /** The fields of a form (`application/x-www-form-urlencoded`). */
  readonly form?: z.ZodType;
  /** The fields of a form with a file (`multipart/form-data`). */
  readonly multipart?: z.ZodType;
  /** Largest body in bytes. Missing: MAX_BODY_BYTES. */
  readonly maxBytes?: number;
}

/** The response of an endpoint to a request that it does not refuse. */
interface EndpointResponse {
  /** Each status with its meaning. */
  readonly statuses: Readonly<Record<number, string>>;
  /** Schema of a JSON answer. */
  readonly body?: z.ZodType;
  /** Media types of the body, the usual one first. Missing: `application/json` where there is a body. */
  readonly types?: readonly string[];
  /** Largest JSON answer in bytes that a client reads. Missing: MAX_ANSWER_BYTES. */
  readonly maxBytes?: number;
}

export interface Endpoint {
  /** Unique id, which is the `operationId` of OpenAPI. */
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path such as `/config/:vin`. */
  readonly path: `/${string}`;
  /** Description in one sentence. */
  readonly summary: string;
  /** True when request and response are sealed messages; the schemas describe their content. */
  readonly sealed?: true;
  readonly request?: EndpointRequest;
  readonly response: EndpointResponse;
  /** Stable codes of refusals, besides those of every endpoint (`COMMON_PROBLEMS`). */
  readonly problems: readonly ProblemCode[];
}

/** Largest body of a request in bytes where the endpoint does not name one. */
export const MAX_BODY_BYTES = 64 * 1024;
/** Largest JSON answer in bytes where the endpoint does not name one. */
export const MAX_ANSWER_BYTES = 1024 * 1024;

/** An endpoint with a JSON answer. */
export interface WithAnswer<T extends z.ZodType> extends Pick<Endpoint, 'path' | 'method'> {
  readonly response: EndpointResponse & { readonly body: T };
}

/** Keeps the types of an endpoint exact. */
export function endpoint<const E extends Endpoint>(description: E): E {
  return description;
}

/** Names of the parameters in a path: `'vin' | 'id'` of `/commands/:vin/:id`. */
type PathParams<Path extends string> = Path extends `${string}/:${infer Rest}`
  ? Rest extends `${infer Name}/${infer More}`
    ? Name | PathParams<`/${More}`>
    : Rest
  : never;

/** Arguments of `pathOf`; none for a path without parameters. */
type ParamsOf<Path extends string> = [PathParams<Path>] extends [never]
  ? []
  : [params: Readonly<Record<PathParams<Path>, string>>];

/** The path with its parameters filled in, percent-encoded: `/commands/VIN1/7`. */
export function pathOf<Path extends string>(
  { path }: { readonly path: Path },
  ...[params]: ParamsOf<Path>
): string {
  return path.replace(/:([A-Za-z]+)/g, (_, name: string) =>
    encodeURIComponent((params as Readonly<Record<string, string>>)[name] ?? ''),
  );
}

/** The address of an endpoint below `base`, which ends with a slash: a backend can have a path in its address. */
export function urlOf<Path extends string>(
  base: URL,
  to: { readonly path: Path },
  ...params: ParamsOf<Path>
): URL {
  return new URL(pathOf(to, ...params).slice(1), base);
}

/** Name of a route in messages and tables: `GET /config/:vin`. */
export function routeOf({ method, path }: Pick<Endpoint, 'method' | 'path'>): string {
  return `${method} ${path}`;
}

// The form of an endpoint: method, path, request, response and problems. Server, vehicles, devices and tools use the same object.

import type { z } from 'zod';
import type { ProblemCode } from './problem.ts';

/** What an endpoint takes. */
export interface EndpointRequest {
  /** The parts of the path that begin with a colon. */
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** Header fields with a meaning of their own, each with a sentence. */
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body?: z.ZodType;
  /** The fields of a form (`application/x-www-form-urlencoded`). */
  readonly form?: z.ZodType;
  /** The fields of a form with a file (`multipart/form-data`). */
  readonly multipart?: z.ZodType;
  /** Largest body in bytes. Missing: MAX_BODY_BYTES. */
  readonly maxBytes?: number;
}

/** What an endpoint answers when it does not refuse. */
interface EndpointResponse {
  /** Statuses with their meaning. */
  readonly statuses: Readonly<Record<number, string>>;
  /** Of a JSON answer. */
  readonly body?: z.ZodType;
  /** Media types of the body, the usual one first. Missing: `application/json` where there is a body. */
  readonly types?: readonly string[];
  /** Largest JSON answer in bytes that a client reads. Missing: MAX_ANSWER_BYTES. */
  readonly maxBytes?: number;
}

export interface Endpoint {
  /** Unique; the `operationId` of OpenAPI. */
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `/config/:vin` */
  readonly path: `/${string}`;
  /** One sentence. */
  readonly summary: string;
  /** Request and response travel in sealed messages; the schemas are those of the content. */
  readonly sealed?: true;
  readonly request?: EndpointRequest;
  readonly response: EndpointResponse;
  /** Stable codes with which it refuses, beside those of every endpoint (`COMMON_PROBLEMS`). */
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

/** No argument for a path without parameters. */
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

/** The address of an endpoint below `base`, which ends with a slash: a backend may stand below a path of its own. */
export function urlOf<Path extends string>(
  base: URL,
  to: { readonly path: Path },
  ...params: ParamsOf<Path>
): URL {
  return new URL(pathOf(to, ...params).slice(1), base);
}

/** `GET /config/:vin`, as messages and tables name a route. */
export function routeOf({ method, path }: Pick<Endpoint, 'method' | 'path'>): string {
  return `${method} ${path}`;
}

// GET /openapi.json: the endpoints that this server answers, in OpenAPI 3.1.

import { createHash } from 'node:crypto';
import { openApi } from '../../../src/contract/endpoints/operations/openapi.ts';
import { openApiOf, type Security } from '../../../src/contract/openapi.ts';
import { accessOf, type RouteGuard } from '../../platform/auth/access.ts';
import { matchesEtag } from '../../platform/http/byte-range.ts';
import {
  type GuardedRouter,
  guardedRouter,
  type KnownEndpoint,
} from '../../platform/http/guarded-router.ts';
import { SESSION_COOKIE } from '../people/people.ts';

const SECURITY_SCHEMES = {
  deviceSession: {
    type: 'http',
    scheme: 'bearer',
    description: 'The token of a device: POST /auth/challenge, then POST /auth/response.',
  },
  toolToken: {
    type: 'http',
    scheme: 'bearer',
    description: 'The token of a tool: can-ota server token NAME --role ROLE.',
  },
  personSession: {
    type: 'apiKey',
    in: 'cookie',
    name: SESSION_COOKIE,
    description: 'The cookie of POST /login; requests that change something need X-CSRF-Token too.',
  },
} as const;

/** `endpoints`: all that the server answers, read at the first request. */
export function openApiRoutes(
  guard: RouteGuard,
  version: string,
  endpoints: () => readonly KnownEndpoint[],
): GuardedRouter {
  const router = guardedRouter(guard);
  let printed: ReturnType<typeof openApiOf> | undefined;

  router.answer(openApi, (ctx) => {
    printed ??= openApiOf(endpoints(), {
      version,
      security: securityOf,
      securitySchemes: SECURITY_SCHEMES,
    });
    const { base } = ctx.state;
    const body = JSON.stringify(base === '' ? printed : { ...printed, servers: [{ url: base }] });
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
    ctx.set('ETag', etag);
    ctx.set('Cache-Control', 'private, no-cache');
    if (matchesEtag(ctx.headers['if-none-match'], etag)) {
      ctx.status = 304;
      return;
    }
    ctx.type = 'application/json';
    ctx.body = body;
  });

  return router;
}

/** Each entry is one way in. A sealed message proves by itself who sent it. */
function securityOf(endpoint: KnownEndpoint): Security {
  const access = accessOf(endpoint);
  switch (access.for) {
    case 'everybody':
    case 'sealed':
      return [];
    case 'device':
      return [{ deviceSession: [] }, ...(access.open === true ? [{}] : [])];
    case 'operators':
      return [
        ...(access.tokens === undefined ? [] : [{ toolToken: access.tokens }]),
        ...(access.person === undefined ? [] : [{ personSession: [access.person] }]),
      ];
    default:
      return access satisfies never;
  }
}

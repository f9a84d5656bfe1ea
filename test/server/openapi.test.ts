// GET /openapi.json, and the contract against the routes that a server mounts: neither has one that the other has not.

import type Router from '@koa/router';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RequestState } from '../../server/platform/http/request.ts';
import { routeOf } from '../../src/contract/endpoint.ts';
import { ENDPOINTS } from '../../src/contract/endpoints/endpoints.ts';
import { requireOpenApi } from '../contract/openapi-support.ts';
import { InjectedBackend } from './injected-support.ts';

let backend: InjectedBackend;

beforeAll(async () => {
  backend = await InjectedBackend.start();
});

function mounted(): string[] {
  const routers = backend.server.app.middleware.flatMap((each) =>
    'router' in each ? [each.router as Router<RequestState>] : [],
  );
  return [...new Set(routers)].flatMap(({ stack }) =>
    stack.flatMap(({ path, methods }) =>
      methods.filter((method) => method !== 'HEAD').map((method) => `${method} ${String(path)}`),
    ),
  );
}

describe('the routes of a server', () => {
  it('are the endpoints of the contract', () => {
    expect(mounted().toSorted()).toEqual(ENDPOINTS.map(routeOf).toSorted());
  });
});

describe('GET /openapi.json', () => {
  it('is a valid document with every route, for everybody', async () => {
    const reply = await backend.request('/openapi.json');
    expect(reply.status).toBe(200);
    expect(() => requireOpenApi(reply.json)).not.toThrow();
    const documented = Object.entries<object>(reply.json.paths).flatMap(([path, item]) =>
      Object.keys(item).map(
        (method) => `${method.toUpperCase()} ${path.replace(/\{([^}]+)\}/g, ':$1')}`,
      ),
    );
    expect(documented.toSorted()).toEqual(mounted().toSorted());
  });

  it('says who may use a route', async () => {
    const { paths } = (await backend.request('/openapi.json')).json;
    expect(paths['/provision'].post.security).toEqual([{ toolToken: ['factory'] }]);
    expect(paths['/latest_version'].get.security).toEqual([{ deviceSession: [] }, {}]);
    expect(paths['/healthz'].get.security).toEqual([]);
    expect(paths['/upload'].post.security).toEqual([
      { toolToken: ['release'] },
      { personSession: ['admin'] },
    ]);
  });

  it('has a tag, and 304 for it', async () => {
    const first = await backend.request('/openapi.json');
    const tag = String(first.headers.etag);
    const again = await backend.request('/openapi.json', { headers: { 'If-None-Match': tag } });
    expect(again.status).toBe(304);
    expect(again.body).toHaveLength(0);
  });
});

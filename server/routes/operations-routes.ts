// For operations and browsers: /healthz, /metrics and the files under /static.

import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { describeError } from '../../src/core/errors.ts';
import type { AppContext, RequestState, Services } from '../http/context.ts';
import { guardedRouter } from '../http/guarded-router.ts';
import { matchesEtag } from '../images/byte-range.ts';
import type { StaticFile } from '../web/assets.ts';
import { guardMetrics, METRICS_TYPE } from './guard-metrics.ts';

export function operationsRoutes(
  services: Services,
  files: ReadonlyMap<string, StaticFile>,
  sessions: Middleware<RequestState>,
): Router<RequestState> {
  const router = guardedRouter(services, sessions);
  const startedMs = services.clock.nowMs();

  router.get('/healthz', async (ctx) => {
    let database = 'ok';
    try {
      await services.db.ping();
    } catch (error) {
      services.logger.error({ error: describeError(error) }, 'the database does not answer');
      database = 'failed';
    }
    ctx.set('Cache-Control', 'no-store');
    ctx.status = database === 'ok' ? 200 : 503;
    ctx.body = {
      status: database,
      version: services.version,
      database,
      uptimeSeconds: Math.floor((services.clock.nowMs() - startedMs) / 1000),
    };
  });

  router.get('/metrics', async (ctx) => {
    const text = await guardMetrics(ctx as AppContext, services);
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Content-Type', METRICS_TYPE);
    ctx.body = text;
  });

  router.get('/static/:name', (ctx) => {
    const file = files.get(ctx.params.name ?? '');
    if (file === undefined) return;
    const etag = `"${file.hash}"`;
    ctx.set('ETag', etag);
    const pinned = ctx.query.v === file.hash;
    ctx.set('Cache-Control', pinned ? 'private, max-age=31536000, immutable' : 'private, no-cache');
    if (matchesEtag(ctx.headers['if-none-match'], etag)) {
      ctx.status = 304;
      return;
    }
    ctx.type = file.type;
    ctx.body = file.bytes;
  });

  return router;
}

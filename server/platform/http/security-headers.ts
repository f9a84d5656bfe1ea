// What browsers are told about every answer.

import type Koa from 'koa';
import helmet from 'koa-helmet';
import type { RequestState } from './request.ts';

/** HSTS behind TLS, our own or that of a trusted proxy; over plain HTTP browsers must ignore it. */
export function securityHeaders(): Koa.Middleware<RequestState> {
  const [plain, secure] = [headers(false), headers(true)];
  return (ctx, next) => (ctx.state.secure ? secure : plain)(ctx, next);
}

function headers(https: boolean): Koa.Middleware<RequestState> {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    referrerPolicy: { policy: 'same-origin' },
    xFrameOptions: { action: 'deny' },
    // Names below this host are not ours to speak for.
    strictTransportSecurity: https ? { includeSubDomains: false } : false,
    // Over plain HTTP browsers ignore these two and say so in the console.
    crossOriginOpenerPolicy: https,
    originAgentCluster: https,
  });
}

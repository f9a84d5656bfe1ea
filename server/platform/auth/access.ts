// Who may use which route: one table for all of them, and the guard that stands in front of each.

import type { Middleware } from 'koa';
import { requirePerson } from '../../features/people/people.ts';
import type { Role } from '../../features/people/store.ts';
import type { TokenRole } from '../../features/registry/service-token-store.ts';
import type { RegisteredDevice } from '../../features/registry/store.ts';
import { HttpProblem } from '../http/errors.ts';
import { prefersHtml } from '../http/problems.ts';
import type { AppContext, RequestState } from '../http/request.ts';
import type { Services } from '../http/services.ts';
import { bearerOf } from './callers.ts';

export type Access =
  /**
   * Everybody. `counted`: `log-in` costs the address one of its log-ins; with `identified` a device or tool that names
   * itself is counted as such, and a wrong name is refused. `session`: the log-in of a person is loaded where there is one.
   */
  | {
      readonly for: 'everybody';
      readonly counted?: 'log-in' | 'identified';
      readonly session?: true;
    }
  /**
   * A device with a session. `primary`: only the Primary of a vehicle, which alone speaks for it. `open`: also without
   * log-in as long as vehicles need none (`--devices auto`, and no device is registered).
   */
  | { readonly for: 'device'; readonly primary?: true; readonly open?: true }
  /** A device whose message proves who sent it: `sealedPost` opens the body and asks for the same role. */
  | { readonly for: 'sealed'; readonly primary?: true }
  /**
   * Tools with a token of one of these roles, and people with at least this role. `page`: a browser without a log-in
   * is led to the log-in page.
   */
  | {
      readonly for: 'operators';
      readonly person?: Role;
      readonly tokens?: readonly TokenRole[];
      readonly page?: true;
    };

const anyDevice: Access = { for: 'device' };
const vehicle: Access = { for: 'device', open: true };
const speaker: Access = { for: 'device', primary: true, open: true };
const sealed: Access = { for: 'sealed' };
const sealedSpeaker: Access = { for: 'sealed', primary: true };
const factory: Access = { for: 'operators', tokens: ['factory'] };
const reader: Access = { for: 'operators', person: 'viewer', tokens: ['operator'] };
const changer: Access = { for: 'operators', person: 'admin', tokens: ['operator'] };
const publisher: Access = { for: 'operators', person: 'admin', tokens: ['release'] };
const page: Access = { for: 'operators', person: 'viewer', page: true };

/** The key is method and path. A route without a row stops the server at its start. */
export const ACCESS: Readonly<Record<string, Access>> = {
  'GET /healthz': { for: 'everybody' },
  // Names of callers are for operators: the route asks for a token or a log-in before it tells them.
  'GET /metrics': { for: 'everybody', session: true },
  'GET /static/:name': { for: 'everybody' },

  'POST /auth/challenge': { for: 'everybody', counted: 'log-in' },
  // The first answer to a challenge was paid for with the challenge; the route counts all others.
  'POST /auth/response': { for: 'everybody' },
  'POST /auth/rotate': sealed,

  'GET /latest_version': vehicle,
  'GET /get_nonce': vehicle,
  'POST /get_nonce': vehicle,
  'GET /ota_download/:file': vehicle,
  'POST /report_versions': speaker,
  'POST /vehicle/campaign': speaker,
  'POST /vehicle/checkin': { for: 'device', primary: true },
  'POST /vehicle/time': anyDevice,
  'POST /vehicle/sync': sealedSpeaker,
  'POST /telemetry': sealedSpeaker,
  'GET /director/:vin/metadata/:file': anyDevice,
  // Roots alone: the other files of a Director belong to one vehicle.
  'GET /director/metadata/:file': { for: 'everybody', counted: 'identified' },
  'GET /metadata/:file': { for: 'everybody', counted: 'identified' },
  'GET /targets/:file': { for: 'everybody', counted: 'identified' },

  'POST /ota/check': sealed,
  'POST /ota/chunk': sealed,
  'POST /ota/verify': sealed,
  'POST /ota/complete': sealed,
  'POST /ota/status': sealed,

  'POST /provision': factory,
  'POST /provision/activate': factory,

  'POST /ota/packages': { for: 'operators', tokens: ['release'] },
  'POST /ota/packages/withdraw': publisher,
  'GET /ota/packages': { for: 'operators', person: 'viewer', tokens: ['operator', 'release'] },
  'GET /ota/transfers': { for: 'operators', person: 'viewer', tokens: ['operator', 'release'] },
  'POST /upload': publisher,
  'GET /upload/:file': { for: 'operators', person: 'admin' },
  'POST /metadata/:role': publisher,
  'POST /director/metadata/root': publisher,

  'GET /vehicles/:vin/campaign': {
    for: 'operators',
    person: 'viewer',
    tokens: ['operator', 'release'],
  },
  'GET /vehicles/:vin/checkin': reader,
  'POST /vehicles/:vin/cancel': {
    for: 'operators',
    person: 'admin',
    tokens: ['operator', 'release'],
  },
  'POST /vehicles/:vin/ask-again': {
    for: 'operators',
    person: 'admin',
    tokens: ['operator', 'release'],
  },
  'GET /config/schema': reader,
  'GET /config/:vin': reader,
  'PUT /config/:vin': changer,
  'POST /config/:vin': changer,
  'GET /commands/:vin': reader,
  'GET /commands/:vin/catalogue': reader,
  'GET /commands/:vin/:id': reader,
  'POST /commands/:vin': changer,
  'DELETE /commands/:vin/:id': changer,
  'POST /commands/:vin/:id/cancel': changer,
  'GET /telemetry/:vin': reader,

  'GET /login': { for: 'everybody', session: true },
  'POST /login': { for: 'everybody', session: true },
  'GET /session': { for: 'operators', person: 'viewer' },
  'POST /logout': { for: 'operators', person: 'viewer' },
  'GET /': page,
  'GET /vehicles': page,
  'GET /devices': page,
  'GET /audit': page,
};

/** Throws Error for a route that has no row. */
export function accessOf(method: string, path: string): Access {
  const route = `${method} ${path}`;
  const access = Object.hasOwn(ACCESS, route) ? ACCESS[route] : undefined;
  if (access === undefined)
    throw new Error(`${route} has no row in server/platform/auth/access.ts`);
  return access;
}

/**
 * Lets a request through with `person`, `token` or `device` in its state. Throws HttpProblem 401, 403 and 429. Routes
 * for people need `sessions`, which loads their log-in.
 */
export function guard(
  services: Services,
  sessions: Middleware<RequestState> | undefined,
  access: Access,
): Middleware<RequestState> {
  switch (access.for) {
    case 'everybody': {
      if (access.session === true) return withSessions(sessions);
      const { counted } = access;
      if (counted === undefined) return (_ctx, next) => next();
      return async (ctx, next) => {
        const context = ctx as AppContext;
        if (counted === 'log-in') await services.gate.anonymous(context, services, counted);
        else note(context, await services.gate.identify(context, services));
        await next();
      };
    }
    case 'device':
      return async (ctx, next) => {
        const context = ctx as AppContext;
        const { gate } = services;
        const device = await (access.open === true ? gate.vehicle : gate.device).call(
          gate,
          context,
          services,
        );
        if (device !== undefined) await requireRole(context, services, access, device);
        await next();
      };
    case 'sealed':
      return (_ctx, next) => next();
    case 'operators': {
      const load = access.person === undefined ? undefined : withSessions(sessions);
      return async (ctx, next) => {
        const context = ctx as AppContext;
        ctx.set('Cache-Control', 'no-store');
        const [role, ...others] = access.tokens ?? [];
        if (role !== undefined && (load === undefined || bearerOf(context) !== undefined)) {
          context.state.token = await services.gate.service(context, services, role, ...others);
          return next();
        }
        return load!(ctx, async () => {
          if (access.page === true && context.state.person === undefined && prefersHtml(context)) {
            ctx.redirect(`${context.state.base}/login`);
            ctx.status = 303;
            return;
          }
          await requirePerson(context, services, access.person);
          await next();
        });
      };
    }
    default:
      return access satisfies never;
  }
}

/** Throws HttpProblem 403 where only a Primary may ask and `device` is none. */
export async function requireRole(
  ctx: AppContext,
  services: Services,
  access: Access,
  device: RegisteredDevice,
): Promise<void> {
  if (!('primary' in access) || device.primary) return;
  await services.audit.record({
    action: 'refused.device',
    who: device.serial,
    address: ctx.state.address,
    detail: `no Primary: ${ctx.method} ${ctx.path}`.slice(0, 80),
  });
  throw new HttpProblem(
    403,
    'FOREIGN_VEHICLE',
    `${device.serial} is no Primary: only the Primary of a vehicle speaks for it`,
  );
}

/** A device with a session speaks for its own vehicle and for no other. Throws HttpProblem 403. */
export function requireOwnVehicle(ctx: AppContext, vin: string): void {
  const { device } = ctx.state;
  // Without a log-in there is no device to compare with.
  if (device === undefined || device.vin === vin) return;
  throw new HttpProblem(
    403,
    'FOREIGN_VEHICLE',
    `${device.serial} belongs to ${device.vin ?? 'no vehicle'}, not to ${vin}`,
  );
}

/** The name of the tool or person behind a request that the guard let through. */
export function nameOf(ctx: AppContext): string {
  return ctx.state.token?.name ?? ctx.state.person?.name ?? '';
}

function note(ctx: AppContext, caller: Awaited<ReturnType<Services['gate']['identify']>>): void {
  if (caller.kind === 'device') ctx.state.device = caller.device;
  if (caller.kind === 'service') ctx.state.token = caller.token;
}

function withSessions(sessions: Middleware<RequestState> | undefined): Middleware<RequestState> {
  if (sessions === undefined) throw new Error('a route for people needs the session middleware');
  return sessions;
}

// Who may use which route: one table for all of them, and the guard that stands in front of each.

import type { Middleware } from 'koa';
import type { EndpointId } from '../../../src/contract/endpoints/endpoints.ts';
import { HttpProblem } from '../http/errors.ts';
import { prefersHtml } from '../http/problems.ts';
import type { AppContext, RequestState } from '../http/request.ts';
import type { AuditTrail } from './audit-trail.ts';
import { bearerOf, type Caller, type CallerGate } from './callers.ts';
import type { RegisteredDevice, Role, TokenRole } from './identity.ts';
import { requirePerson } from './person-session.ts';

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

/** The key is the id of the endpoint. */
const ACCESS: Readonly<Record<EndpointId, Access>> = {
  health: { for: 'everybody' },
  openApi: { for: 'everybody' },
  // Names of callers are for operators: the route asks for a token or a log-in before it tells them.
  metrics: { for: 'everybody', session: true },
  staticFile: { for: 'everybody' },

  challenge: { for: 'everybody', counted: 'log-in' },
  // The first answer to a challenge was paid for with the challenge; the route counts all others.
  answerChallenge: { for: 'everybody' },
  rotateKey: sealed,

  latestVersion: vehicle,
  getNonce: vehicle,
  postNonce: vehicle,
  otaDownload: vehicle,
  reportVersions: speaker,
  campaignStatus: speaker,
  checkin: { for: 'device', primary: true },
  vehicleTime: anyDevice,
  vehicleSync: sealedSpeaker,
  telemetryUpload: sealedSpeaker,
  vehicleMetadata: anyDevice,
  // Roots alone: the other files of a Director belong to one vehicle.
  directorRoot: { for: 'everybody', counted: 'identified' },
  imageMetadata: { for: 'everybody', counted: 'identified' },
  target: { for: 'everybody', counted: 'identified' },

  otaCheck: sealed,
  otaChunk: sealed,
  otaVerify: sealed,
  otaComplete: sealed,
  otaStatus: sealed,

  provision: factory,
  activateDevice: factory,

  addPackage: { for: 'operators', tokens: ['release'] },
  withdrawPackage: publisher,
  listPackages: { for: 'operators', person: 'viewer', tokens: ['operator', 'release'] },
  listTransfers: { for: 'operators', person: 'viewer', tokens: ['operator', 'release'] },
  uploadImage: publisher,
  uploadedImage: { for: 'operators', person: 'admin' },
  uploadMetadata: publisher,
  uploadDirectorRoot: publisher,

  showCampaign: {
    for: 'operators',
    person: 'viewer',
    tokens: ['operator', 'release'],
  },
  vehicleCheckin: reader,
  cancelCampaign: {
    for: 'operators',
    person: 'admin',
    tokens: ['operator', 'release'],
  },
  askAgain: {
    for: 'operators',
    person: 'admin',
    tokens: ['operator', 'release'],
  },
  describeConfiguration: reader,
  showConfiguration: reader,
  changeConfiguration: changer,
  submitConfiguration: changer,
  listCommands: reader,
  showCatalogue: reader,
  showCommand: reader,
  orderCommand: changer,
  cancelCommand: changer,
  submitCancel: changer,
  listSamples: reader,

  logInPage: { for: 'everybody', session: true },
  logIn: { for: 'everybody', session: true },
  showSession: { for: 'operators', person: 'viewer' },
  logOut: { for: 'operators', person: 'viewer' },
  homePage: page,
  vehiclesPage: page,
  devicesPage: page,
  auditPage: page,
};

export function accessOf({ id }: { readonly id: EndpointId }): Access {
  return ACCESS[id];
}

/** What stands in front of every route. */
export interface RouteGuard {
  readonly gate: CallerGate;
  readonly audit: AuditTrail;
  /** Loads the log-in of a person. */
  readonly sessions: Middleware<RequestState>;
}

/** Lets a request through with `person`, `token` or `device` in its state. Throws HttpProblem 401, 403 and 429. */
export function guard(
  { gate, audit, sessions }: RouteGuard,
  access: Access,
): Middleware<RequestState> {
  switch (access.for) {
    case 'everybody': {
      if (access.session === true) return sessions;
      const { counted } = access;
      if (counted === undefined) return (_ctx, next) => next();
      return async (ctx, next) => {
        const context = ctx as AppContext;
        if (counted === 'log-in') await gate.anonymous(context, counted);
        else note(context, await gate.identify(context));
        await next();
      };
    }
    case 'device':
      return async (ctx, next) => {
        const context = ctx as AppContext;
        const device = await (access.open === true ? gate.vehicle(context) : gate.device(context));
        if (device !== undefined) await requireRole(context, audit, access, device);
        await next();
      };
    case 'sealed':
      return (_ctx, next) => next();
    case 'operators': {
      return async (ctx, next) => {
        const context = ctx as AppContext;
        ctx.set('Cache-Control', 'no-store');
        const [role, ...others] = access.tokens ?? [];
        const isTool = access.person === undefined || bearerOf(context) !== undefined;
        if (role !== undefined && isTool) {
          context.state.token = await gate.service(context, role, ...others);
          return next();
        }
        return sessions(ctx, async () => {
          if (access.page === true && context.state.person === undefined && prefersHtml(context)) {
            ctx.redirect(`${context.state.base}/login`);
            ctx.status = 303;
            return;
          }
          await requirePerson(context, { audit }, access.person);
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
  audit: AuditTrail,
  access: Access,
  device: RegisteredDevice,
): Promise<void> {
  if (!('primary' in access) || device.primary) return;
  await audit.record({
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

function note(ctx: AppContext, caller: Caller): void {
  if (caller.kind === 'device') ctx.state.device = caller.device;
  if (caller.kind === 'service') ctx.state.token = caller.token;
}

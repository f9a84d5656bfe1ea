// Which program is asking: a device with a session, a tool with a token, or nobody known; and how often each may.

import type { Random } from '../../src/core/random.ts';
import type { Device } from '../db/devices.ts';
import type { ServiceToken, TokenRole } from '../db/service-tokens.ts';
import { HttpProblem } from '../errors.ts';
import type { AppContext, Services } from '../http/context.ts';
import { networkOf } from './addresses.ts';
import { AddressBuckets, type BucketLimit, IdentityBuckets, SharedBucket } from './token-bucket.ts';

export interface RateLimits {
  /** Each device with a session, and each token. */
  readonly identity: BucketLimit;
  /** Each address (IPv6: each /64) of those who prove nothing. A whole fleet may sit behind one. */
  readonly address: BucketLimit;
  /** All of those together. */
  readonly anonymous: BucketLimit;
}

export const DEFAULT_RATE_LIMITS: RateLimits = {
  identity: { burst: 300, perSecond: 5 },
  address: { burst: 3000, perSecond: 100 },
  anonymous: { burst: 10_000, perSecond: 2000 },
};

/** Whether vehicles have to log in: `auto` from the first registered device on. */
export type DevicePolicy = 'auto' | 'required';

export type Caller =
  | { readonly kind: 'device'; readonly device: Device }
  | { readonly kind: 'service'; readonly token: ServiceToken }
  | { readonly kind: 'anonymous' };

export class CallerGate {
  readonly #identities: IdentityBuckets;
  readonly #addresses: AddressBuckets;
  readonly #anonymous: SharedBucket;
  readonly #policy: DevicePolicy;

  constructor(
    random: Random,
    options: { limits?: Partial<RateLimits>; policy?: DevicePolicy | undefined } = {},
  ) {
    const limits = { ...DEFAULT_RATE_LIMITS, ...options.limits };
    this.#identities = new IdentityBuckets(limits.identity);
    this.#addresses = new AddressBuckets(limits.address, random);
    this.#anonymous = new SharedBucket(limits.anonymous);
    this.#policy = options.policy ?? 'auto';
  }

  /**
   * Who asks, after the request was counted where it belongs: what an identity has asked for costs nobody else, and
   * what nobody answers for costs no identity. Throws HttpProblem 429, or 401 for a token that is not valid (any more).
   */
  async identify(
    ctx: AppContext,
    services: Services,
    expected: 'device' | TokenRole = 'device',
  ): Promise<Caller> {
    const nowMs = services.clock.nowMs();
    const bearer = bearerOf(ctx);
    const serial = bearer === undefined ? undefined : services.deviceSessions.serialOf(bearer);
    if (serial !== undefined) {
      await this.#count(ctx, services, serial, this.#identities.take(serial, nowMs));
      const device = await services.devices.bySerial(serial);
      if (device?.status === 'active') return { kind: 'device', device };
      services.deviceSessions.end(serial);
      throw await refusedDevice(ctx, services, serial);
    }
    await this.anonymous(ctx, services);
    if (bearer === undefined) return { kind: 'anonymous' };
    const token = await services.serviceTokens.find(bearer);
    if (token === undefined) {
      throw expected === 'device'
        ? await refusedDevice(ctx, services, '')
        : await refusedToken(ctx, services, expected);
    }
    this.#addresses.giveBack(networkOf(ctx.state.address), nowMs);
    const identity = `token ${token.name}`;
    await this.#count(ctx, services, identity, this.#identities.take(identity, nowMs));
    return { kind: 'service', token };
  }

  /** Counts a request of a device that has proven itself by the request. Throws HttpProblem 429. */
  async known(ctx: AppContext, services: Services, serial: string): Promise<void> {
    const waitMs = this.#identities.take(serial, services.clock.nowMs());
    await this.#count(ctx, services, serial, waitMs);
  }

  /** Counts a request for which nobody answers. Throws HttpProblem 429. */
  async anonymous(ctx: AppContext, services: Services): Promise<void> {
    const nowMs = services.clock.nowMs();
    const network = networkOf(ctx.state.address);
    // In this order: one address that asks too often leaves the tokens of all others alone.
    const waitMs = this.#addresses.take(network, nowMs) ?? this.#anonymous.take(nowMs);
    await this.#count(ctx, services, '', waitMs);
  }

  /**
   * The device on a vehicle path; undefined where vehicles need not log in and this one has not. Throws HttpProblem
   * 401 and 429.
   */
  async vehicle(ctx: AppContext, services: Services): Promise<Device | undefined> {
    const caller = await this.identify(ctx, services);
    if (caller.kind === 'device') {
      ctx.state.device = caller.device;
      return caller.device;
    }
    const open = this.#policy === 'auto' && !(await services.devices.holdsDevices());
    if (caller.kind === 'anonymous' && open) return undefined;
    throw await refusedDevice(ctx, services, '');
  }

  /** The device, where nothing works without one. */
  async device(ctx: AppContext, services: Services): Promise<Device> {
    const device = await this.vehicle(ctx, services);
    if (device === undefined) throw await refusedDevice(ctx, services, '');
    return device;
  }

  /**
   * A tool with a token of this role, or of one of `others`. Throws HttpProblem 401, 403 for a token of another role,
   * and 429.
   */
  async service(
    ctx: AppContext,
    services: Services,
    role: TokenRole,
    ...others: readonly TokenRole[]
  ): Promise<ServiceToken> {
    const caller = await this.identify(ctx, services, role);
    if (caller.kind === 'service' && [role, ...others].includes(caller.token.role)) {
      return caller.token;
    }
    const name = caller.kind === 'service' ? caller.token.name : undefined;
    throw await refusedToken(ctx, services, role, name);
  }

  async #count(
    ctx: AppContext,
    services: Services,
    who: string,
    waitMs: number | undefined,
  ): Promise<void> {
    if (waitMs === undefined) return;
    const seconds = Math.max(1, Math.ceil(waitMs / 1000));
    const address = networkOf(ctx.state.address);
    await services.audit.record({ action: 'refused.rate', who, address });
    throw new HttpProblem(429, 'RATE_LIMITED', `too many requests: wait ${seconds} s`, {
      headers: { 'Retry-After': String(seconds) },
    });
  }
}

const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="can-ota"' };

/** The token, empty for one that cannot be any. Other schemes are a proxy's own business: undefined. */
export function bearerOf(ctx: AppContext): string | undefined {
  const [, token] = /^Bearer(?: +|$)(.*)$/i.exec(ctx.get('Authorization')) ?? [];
  return token;
}

/** Unknown, revoked, factory-only, expired, missing: one answer, so that nobody learns which serials exist. */
async function refusedDevice(
  ctx: AppContext,
  services: Services,
  serial: string,
): Promise<HttpProblem> {
  await services.audit.record({
    action: 'refused.device',
    who: serial,
    address: ctx.state.address,
    detail: `${ctx.method} ${ctx.path}`.slice(0, 80),
  });
  return deviceProblem();
}

/** `name`: of a token that is valid, and of another role. */
async function refusedToken(
  ctx: AppContext,
  services: Services,
  role: TokenRole,
  name?: string,
): Promise<HttpProblem> {
  await services.audit.record({
    action: 'refused.token',
    who: name ?? '',
    address: ctx.state.address,
    detail: `${ctx.method} ${ctx.path}`.slice(0, 80),
  });
  const known = name !== undefined;
  return new HttpProblem(
    known ? 403 : 401,
    known ? 'ROLE' : 'TOKEN_REQUIRED',
    `this needs Authorization: Bearer with a token of the role ${role}: can-ota server token NAME --role ${role}`,
    { headers: known ? {} : CHALLENGE },
  );
}

export function deviceProblem(): HttpProblem {
  return new HttpProblem(
    401,
    'DEVICE_REFUSED',
    'this needs the session of an active device: POST /auth/challenge, then POST /auth/response, then Authorization: Bearer',
    { headers: CHALLENGE },
  );
}

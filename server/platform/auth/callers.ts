// Which program is asking: a device with a session, a tool with a token, or an unknown one; and how often each may.

import type { Random } from '../../../src/core/random.ts';
import { HttpProblem } from '../http/errors.ts';
import type { AppContext } from '../http/request.ts';
import { networkOf } from './addresses.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { CallerSources } from './caller-sources.ts';
import type { ClientCertificates } from './client-certificates.ts';
import { type Guard, GuardCounts } from './guard-counts.ts';
import type { RegisteredDevice, ServiceToken, TokenRole } from './identity.ts';
import {
  AddressBuckets,
  type BucketLimit,
  ByteBuckets,
  IdentityBuckets,
  type Purpose,
  SharedBucket,
} from './token-bucket.ts';

export interface RateLimits {
  /** Each device with a session, and each token. */
  readonly identity: BucketLimit;
  /**
   * Each address (IPv6: each /64) of callers without an identity. A whole fleet may stand behind one. Half of the burst
   * is for log-ins.
   */
  readonly address: BucketLimit;
  /** All of those together. */
  readonly anonymous: BucketLimit;
  /** Bytes of the chunked downloads of each device, in place of `identity`. */
  readonly transfer: BucketLimit;
  /** What an address without an identity has the server write down, where vehicles need no log-in. */
  readonly stranger: BucketLimit;
}

const DEFAULT_RATE_LIMITS: RateLimits = {
  identity: { burst: 300, perSecond: 5 },
  address: { burst: 3000, perSecond: 100 },
  anonymous: { burst: 10_000, perSecond: 2000 },
  transfer: { burst: 32 * 1024 * 1024, perSecond: 4 * 1024 * 1024 },
  stranger: { burst: 600, perSecond: 1 },
};

/** Whether vehicles have to log in: `auto` from the first registered device on. */
export type DevicePolicy = 'auto' | 'required';

export type Caller =
  | { readonly kind: 'device'; readonly device: RegisteredDevice }
  | { readonly kind: 'service'; readonly token: ServiceToken }
  | { readonly kind: 'anonymous' };

export class CallerGate {
  readonly #sources: CallerSources;
  /** What it refused. */
  readonly counts = new GuardCounts();
  /** The limit for the chunked downloads of each device, which the devices are told. */
  readonly transferLimit: BucketLimit;
  readonly #transfers: ByteBuckets;
  readonly #identities: IdentityBuckets;
  readonly #addresses: AddressBuckets;
  readonly #anonymous: SharedBucket;
  readonly #strangers: AddressBuckets;
  readonly #policy: DevicePolicy;
  readonly #certificates: ClientCertificates | undefined;

  constructor(
    sources: CallerSources,
    random: Random,
    options: {
      limits?: Partial<RateLimits> | undefined;
      policy?: DevicePolicy | undefined;
      /** Given: each device shows its certificate, too. */
      certificates?: ClientCertificates | undefined;
    } = {},
  ) {
    this.#sources = sources;
    const limits = { ...DEFAULT_RATE_LIMITS, ...options.limits };
    this.#identities = new IdentityBuckets(limits.identity);
    this.#addresses = new AddressBuckets(limits.address, random);
    this.#anonymous = new SharedBucket(limits.anonymous);
    this.#strangers = this.#addresses.beside(limits.stranger);
    this.transferLimit = limits.transfer;
    this.#transfers = new ByteBuckets(limits.transfer);
    this.#policy = options.policy ?? 'auto';
    this.#certificates = options.certificates;
  }

  /**
   * Who asks, after the request was counted where it belongs: a request of an identity costs no other caller, and a
   * request without an identity costs no identity. Throws HttpProblem 429, or 401 for a token that is not valid (any more).
   */
  async identify(ctx: AppContext, expected: 'device' | TokenRole = 'device'): Promise<Caller> {
    const nowMs = this.#sources.clock.nowMs();
    const bearer = bearerOf(ctx);
    const serial =
      bearer === undefined ? undefined : await this.#sources.deviceSessions.serialOf(bearer);
    if (serial !== undefined) {
      await this.known(ctx, serial);
      const device = await this.#sources.devices.bySerial(serial);
      if (device?.status === 'active') {
        await this.certificate(ctx, device);
        return { kind: 'device', device };
      }
      await this.#sources.deviceSessions.end(serial);
      throw await refusedDevice(ctx, this.#sources.audit, serial);
    }
    await this.anonymous(ctx);
    if (bearer === undefined) return { kind: 'anonymous' };
    const token = await this.#sources.serviceTokens.find(bearer);
    if (token === undefined) {
      throw expected === 'device'
        ? await refusedDevice(ctx, this.#sources.audit, '')
        : await refusedToken(ctx, this.#sources.audit, expected);
    }
    if (this.#sources.serviceTokens.hasExpired(token))
      throw await expiredToken(ctx, this.#sources.audit, token);
    this.#addresses.giveBack(networkOf(ctx.state.address), nowMs);
    await this.known(ctx, `token ${token.name}`);
    return { kind: 'service', token };
  }

  /** The second factor of a device that has proven itself. Throws HttpProblem 403 where it is wanted and wrong. */
  async certificate(ctx: AppContext, device: RegisteredDevice): Promise<void> {
    await this.#certificates?.require(ctx, this.#sources.audit, device);
  }

  /** Counts a request of an identity that has proven itself. Throws HttpProblem 429. */
  async known(ctx: AppContext, identity: string): Promise<void> {
    const waitMs = this.#identities.take(identity, this.#sources.clock.nowMs());
    await this.refuse(ctx, 'identity', identity, waitMs);
  }

  /** Counts bytes of a chunked download in place of a request. Throws HttpProblem 429. */
  async transfer(ctx: AppContext, serial: string, bytes: number): Promise<void> {
    const waitMs = this.#transfers.take(serial, bytes, this.#sources.clock.nowMs());
    await this.refuse(ctx, 'transfer', serial, waitMs);
  }

  /** Counts what a vehicle without a log-in has the server write down. Throws HttpProblem 429. */
  async stranger(ctx: AppContext): Promise<void> {
    const network = networkOf(ctx.state.address);
    const waitMs = this.#strangers.take(network, this.#sources.clock.nowMs());
    await this.refuse(ctx, 'stranger', network, waitMs);
  }

  /** Counts a request without an identity. Throws HttpProblem 429. */
  async anonymous(ctx: AppContext, purpose: Purpose = 'other'): Promise<void> {
    const nowMs = this.#sources.clock.nowMs();
    const network = networkOf(ctx.state.address);
    // In this order: one address that asks too often leaves the tokens of all others alone.
    const waitMs = this.#addresses.take(network, nowMs, purpose);
    await this.refuse(ctx, 'address', network, waitMs);
    const sharedMs = this.#anonymous.take(nowMs, purpose);
    if (sharedMs !== undefined) this.#addresses.giveBack(network, nowMs);
    await this.refuse(ctx, 'anonymous', '', sharedMs);
  }

  /**
   * The device on a vehicle path; undefined where vehicles need not log in and this one has not. Throws HttpProblem
   * 401 and 429.
   */
  async vehicle(ctx: AppContext): Promise<RegisteredDevice | undefined> {
    const caller = await this.identify(ctx);
    if (caller.kind === 'device') {
      ctx.state.device = caller.device;
      return caller.device;
    }
    const open = this.#policy === 'auto' && !(await this.#sources.devices.holdsDevices());
    if (caller.kind === 'anonymous' && open) return undefined;
    throw await refusedDevice(ctx, this.#sources.audit, '');
  }

  /** The device, where nothing works without one. */
  async device(ctx: AppContext): Promise<RegisteredDevice> {
    const device = await this.vehicle(ctx);
    if (device === undefined) throw await refusedDevice(ctx, this.#sources.audit, '');
    return device;
  }

  /**
   * A tool with a token of this role, or of one of `others`. Throws HttpProblem 401, 403 for a token of another role,
   * and 429.
   */
  async service(
    ctx: AppContext,
    role: TokenRole,
    ...others: readonly TokenRole[]
  ): Promise<ServiceToken> {
    const caller = await this.identify(ctx, role);
    if (caller.kind === 'service' && [role, ...others].includes(caller.token.role)) {
      return caller.token;
    }
    const name = caller.kind === 'service' ? caller.token.name : undefined;
    throw await refusedToken(ctx, this.#sources.audit, role, name);
  }

  /** Nothing without `waitMs`; otherwise it is counted, on record, and thrown: HttpProblem 429. */
  async refuse(
    ctx: AppContext,
    guard: Guard,
    caller: string,
    waitMs: number | undefined,
  ): Promise<void> {
    if (waitMs === undefined) return;
    const seconds = Math.max(1, Math.ceil(waitMs / 1000));
    this.counts.refused(guard, caller, waitMs, this.#sources.clock.nowMs());
    await this.#sources.audit.record({
      action: 'refused.rate',
      who: guard === 'identity' || guard === 'transfer' ? caller : '',
      address: networkOf(ctx.state.address),
    });
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

/** Unknown, revoked, factory-only, expired, missing: one answer, which does not tell which serials exist. */
async function refusedDevice(
  ctx: AppContext,
  audit: AuditTrail,
  serial: string,
): Promise<HttpProblem> {
  await audit.record({
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
  audit: AuditTrail,
  role: TokenRole,
  name?: string,
): Promise<HttpProblem> {
  await audit.record({
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

async function expiredToken(
  ctx: AppContext,
  audit: AuditTrail,
  { name, role, expiresAt }: ServiceToken,
): Promise<HttpProblem> {
  const { address } = ctx.state;
  const detail = `expired: ${ctx.method} ${ctx.path}`.slice(0, 80);
  await audit.record({ action: 'refused.token', who: name, address, detail });
  return new HttpProblem(
    401,
    'TOKEN_EXPIRED',
    `the token ${name} expired at ${expiresAt}: remove it with can-ota server token ${name} --remove, and make the next ` +
      `one with can-ota server token ${name} --role ${role}`,
    { headers: CHALLENGE },
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

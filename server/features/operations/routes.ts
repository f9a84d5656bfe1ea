// For operations and browsers: /healthz, /metrics and the files under /static.

import type Router from '@koa/router';
import { health } from '../../../src/contract/endpoints/operations/health.ts';
import { metrics } from '../../../src/contract/endpoints/operations/metrics.ts';
import { staticFile } from '../../../src/contract/endpoints/operations/static-file.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { matchesEtag } from '../../platform/http/byte-range.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { gauge, METRICS_TYPE, type Metric, metricsText } from '../../platform/http/metrics.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import type { StaticFile } from '../../web/assets.ts';
import type { TokenExpiry } from '../registry/token-expiry.ts';
import type { VehicleStore } from '../vehicles/store.ts';
import type { Expiry, ExpiryWatch } from './expiry-watch.ts';
import { guardMetrics, mayReadNames } from './guard-metrics.ts';

const DAY_MS = 86_400_000;
/** Vehicles that were not heard of for so long are counted. */
const SILENT_MS = { day: DAY_MS, week: 7 * DAY_MS, month: 30 * DAY_MS } as const;
type Silent = Readonly<Record<keyof typeof SILENT_MS, number>>;

/** What the server knows of itself. */
export interface ServerFacts {
  readonly version: string;
  /** False where the database does not answer; the reason is logged. */
  databaseAnswers(): Promise<boolean>;
  /** What operators have to know and do something about, a sentence each. */
  notices(): readonly string[];
}

export interface HealthRoutesParts {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly server: ServerFacts;
  readonly expiry: ExpiryWatch;
  readonly vehicles: VehicleStore;
}

export function healthRoutes(parts: HealthRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);
  const { databaseAnswers } = parts.server;
  const startedMs = parts.clock.nowMs();

  const uptimeSeconds = (): number => Math.floor((parts.clock.nowMs() - startedMs) / 1000);

  router.answer(health, async (ctx) => {
    const healthy = await databaseAnswers();
    const metadata = healthy ? await parts.expiry.expiries() : [];
    const tokens = healthy
      ? (await parts.expiry.tokenExpiries()).filter((token) => isDue(token) && !token.dormant)
      : [];
    ctx.set('Cache-Control', 'no-store');
    // Metadata that expires needs a person. It does not help when a load balancer takes the server away.
    ctx.status = healthy ? 200 : 503;
    ctx.body = {
      status: healthy ? statusOf([...metadata, ...tokens]) : 'failed',
      version: parts.server.version,
      database: healthy ? 'ok' : 'failed',
      uptimeSeconds: uptimeSeconds(),
      metadata: metadata.map(({ repository, role, version, expires, daysLeft, stage }) => ({
        repository,
        role,
        version,
        expires,
        daysLeft,
        stage,
      })),
      // A vehicle without reception is no fault of the backend: it does not change the status.
      vehicles: healthy ? await parts.vehicles.silence(SILENT_MS) : null,
      // Every allowed address may read this: a token has no name here.
      tokens: tokens.map(({ role, expires, daysLeft, stage }) => ({
        role,
        expires,
        daysLeft,
        stage,
      })),
      notices: [
        ...parts.server.notices(),
        ...metadata.flatMap(({ notice }) => notice ?? []),
        ...tokens.flatMap(({ publicNotice }) => publicNotice ?? []),
      ],
    };
  });

  router.answer(metrics, async (ctx) => {
    const mayName = await mayReadNames(ctx as AppContext, parts.guard.gate);
    const healthy = await databaseAnswers();
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Content-Type', METRICS_TYPE);
    ctx.body = metricsText([
      gauge('can_ota_info', 'Version of the backend.', [[{ version: parts.server.version }, 1]]),
      gauge('can_ota_uptime_seconds', 'Time since the backend started.', [[{}, uptimeSeconds()]]),
      gauge('can_ota_database_up', '1 while the database answers.', [[{}, healthy ? 1 : 0]]),
      ...(healthy ? expiryMetrics(await parts.expiry.expiries()) : []),
      ...(healthy ? vehicleMetrics(await parts.vehicles.silence(SILENT_MS)) : []),
      ...(healthy ? tokenMetrics(await parts.expiry.tokenExpiries(), mayName) : []),
      ...guardMetrics({ gate: parts.guard.gate, clock: parts.clock }, mayName),
    ]);
  });

  return router;
}

/** What the pages load: styles, scripts, icons. */
export function staticRoutes(
  guard: RouteGuard,
  files: ReadonlyMap<string, StaticFile>,
): Router<RequestState> {
  const router = guardedRouter(guard);

  router.answer(staticFile, (ctx) => {
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

type Ending = Pick<Expiry, 'stage' | 'notice'>;

function statusOf(all: readonly Ending[]): 'ok' | 'expiring' | 'expired' {
  if (all.some(({ stage }) => stage === 'expired')) return 'expired';
  return all.some(isDue) ? 'expiring' : 'ok';
}

function isDue({ notice }: Ending): boolean {
  return notice !== undefined;
}

function vehicleMetrics({ known, ...silent }: { readonly known: number } & Silent): Metric[] {
  return [
    gauge('can_ota_vehicles', 'Vehicles that have checked in.', [[{}, known]]),
    gauge(
      'can_ota_vehicles_silent',
      'Vehicles whose last check-in is older than this.',
      Object.entries(silent).map(([name, count]) => [{ for: name }, count]),
    ),
  ];
}

function tokenMetrics(tokens: readonly TokenExpiry[], mayName: boolean): Metric[] {
  const count = (stage: TokenExpiry['stage']) =>
    tokens.filter((token) => token.stage === stage && !token.dormant).length;
  const totals = gauge(
    'can_ota_tokens',
    'Tokens of tools that were used in the last 90 days, by how near their end is: valid, month (30 days), week (7), day (1), expired.',
    (['valid', 'month', 'week', 'day', 'expired'] as const).map((stage) => [
      { stage },
      count(stage),
    ]),
  );
  if (!mayName) return [totals];
  return [
    totals,
    gauge(
      'can_ota_token_days_left',
      'Whole days until the token of a tool expires, negative afterwards.',
      tokens.map(({ name, role, daysLeft }) => [{ token: name, role }, daysLeft]),
    ),
  ];
}

function expiryMetrics(metadata: readonly Expiry[]): Metric[] {
  const each = (value: (expiry: Expiry) => number): Metric['values'] =>
    metadata.map((expiry) => [{ repository: expiry.repository, role: expiry.role }, value(expiry)]);
  return [
    gauge(
      'can_ota_metadata_expiry_timestamp_seconds',
      'When signed metadata expires, in seconds since 1970.',
      each(({ expiresMs }) => Math.floor(expiresMs / 1000)),
    ),
    gauge(
      'can_ota_metadata_days_left',
      'Whole days until signed metadata expires, negative afterwards.',
      each(({ daysLeft }) => daysLeft),
    ),
    gauge(
      'can_ota_metadata_version',
      'Version of signed metadata.',
      each(({ version }) => version),
    ),
  ];
}

// The backend: puts database, images, routes and the HTTP server together, and takes them apart again.

import path from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type Router from '@koa/router';
import Koa from 'koa';
import type { ChunkFaultRates } from '../src/contract/chunked/faults.ts';
import type { Clock } from '../src/core/clock.ts';
import { describeError, InputError } from '../src/core/errors.ts';
import { LARGEST_IMAGE_BYTES, LARGEST_IMAGE_TEXT } from '../src/core/image-limit.ts';
import type { Logger } from '../src/core/logger.ts';
import { defined } from '../src/core/optional.ts';
import type { Random } from '../src/core/random.ts';
import { DiskStorage, type Storage } from '../src/core/storage.ts';
import { AuditLog } from './features/audit/store.ts';
import { AskOrderStore } from './features/campaigns/ask-order-store.ts';
import { CancelOrderStore } from './features/campaigns/cancel-order-store.ts';
import { campaignRoutes } from './features/campaigns/routes.ts';
import { CampaignStore } from './features/campaigns/store.ts';
import { operatorRoutes } from './features/commands/routes.ts';
import { CommandStore } from './features/commands/store.ts';
import { serviceRoutes } from './features/commands/vehicle-routes.ts';
import { ConfigurationStore } from './features/configuration/store.ts';
import { BackupWatch } from './features/director/backup-watch.ts';
import { directorRoutes } from './features/director/routes.ts';
import { openUptane, type ServerUptaneOptions } from './features/director/uptane.ts';
import { ClockWatch } from './features/operations/clock-watch.ts';
import { ExpiryWatch } from './features/operations/expiry-watch.ts';
import { openApiRoutes } from './features/operations/openapi-routes.ts';
import { operationsRoutes } from './features/operations/routes.ts';
import { LoginThrottle } from './features/people/login-throttle.ts';
import { Passwords } from './features/people/passwords.ts';
import { peopleSessions } from './features/people/people.ts';
import { sessionRoutes } from './features/people/routes.ts';
import { SessionStore } from './features/people/session-store.ts';
import { UserStore } from './features/people/store.ts';
import { deviceRoutes } from './features/registry/device-routes.ts';
import { DeviceSessions } from './features/registry/device-sessions.ts';
import { DeviceTokenStore } from './features/registry/device-token-store.ts';
import { checkLineage } from './features/registry/restored-command.ts';
import { registryRoutes } from './features/registry/routes.ts';
import { SealedSessionStore } from './features/registry/sealed-session-store.ts';
import { ServiceTokenStore } from './features/registry/service-token-store.ts';
import { DeviceStore } from './features/registry/store.ts';
import { IMAGE_FOLDERS, ImageStore } from './features/releases/image-store.ts';
import { metadataRoutes } from './features/releases/metadata-routes.ts';
import { missingImages } from './features/releases/missing-images.ts';
import { noTrustRoutes } from './features/releases/no-trust-routes.ts';
import { pageRoutes } from './features/releases/page.ts';
import { uploadRoutes } from './features/releases/routes.ts';
import { ReleaseStore } from './features/releases/store.ts';
import { openOta } from './features/small-devices/open.ts';
import { otaRoutes } from './features/small-devices/routes.ts';
import { TelemetryStore } from './features/telemetry/store.ts';
import { NonceStore } from './features/vehicles/nonce-store.ts';
import { ReportStore } from './features/vehicles/report-store.ts';
import { vehicleRoutes } from './features/vehicles/routes.ts';
import { VehicleStore } from './features/vehicles/store.ts';
import { AddressList, LOOPBACK_CIDRS, type ProxyTrust } from './platform/auth/addresses.ts';
import { CallerGate, type DevicePolicy, type RateLimits } from './platform/auth/callers.ts';
import {
  type CertificateOptions,
  ClientCertificates,
} from './platform/auth/client-certificates.ts';
import { type DataFolder, openDatabase, privateFile } from './platform/db/database.ts';
import { type FileLock, lockFile } from './platform/db/sqlite-dialect.ts';
import { requireBasePath } from './platform/http/base-path.ts';
import { HttpProblem, ServerError } from './platform/http/errors.ts';
import { arrival, frontDoor } from './platform/http/front-door.ts';
import type { GuardedRouter, KnownEndpoint } from './platform/http/guarded-router.ts';
import { listen, type RunningServer } from './platform/http/listen.ts';
import { problems } from './platform/http/problems.ts';
import type { RequestState } from './platform/http/request.ts';
import { securityHeaders } from './platform/http/security-headers.ts';
import type { Services } from './platform/http/services.ts';
import { loadWeb, type WebFiles } from './web/assets.ts';
import { Pages } from './web/pages.ts';

export interface ServerOptions {
  /**
   * Holds the database, the images and what is being uploaded. Created where it is missing. Not needed where both
   * `storage` and `database` are given.
   */
  dataDir?: string;
  /** Images and what is being uploaded, in place of the data folder. */
  storage?: Storage;
  /**
   * In place of the file in the data folder. Migrated here, and never closed: the next server goes on with it, also
   * when this one was not closed. It serves one server at a time, the last one that was created.
   */
  database?: DatabaseSync;
  clock: Clock;
  random: Random;
  logger: Logger;
  /** Networks that may use the server; loopback only when none is given. */
  allowCidrs?: readonly string[];
  /** Believe X-Forwarded-* of the direct peer (true) or of these networks. Default: of nobody. */
  trustProxy?: boolean | readonly string[];
  /** Largest image. Default 64 MiB, at most LARGEST_IMAGE_BYTES. */
  maxUploadBytes?: number;
  /** true: cookies only over TLS, and HSTS. Default: as the connection (or the trusted proxy) is. */
  secureCookies?: boolean;
  /** Path below which people and vehicles know the server, like `/ota`; a trusted proxy's X-Forwarded-Prefix when missing. */
  basePath?: string;
  /** bcrypt cost of new hashes and of the decoy, 12 unless told. */
  bcryptCost?: number;
  /** Nonces that one address may have open, 1000 unless told: many vehicles may share an address. */
  openNoncesPerAddress?: number;
  /** Director and image repository; without it nothing is signed, and every upload is offered at once. */
  uptane?: ServerUptaneOptions;
  /** `required`: vehicles have to log in from the start; otherwise from the first registered device on. */
  devices?: DevicePolicy;
  /** true: a sealed session has to encrypt; the suite `hmac` is refused. */
  encryptedOnly?: boolean;
  /** Second factor: each device shows a client certificate, which a trusted proxy hands on. Needs `trustProxy`. */
  deviceCertificates?: CertificateOptions | undefined;
  /** How often whom may ask. */
  rateLimits?: Partial<RateLimits>;
  /** On a bench: what goes wrong in chunked downloads, and how often. */
  chunkFaults?: ChunkFaultRates;
  /** What the pages are made of (`loadWeb`), for who starts servers again and again. */
  web?: WebFiles;
}

export type { RunningServer } from './platform/http/listen.ts';

export interface CanOtaServer {
  readonly app: Koa<RequestState>;
  /** Throws ServerError `LISTEN` when the port or address cannot be had. Port 0 takes a free one. */
  listen(port: number, host?: string): Promise<RunningServer>;
  /** For a server that never listened; `RunningServer.close` does it otherwise. */
  close(): Promise<void>;
}

export const DEFAULT_MAX_UPLOAD_BYTES = 64 * 1024 * 1024;

/**
 * Opens the data folder and builds the application. Throws InputError for a bad option and ServerError
 * `DATA_DIRECTORY_BUSY` when another server works on the folder, `DATABASE` when it cannot be opened.
 */
export async function createServer(options: ServerOptions): Promise<CanOtaServer> {
  const { clock, random, logger } = options;
  const maxUploadBytes = options.maxUploadBytes ?? DEFAULT_MAX_UPLOAD_BYTES;
  if (
    !Number.isInteger(maxUploadBytes) ||
    maxUploadBytes < 1 ||
    maxUploadBytes > LARGEST_IMAGE_BYTES
  ) {
    throw new InputError(
      'upload limit',
      `${maxUploadBytes} is not a number of bytes from 1 to ${LARGEST_IMAGE_TEXT}`,
    );
  }
  const allow = allowList(options, logger);
  const trust = proxyTrust(options.trustProxy);
  const certificates = deviceCertificates(options);
  const basePath = requireBasePath(options.basePath ?? '');
  const passwords = new Passwords(options.bcryptCost);

  const { storage, database, lock } = await openData(options);
  const db = await openDatabase(database, { clock, random }).catch((error) => {
    lock.release();
    throw error;
  });
  const running = new Set<Promise<unknown>>();
  const audit = new AuditLog(db, logger);
  if (typeof database === 'string') {
    await checkLineage(database, { db, audit, logger, alone: options.uptane?.role === 'images' });
  }
  const web = options.web ?? (await loadWeb());
  const devices = new DeviceStore(db, audit);
  const vehicles = new VehicleStore(db, audit);
  const releases = await ReleaseStore.open(db);
  const images = await ImageStore.open(storage, db.newId);
  const campaigns = new CampaignStore(db);
  const watch = new BackupWatch(logger);
  const clockWatch = new ClockWatch({ db, clock, logger, audit });
  const stores = { db, clock, random, logger, audit, devices, vehicles, releases, images };
  const deps = { ...stores, watch, clockWatch };
  const uptane =
    options.uptane === undefined
      ? undefined
      : await openUptane(options.uptane, deps).catch(async (error) => {
          await db.close();
          lock.release();
          throw error;
        });
  const sealedSessions = new SealedSessionStore(db, audit);
  const director = uptane?.director;
  const gate = new CallerGate(random, {
    ...defined({ limits: options.rateLimits }),
    policy: options.devices,
    certificates,
  });
  const { burst: burstBytes, perSecond: bytesPerSecond } = gate.transferLimit;
  const pace = { burstBytes, bytesPerSecond };
  const serviceTokens = new ServiceTokenStore(db, audit);
  const expiry = new ExpiryWatch({ uptane, tokens: serviceTokens, clock, logger });
  const services: Services = {
    uptane,
    expiry,
    vehicles,
    devices,
    sealedSessions,
    deviceSessions: new DeviceSessions({
      devices,
      sealed: sealedSessions,
      tokens: new DeviceTokenStore(db),
      clock,
      random,
      sign: director === undefined ? undefined : (signed) => director.signSession(signed),
    }),
    serviceTokens,
    gate,
    db,
    clock,
    random,
    logger,
    notices: () => [
      ...clockWatch.notices(),
      ...[watch.notice, missingImages(uptane?.images, releases)].filter(
        (notice) => notice !== undefined,
      ),
    ],
    version: web.version,
    maxUploadBytes,
    encryptedOnly: options.encryptedOnly === true,
    passwords,
    audit,
    users: new UserStore(db),
    sessions: new SessionStore(db),
    releases,
    nonces: new NonceStore(db, random, options.openNoncesPerAddress),
    campaigns,
    cancelOrders: new CancelOrderStore(db, audit, campaigns),
    askOrders: new AskOrderStore(db, audit, campaigns),
    configurations: new ConfigurationStore(db, audit),
    commands: new CommandStore(db, audit),
    telemetry: new TelemetryStore(db, audit),
    reports: new ReportStore(db, campaigns),
    images,
    ...openOta(deps, pace, options.chunkFaults),
    throttle: new LoginThrottle(random),
    pages: new Pages(web),
    background: (work) => {
      const tracked = work
        .catch((error) => logger.error({ error: describeError(error) }, 'background work failed'))
        .finally(() => running.delete(tracked));
      running.add(tracked);
    },
  };

  const app = new Koa<RequestState>();
  app.on('error', (error) => {
    // What is left to arrive here are clients that went away in the middle of an answer.
    logger.debug({ error: describeError(error) }, 'a response ended early');
  });
  const routers: Router<RequestState>[] = [];
  const { secureCookies } = options;
  const isRoute = (path: string, method: string): boolean =>
    routers.some((router) => router.match(path, method).route);
  app.use((_ctx, next) => {
    clockWatch.look();
    return next();
  });
  app.use(arrival({ trust, secureCookies, basePath, isRoute, clock }));
  app.use(securityHeaders());
  app.use(problems(logger, services.pages));
  app.use(frontDoor({ allow, audit }));
  const sessions = peopleSessions(app, services, random);
  const forVehicles = options.uptane?.role !== 'images';
  const forReleases = options.uptane?.role !== 'director';
  routers.push(
    ...(forVehicles
      ? [
          vehicleRoutes(services),
          registryRoutes(services),
          deviceRoutes(services),
          campaignRoutes(services, sessions),
          otaRoutes(services, sessions),
          serviceRoutes(services),
          operatorRoutes(services, sessions),
        ]
      : []),
    ...(uptane?.director === undefined ? [] : [directorRoutes(services, uptane.director)]),
    uptane === undefined ? noTrustRoutes() : metadataRoutes(services, uptane, sessions),
    operationsRoutes(services, web.files, sessions),
    openApiRoutes(services, () => routers.flatMap(endpointsOf)),
    sessionRoutes(services, sessions),
    ...(forReleases ? [uploadRoutes(services, sessions)] : []),
    pageRoutes(services, sessions),
  );
  for (const router of routers) mount(app, router);

  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    expiry.stop();
    closed ??= (async () => {
      await Promise.all(running);
      await audit.flush().catch((error) => {
        logger.error({ error: describeError(error) }, 'the last counts of the audit log are lost');
      });
      await db.close();
      lock.release();
    })();
    return closed;
  };
  return {
    app,
    close,
    listen: async (port, host) => {
      const listening = await listen(app, { port, host, clock, maxUploadBytes, close });
      expiry.start();
      return listening;
    },
  };
}

interface Data {
  readonly storage: Storage;
  readonly database: DataFolder;
  readonly lock: FileLock;
}

/** Throws ServerError `DATA_DIRECTORY_BUSY`, InputError where a folder is needed and none is given. */
async function openData({ dataDir, storage, database }: ServerOptions): Promise<Data> {
  if (storage !== undefined && database !== undefined) {
    return { storage, database, lock: { release: () => {} } };
  }
  if (dataDir === undefined) throw new InputError('data folder', 'is missing: name one');
  const disk = await DiskStorage.openOwn(dataDir);
  for (const folder of IMAGE_FOLDERS) await DiskStorage.openOwn(path.join(disk.location, folder));
  if (database !== undefined) return { storage: disk, database, lock: { release: () => {} } };
  const lock = lockFile(await privateFile(disk.location, 'server.lock'));
  if (lock === undefined) {
    throw new ServerError(
      'DATA_DIRECTORY_BUSY',
      `${disk.location}: another can-ota server works on this folder: stop it or give this one another folder`,
    );
  }
  return { storage: storage ?? disk, database: disk.location, lock };
}

function allowList(options: ServerOptions, logger: Logger): AddressList {
  const cidrs = options.allowCidrs ?? [];
  if (cidrs.length === 0) {
    logger.warn(
      { allow: LOOPBACK_CIDRS },
      'no networks are allowed by name: only this machine can use the server',
    );
    return new AddressList(LOOPBACK_CIDRS, 'allowed networks');
  }
  return new AddressList(cidrs, 'allowed networks');
}

/** Throws InputError. */
function deviceCertificates(options: ServerOptions): ClientCertificates | undefined {
  if (options.deviceCertificates === undefined) return undefined;
  if (options.trustProxy === undefined || options.trustProxy === false) {
    throw new InputError(
      '--device-ca',
      'certificates come in a header of a proxy: name the proxy by --trust-proxy',
    );
  }
  return new ClientCertificates(options.deviceCertificates, options.clock);
}

function proxyTrust(option: boolean | readonly string[] | undefined): ProxyTrust {
  if (option === undefined || option === false) return false;
  return option === true ? 'direct-peer' : new AddressList(option, 'trusted proxies');
}

/** None of a router that only refuses. */
function endpointsOf(router: Router<RequestState>): readonly KnownEndpoint[] {
  return 'endpoints' in router ? (router as GuardedRouter).endpoints : [];
}

function mount(app: Koa<RequestState>, router: Router<RequestState>): void {
  app.use(router.routes() as unknown as Koa.Middleware<RequestState>);
  app.use(
    router.allowedMethods({
      throw: true,
      methodNotAllowed: () =>
        new HttpProblem(405, 'METHOD_NOT_ALLOWED', 'this address does not know the method'),
      notImplemented: () =>
        new HttpProblem(501, 'METHOD_NOT_ALLOWED', 'this server does not know the method'),
    }) as unknown as Koa.Middleware<RequestState>,
  );
}

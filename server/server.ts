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
import type { Random } from '../src/core/random.ts';
import { DiskStorage, type Storage } from '../src/core/storage.ts';
import { composeFeatures } from './compose.ts';
import { AuditLog } from './features/audit/store.ts';
import type { ServerUptaneOptions } from './features/director/uptane.ts';
import { Passwords } from './features/people/passwords.ts';
import { checkLineage } from './features/registry/restored-command.ts';
import { IMAGE_FOLDERS } from './features/releases/image-store.ts';
import { AddressList, LOOPBACK_CIDRS, type ProxyTrust } from './platform/auth/addresses.ts';
import type { DevicePolicy, RateLimits } from './platform/auth/callers.ts';
import {
  type CertificateOptions,
  ClientCertificates,
} from './platform/auth/client-certificates.ts';
import { type DataFolder, openDatabase, privateFile } from './platform/db/database.ts';
import { type FileLock, lockFile } from './platform/db/sqlite-dialect.ts';
import { requireBasePath } from './platform/http/base-path.ts';
import { HttpProblem, ServerError } from './platform/http/errors.ts';
import { arrival, frontDoor } from './platform/http/front-door.ts';
import { listen, type RunningServer } from './platform/http/listen.ts';
import { problems } from './platform/http/problems.ts';
import type { RequestState } from './platform/http/request.ts';
import { securityHeaders } from './platform/http/security-headers.ts';
import { loadWeb, type WebFiles } from './web/assets.ts';

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
  /** Believe X-Forwarded-* of the direct peer (true) or of these networks. Default: of no peer. */
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
  /** Director and image repository; without it nothing is signed, and every upload is available to vehicles at once. */
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

export interface CanOtaServer {
  readonly app: Koa<RequestState>;
  /** Throws ServerError `LISTEN` when the port or address cannot be had. Port 0 takes a free one. */
  listen(port: number, host?: string): Promise<RunningServer>;
  /** For a server that never listened; `RunningServer.close` does it otherwise. */
  close(): Promise<void>;
}

const DEFAULT_MAX_UPLOAD_BYTES = 64 * 1024 * 1024;

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
  const app = new Koa<RequestState>();
  const open = async (): ReturnType<typeof composeFeatures> => {
    if (typeof database === 'string') {
      await checkLineage(database, { db, audit, logger, alone: options.uptane?.role === 'images' });
    }
    const foundation = { db, storage, clock, random, logger, audit };
    return composeFeatures(app, foundation, {
      uptane: options.uptane,
      certificates,
      devices: options.devices,
      rateLimits: options.rateLimits,
      encryptedOnly: options.encryptedOnly === true,
      openNoncesPerAddress: options.openNoncesPerAddress,
      chunkFaults: options.chunkFaults,
      maxUploadBytes,
      passwords,
      web: options.web ?? (await loadWeb()),
      background: (work) => {
        const tracked = work
          .catch((error) => logger.error({ error: describeError(error) }, 'background work failed'))
          .finally(() => running.delete(tracked));
        running.add(tracked);
      },
    });
  };
  const { routers, pages, clockWatch, expiry } = await open().catch(async (error) => {
    await db.close();
    lock.release();
    throw error;
  });

  app.on('error', (error) => {
    // What is left to arrive here are clients that went away in the middle of an answer.
    logger.debug({ error: describeError(error) }, 'a response ended early');
  });
  const { secureCookies } = options;
  const isRoute = (path: string, method: string): boolean =>
    routers.some((router) => router.match(path, method).route);
  app.use((_ctx, next) => {
    clockWatch.look();
    return next();
  });
  app.use(arrival({ trust, secureCookies, basePath, isRoute, clock }));
  app.use(securityHeaders());
  app.use(problems(logger, pages));
  app.use(frontDoor({ allow, audit }));
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

// The composition root of the backend: opens each feature with the few things that it needs, and collects the routes.

import type Router from '@koa/router';
import type Koa from 'koa';
import type { ChunkFaultRates } from '../src/contract/chunked/faults.ts';
import type { Clock } from '../src/core/clock.ts';
import { describeError } from '../src/core/errors.ts';
import type { Logger } from '../src/core/logger.ts';
import type { Random } from '../src/core/random.ts';
import type { Storage } from '../src/core/storage.ts';
import { auditRoutes } from './features/audit/page.ts';
import type { AuditLog } from './features/audit/store.ts';
import { OrderStore } from './features/campaigns/order-store.ts';
import { campaignRoutes } from './features/campaigns/routes.ts';
import { CampaignStore } from './features/campaigns/store.ts';
import { openRemote } from './features/commands/open.ts';
import { OperatorAccess } from './features/commands/operator-access.ts';
import { BackupWatch } from './features/director/backup-watch.ts';
import { directorRoutes } from './features/director/routes.ts';
import { openUptane, type ServerUptaneOptions } from './features/director/uptane.ts';
import { ClockWatch } from './features/operations/clock-watch.ts';
import { ExpiryWatch } from './features/operations/expiry-watch.ts';
import { openApiRoutes } from './features/operations/openapi-routes.ts';
import { healthRoutes, type ServerFacts, staticRoutes } from './features/operations/routes.ts';
import { openPeople } from './features/people/open.ts';
import type { Passwords } from './features/people/passwords.ts';
import { openRegistry } from './features/registry/open.ts';
import { devicesRoutes } from './features/registry/page.ts';
import { DeviceStore } from './features/registry/store.ts';
import { AvailableReleases } from './features/releases/available.ts';
import { ImageStore } from './features/releases/image-store.ts';
import { metadataRoutes } from './features/releases/metadata-routes.ts';
import { missingImages } from './features/releases/missing-images.ts';
import { noTrustRoutes } from './features/releases/no-trust-routes.ts';
import { HomePage, homeRoutes } from './features/releases/page.ts';
import { ReleaseIntake } from './features/releases/release-intake.ts';
import { uploadRoutes } from './features/releases/routes.ts';
import { ImageSender } from './features/releases/send-image.ts';
import { ReleaseStore } from './features/releases/store.ts';
import { uploadedRoutes } from './features/releases/uploaded-routes.ts';
import { openSmallDevices } from './features/small-devices/open.ts';
import { downloadRoutes } from './features/vehicles/download-routes.ts';
import { NonceStore } from './features/vehicles/nonce-store.ts';
import { VehiclePages } from './features/vehicles/page.ts';
import { vehiclesRoutes } from './features/vehicles/page-routes.ts';
import { ReportStore } from './features/vehicles/report-store.ts';
import { versionRoutes } from './features/vehicles/routes.ts';
import { VehicleStore } from './features/vehicles/store.ts';
import type { RouteGuard } from './platform/auth/access.ts';
import { CallerGate, type DevicePolicy, type RateLimits } from './platform/auth/callers.ts';
import type { ClientCertificates } from './platform/auth/client-certificates.ts';
import type { SealedGuard } from './platform/auth/sealed-message.ts';
import type { Database } from './platform/db/database.ts';
import type { GuardedRouter, KnownEndpoint } from './platform/http/guarded-router.ts';
import type { RequestState } from './platform/http/request.ts';
import type { PageFrame } from './platform/http/show-page.ts';
import type { WebFiles } from './web/assets.ts';
import { Pages } from './web/pages.ts';

/** What is there before the first feature is opened. */
export interface Foundation {
  readonly db: Database;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly audit: AuditLog;
}

/** What is chosen at the start; see `ServerOptions`. */
export interface FeatureOptions {
  readonly uptane: ServerUptaneOptions | undefined;
  readonly certificates: ClientCertificates | undefined;
  readonly devices: DevicePolicy | undefined;
  readonly rateLimits: Partial<RateLimits> | undefined;
  readonly encryptedOnly: boolean;
  readonly openNoncesPerAddress: number | undefined;
  readonly chunkFaults: ChunkFaultRates | undefined;
  readonly maxUploadBytes: number;
  readonly passwords: Passwords;
  readonly web: WebFiles;
  /** Work that outlives its response; closing waits for it. */
  background(work: Promise<unknown>): void;
}

export interface Features {
  readonly routers: readonly Router<RequestState>[];
  readonly pages: Pages;
  readonly clockWatch: ClockWatch;
  readonly expiry: ExpiryWatch;
}

/** `app` gets the cookies of sessions. Throws what `openUptane` throws. */
export async function composeFeatures(
  app: Koa<RequestState>,
  foundation: Foundation,
  options: FeatureOptions,
): Promise<Features> {
  const { db, storage, clock, random, logger, audit } = foundation;
  const { maxUploadBytes, encryptedOnly, background } = options;

  const devices = new DeviceStore(db, audit);
  const vehicles = new VehicleStore(db, audit);
  const releases = await ReleaseStore.open(db);
  const images = await ImageStore.open(storage, db.newId);
  const watch = new BackupWatch(logger);
  const clockWatch = new ClockWatch({ db, clock, logger, audit });
  const uptane =
    options.uptane &&
    (await openUptane(options.uptane, {
      ...{ db, clock, random, logger, audit, devices, vehicles, releases, images },
      ...{ watch, clockWatch },
    }));
  const director = uptane?.director;

  const sign = director && ((signed: unknown) => director.signSession(signed));
  const registry = openRegistry({ db, clock, random, audit, devices, sign });
  const { deviceSessions, sealedSessions, serviceTokens } = registry;
  const gate = new CallerGate({ audit, clock, devices, deviceSessions, serviceTokens }, random, {
    limits: options.rateLimits,
    policy: options.devices,
    certificates: options.certificates,
  });
  const people = openPeople(app, { db, clock, random, audit, passwords: options.passwords });
  const guard: RouteGuard = { gate, audit, sessions: people.sessions };
  const sealed: SealedGuard = {
    ...{ sealedSessions, devices, gate, audit, clock, logger },
    encryptedOnly,
  };

  const expiry = new ExpiryWatch({ uptane, tokens: serviceTokens, clock, logger });
  const server: ServerFacts = {
    version: options.web.version,
    databaseAnswers: async () => {
      try {
        await db.ping();
        return true;
      } catch (error) {
        logger.error({ error: describeError(error) }, 'the database does not answer');
        return false;
      }
    },
    notices: () => [
      ...clockWatch.notices(),
      ...[watch.notice, missingImages(uptane?.images, releases)].filter(
        (notice) => notice !== undefined,
      ),
    ],
  };
  const pages = new Pages(options.web);
  const frame: PageFrame = {
    render: (page, data) => pages.render(page, data),
    notices: async () => [...server.notices(), ...(await expiry.notices())],
  };

  const campaigns = new CampaignStore(db);
  const orders = new OrderStore(db, audit, campaigns);
  const reports = new ReportStore(db, campaigns);
  const nonces = new NonceStore(db, random, options.openNoncesPerAddress);
  const operators = new OperatorAccess({ audit, clock, devices });
  const remote = openRemote({ db, clock, audit, devices, vehicles, operators });
  const { burst: burstBytes, perSecond: bytesPerSecond } = gate.transferLimit;
  const small = openSmallDevices(
    { db, audit, images, random, clock },
    { burstBytes, bytesPerSecond },
    options.chunkFaults,
  );
  const { packages } = small;
  const available = new AvailableReleases(uptane, releases);
  const sender = new ImageSender({ images, audit, logger, background });
  const home = new HomePage({ frame, releases, available, reports, packages, maxUploadBytes });
  const vehiclePages = new VehiclePages({
    ...{ frame, clock, vehicles, devices, reports, campaigns },
    ...{ orders, remote: remote.features },
  });

  const forVehicles = (): Router<RequestState>[] => [
    versionRoutes({ guard, clock, audit, available, devices, reports }),
    downloadRoutes({ guard, clock, audit, available, sender, nonces }),
    ...registry.routes(guard, sealed),
    campaignRoutes({ guard, clock, audit, campaigns, orders }),
    ...small.routes(guard, sealed, {
      available,
      intake: { audit, images, releases, maxUploadBytes },
      withdrawal: { operators, images, page: home },
    }),
    ...remote.routes(guard, sealed, vehiclePages),
  ];
  const intake = new ReleaseIntake({ audit, images, releases, packages, maxUploadBytes });
  const forReleases = (): Router<RequestState>[] => [
    uploadRoutes({ guard, audit, intake, page: home }),
    uploadedRoutes({ guard, releases, sender }),
  ];
  const role = options.uptane?.role;
  const routers: Router<RequestState>[] = [
    ...(role === 'images' ? [] : forVehicles()),
    ...(director === undefined ? [] : [directorRoutes({ guard, clock, director })]),
    uptane === undefined
      ? noTrustRoutes()
      : metadataRoutes({ guard, clock, audit, uptane, available, sender }),
    healthRoutes({ guard, clock, server, expiry, vehicles }),
    staticRoutes(guard, options.web.files),
    openApiRoutes(guard, server.version, () => routers.flatMap(endpointsOf)),
    people.routes(guard, frame),
    ...(role === 'director' ? [] : forReleases()),
    homeRoutes(guard, home),
    vehiclesRoutes(guard, vehiclePages),
    devicesRoutes({ guard, frame, devices }),
    auditRoutes({ guard, frame, audit }),
  ];
  return { routers, pages, clockWatch, expiry };
}

/** None of a router that only refuses. */
function endpointsOf(router: Router<RequestState>): readonly KnownEndpoint[] {
  return 'endpoints' in router ? (router as GuardedRouter).endpoints : [];
}

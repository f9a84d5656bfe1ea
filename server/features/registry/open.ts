// Puts the parts of the registry together: devices, their sessions, the tokens of tools, and their routes.

import type Router from '@koa/router';
import type { Clock } from '../../../src/core/clock.ts';
import type { Random } from '../../../src/core/random.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import type { SealedGuard } from '../../platform/auth/sealed-message.ts';
import type { Database } from '../../platform/db/database.ts';
import type { RequestState } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import { deviceRoutes } from './device-routes.ts';
import { DeviceSessions, type SignSession } from './device-sessions.ts';
import { DeviceTokenStore } from './device-token-store.ts';
import { registryRoutes } from './routes.ts';
import { SealedSessionStore } from './sealed-session-store.ts';
import { ServiceTokenStore } from './service-token-store.ts';
import type { DeviceStore } from './store.ts';

export interface RegistryParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: AuditLog;
  readonly devices: DeviceStore;
  /** Undefined on a server that signs nothing. */
  readonly sign: SignSession | undefined;
}

export interface OpenRegistry {
  readonly deviceSessions: DeviceSessions;
  readonly sealedSessions: SealedSessionStore;
  readonly serviceTokens: ServiceTokenStore;
  routes(guard: RouteGuard, sealed: SealedGuard): Router<RequestState>[];
}

export function openRegistry({
  db,
  clock,
  random,
  audit,
  devices,
  sign,
}: RegistryParts): OpenRegistry {
  const sealedSessions = new SealedSessionStore(db, audit);
  const tokens = new DeviceTokenStore(db);
  const deviceSessions = new DeviceSessions({
    ...{ devices, sealed: sealedSessions, tokens },
    ...{ clock, random, sign },
  });
  return {
    deviceSessions,
    sealedSessions,
    serviceTokens: new ServiceTokenStore(db, audit),
    routes: (guard, sealed) => [
      registryRoutes({ guard, clock, audit, devices }),
      deviceRoutes({ guard, sealed, clock, audit, deviceSessions }),
    ],
  };
}

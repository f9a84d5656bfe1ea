// Puts the remote features together: configuration, commands, measured data, and their routes.

import type Router from '@koa/router';
import type { Clock } from '../../../src/core/clock.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import type { SealedGuard } from '../../platform/auth/sealed-message.ts';
import type { Database } from '../../platform/db/database.ts';
import type { RequestState } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import { configurationRoutes } from '../configuration/routes.ts';
import { ConfigurationStore } from '../configuration/store.ts';
import type { DeviceStore } from '../registry/store.ts';
import { telemetryRoutes } from '../telemetry/routes.ts';
import { TelemetryStore } from '../telemetry/store.ts';
import { checkinRoutes } from '../vehicles/checkin-routes.ts';
import type { VehiclePages } from '../vehicles/page.ts';
import type { VehicleStore } from '../vehicles/store.ts';
import type { OperatorAccess } from './operator-access.ts';
import { RemoteView } from './remote-view.ts';
import { commandRoutes } from './routes.ts';
import { CommandStore } from './store.ts';
import { remoteRoutes } from './vehicle-routes.ts';

export interface RemoteParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly devices: DeviceStore;
  readonly vehicles: VehicleStore;
  readonly operators: OperatorAccess;
}

export interface Remote {
  readonly features: RemoteView;
  routes(guard: RouteGuard, sealed: SealedGuard, pages: VehiclePages): Router<RequestState>[];
}

export function openRemote(parts: RemoteParts): Remote {
  const { db, clock, audit, devices, vehicles, operators } = parts;
  const configurations = new ConfigurationStore(db, audit);
  const commands = new CommandStore(db, audit);
  const telemetry = new TelemetryStore(db, audit);
  return {
    features: new RemoteView({ db, devices, configurations, commands, telemetry }),
    routes: (guard, sealed, pages) => [
      remoteRoutes({ guard, sealed, sync: { db, audit, configurations }, telemetry }),
      configurationRoutes({ guard, operators, pages, configurations }),
      commandRoutes({ guard, operators, pages, commands }),
      telemetryRoutes({ guard, operators, telemetry }),
      checkinRoutes({ guard, clock, operators, vehicles }),
    ],
  };
}

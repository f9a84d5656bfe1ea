// What every route is given.

import type { Clock } from '../../../src/core/clock.ts';
import type { Logger } from '../../../src/core/logger.ts';
import type { Random } from '../../../src/core/random.ts';
import type { AuditLog } from '../../features/audit/store.ts';
import type { AskOrderStore } from '../../features/campaigns/ask-order-store.ts';
import type { CancelOrderStore } from '../../features/campaigns/cancel-order-store.ts';
import type { CampaignStore } from '../../features/campaigns/store.ts';
import type { CommandStore } from '../../features/commands/store.ts';
import type { ConfigurationStore } from '../../features/configuration/store.ts';
import type { Uptane } from '../../features/director/uptane.ts';
import type { ExpiryWatch } from '../../features/operations/expiry-watch.ts';
import type { LoginThrottle } from '../../features/people/login-throttle.ts';
import type { Passwords } from '../../features/people/passwords.ts';
import type { SessionStore } from '../../features/people/session-store.ts';
import type { UserStore } from '../../features/people/store.ts';
import type { DeviceSessions } from '../../features/registry/device-sessions.ts';
import type { SealedSessionStore } from '../../features/registry/sealed-session-store.ts';
import type { ServiceTokenStore } from '../../features/registry/service-token-store.ts';
import type { DeviceStore } from '../../features/registry/store.ts';
import type { ImageStore } from '../../features/releases/image-store.ts';
import type { ReleaseStore } from '../../features/releases/store.ts';
import type { OtaService } from '../../features/small-devices/ota-service.ts';
import type { DevicePackageStore } from '../../features/small-devices/package-store.ts';
import type { TransferStore } from '../../features/small-devices/transfer-store.ts';
import type { TelemetryStore } from '../../features/telemetry/store.ts';
import type { NonceStore } from '../../features/vehicles/nonce-store.ts';
import type { ReportStore } from '../../features/vehicles/report-store.ts';
import type { VehicleStore } from '../../features/vehicles/store.ts';
import type { Pages } from '../../web/pages.ts';
import type { CallerGate } from '../auth/callers.ts';
import type { Database } from '../db/database.ts';

/** Everything that routes work with. */
export interface Services {
  readonly db: Database;
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly releases: ReleaseStore;
  readonly nonces: NonceStore;
  readonly reports: ReportStore;
  readonly campaigns: CampaignStore;
  readonly cancelOrders: CancelOrderStore;
  readonly askOrders: AskOrderStore;
  readonly configurations: ConfigurationStore;
  readonly commands: CommandStore;
  readonly telemetry: TelemetryStore;
  readonly audit: AuditLog;
  readonly devices: DeviceStore;
  readonly deviceSessions: DeviceSessions;
  readonly sealedSessions: SealedSessionStore;
  readonly serviceTokens: ServiceTokenStore;
  readonly gate: CallerGate;
  readonly vehicles: VehicleStore;
  /** Undefined on a server that signs nothing (without --trust). */
  readonly uptane: Uptane | undefined;
  readonly expiry: ExpiryWatch;
  readonly images: ImageStore;
  readonly packages: DevicePackageStore;
  readonly transfers: TransferStore;
  readonly ota: OtaService;
  readonly passwords: Passwords;
  readonly throttle: LoginThrottle;
  readonly pages: Pages;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What operators have to know and do something about, a sentence each; for /healthz and the pages. */
  notices(): readonly string[];
  readonly version: string;
  readonly maxUploadBytes: number;
  /** Sealed sessions without encryption (suite `hmac`) are refused. */
  readonly encryptedOnly: boolean;
  /** Work that outlives its response; closing waits for it. */
  background(work: Promise<unknown>): void;
}

// What it takes to say who calls, and to keep a record of who was refused.

import type { Clock } from '../../../src/core/clock.ts';
import type { AuditLog } from '../../features/audit/store.ts';
import type { DeviceSessions } from '../../features/registry/device-sessions.ts';
import type { ServiceTokenStore } from '../../features/registry/service-token-store.ts';
import type { DeviceStore } from '../../features/registry/store.ts';

export interface CallerStores {
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly devices: DeviceStore;
  readonly deviceSessions: DeviceSessions;
  readonly serviceTokens: ServiceTokenStore;
}

// What it takes to say who calls, and to keep a record of who was refused.

import type { Clock } from '../../../src/core/clock.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { RegisteredDevice, ServiceToken } from './identity.ts';

export interface CallerSources {
  readonly audit: AuditTrail;
  readonly clock: Clock;
  readonly devices: {
    bySerial(serial: string): Promise<RegisteredDevice | undefined>;
    /** True as soon as one was ever registered: from then on vehicles have to prove who they are. */
    holdsDevices(): Promise<boolean>;
  };
  readonly deviceSessions: {
    /** The serial of a live session. Whether the device is still active is for the caller to look up. */
    serialOf(token: string): Promise<string | undefined>;
    /** Ends all sessions of a device. */
    end(serial: string): Promise<void>;
  };
  readonly serviceTokens: {
    /** The token, expired or not. */
    find(token: string): Promise<ServiceToken | undefined>;
    hasExpired(token: ServiceToken): boolean;
  };
}

// What one check of the backend needs, and how it ends.

import type { EventOf } from '../campaign/event.ts';
import type { Plan } from '../campaign/plan.ts';
import type { ApprovalPhase, Approver, Backend, VehicleState } from '../campaign/ports.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import type { Random } from '../core/random.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { Inventory } from './inventory.ts';
import type { Remembered, TmuMemory } from './memory.ts';
import type { Outbox } from './outbox.ts';
import type { TmuListener } from './tmu-event.ts';
import type { TrustedSource } from './trusted-source.ts';

export interface CheckOptions {
  readonly backend: Backend;
  readonly trusted: TrustedSource;
  readonly vehicle: Vehicle;
  readonly inventory: Inventory;
  readonly memory: TmuMemory;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly emit: TmuListener;
  readonly vehicleState: VehicleState;
  readonly approver?: Approver;
  /** Phases of this plan in which the driver is asked, besides the installation. */
  readonly asks: (plan: Plan) => ApprovalPhase[];
  /** ECUs whose rollback failed: only a plan that writes all of them ends the safe state. */
  readonly lost: readonly string[];
  /** How often signatures are checked, also when the backend says that nothing is new. */
  readonly checkinIntervalMs?: number;
}

export interface Checked {
  readonly event: EventOf<'nothing'> | EventOf<'offered'>;
  /** How long the server asked the TMU to wait before the next request. */
  readonly retryAfterMs?: number;
  /** The outcome belongs to an earlier cycle. */
  readonly remembered?: Remembered;
}

/** The options of one check, with what the check has learned. */
export interface Look extends CheckOptions {
  /** ECUs that have answered in this check. */
  readonly asked: Set<string>;
}

export function nothing(
  outcome: EventOf<'nothing'>['outcome'],
  code?: string,
  reason?: string,
): EventOf<'nothing'> {
  return {
    kind: 'nothing',
    outcome,
    ...defined({ code, reason }),
  };
}

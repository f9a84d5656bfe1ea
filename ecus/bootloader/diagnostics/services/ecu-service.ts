// The row that each file of this folder exports: one service of the simulated ECU.

import type { Clock } from '../../../../src/core/clock.ts';
import type { Nrc } from '../../../../src/uds/nrc.ts';
import type { SecurityAccess } from '../../../../src/uds/security.ts';
import type { Reply, ServiceHandler } from '../../../../src/uds/server-types.ts';
import { Session } from '../../../../src/uds/sid.ts';
import type { BootedEcu } from '../../device.ts';
import type { MetadataCheck } from '../../programming/metadata.ts';
import { isPlain } from '../../programming/plain.ts';
import type { Programming } from '../../programming/programming.ts';
import type { Routines } from '../../programming/routine-control.ts';
import type { Application } from '../application.ts';
import type { InsideServices, SecuredData } from '../secured-data.ts';

/** The parts of a booted ECU on which its services work. */
export interface ServiceParts {
  readonly device: BootedEcu;
  readonly application: Application;
  readonly programming: Programming;
  readonly metadata: MetadataCheck;
  readonly routines: Routines;
  readonly securedData: SecuredData;
  /** SecurityAccess; undefined for an ECU that needs no key. */
  readonly security: SecurityAccess | undefined;
  /** Security level that programming needs now; undefined: none. */
  securityLevel(): number | undefined;
  /** Whether a secret exists with which a key can be checked. */
  hasKey(): boolean;
  readonly clock: Clock;
  isMoving(): boolean;
  reset(): void;
}

export interface EcuService {
  readonly sid: number;
  /** Whether its requests are allowed inside service 84. Opening a session or a level has no meaning there. */
  readonly isSecurable?: boolean;
  /** Whether the fault `slowMs` does not delay it. */
  readonly isNeverSlow?: boolean;
  /** The handler; undefined when this ECU does not have the service. `inside`: for service 84, called late. */
  handler(parts: ServiceParts, inside: () => InsideServices): ServiceHandler | undefined;
}

/** Sessions that the factory uses. */
export const FACTORY_SESSIONS = [Session.programming, Session.extended] as const;

/**
 * A service that changes the ECU. Before the lock the factory needs no key and may also use the extended session; the
 * lock takes effect at once.
 */
export function programmingHandler(
  parts: Pick<ServiceParts, 'device' | 'securityLevel'>,
  rest: Pick<ServiceHandler, 'minLength' | 'isCostly' | 'handle'>,
  afterLock: readonly number[] = [Session.programming],
): ServiceHandler {
  const { device } = parts;
  return {
    ...rest,
    functional: false,
    get sessions() {
      return device.identity.locked || isPlain(device.ecu) ? afterLock : FACTORY_SESSIONS;
    },
    get security() {
      return parts.securityLevel();
    },
  };
}

/** The reply to the outcome of a service: positive or its NRC; synchronous for a synchronous outcome. */
export function replyAfter(
  done: Nrc | undefined | Promise<Nrc | undefined>,
  positive: () => Uint8Array,
): Reply | Promise<Reply> {
  const reply = (nrc: Nrc | undefined): Reply =>
    nrc === undefined ? { positive: positive() } : { nrc };
  return done instanceof Promise ? done.then(reply) : reply(done);
}

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

/** What the services of one life of an ECU work on. */
export interface ServiceParts {
  readonly device: BootedEcu;
  readonly application: Application;
  readonly programming: Programming;
  readonly metadata: MetadataCheck;
  readonly routines: Routines;
  readonly securedData: SecuredData;
  /** Undefined for an ECU that asks for no key. */
  readonly security: SecurityAccess | undefined;
  /** Level of the key that programming needs now; undefined: none is needed. */
  securityLevel(): number | undefined;
  /** There is something to compare a key with. */
  hasKey(): boolean;
  readonly clock: Clock;
  isMoving(): boolean;
  reset(): void;
}

export interface EcuService {
  readonly sid: number;
  /** Its requests may stand inside of service 84. What opens a session or a level has no meaning there. */
  readonly isSecurable?: boolean;
  /** The fault `slowMs` does not delay it. */
  readonly isNeverSlow?: boolean;
  /** Undefined: this ECU does not have the service. `inside`: for service 84, which is asked late. */
  handler(parts: ServiceParts, inside: () => InsideServices): ServiceHandler | undefined;
}

/** Sessions in which the factory works. */
export const FACTORY_SESSIONS = [Session.programming, Session.extended] as const;

/**
 * A service that changes the ECU. Until the lock the factory works without a key, in the extended session too; the lock
 * takes effect at once.
 */
export function programmingHandler(
  parts: Pick<ServiceParts, 'device' | 'securityLevel'>,
  rest: Pick<ServiceHandler, 'minLength' | 'handle'>,
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

/** The reply to what a service did: positive, or the NRC against it. What is done at once is answered at once. */
export function replyAfter(
  done: Nrc | undefined | Promise<Nrc | undefined>,
  positive: () => Uint8Array,
): Reply | Promise<Reply> {
  const reply = (nrc: Nrc | undefined): Reply =>
    nrc === undefined ? { positive: positive() } : { nrc };
  return done instanceof Promise ? done.then(reply) : reply(done);
}

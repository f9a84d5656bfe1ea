// The service table of one life of an ECU: which service exists in which session, and who answers it.

import { type Clock, sleep } from '../../../src/core/clock.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import type { SecurityAccess } from '../../../src/uds/security.ts';
import type { ServiceHandler, ServiceHandlers } from '../../../src/uds/server-types.ts';
import { Sid } from '../../../src/uds/services/all.ts';
import * as ecuReset from '../../../src/uds/services/ecu-reset.ts';
import { Session } from '../../../src/uds/sid.ts';
import type { BootedEcu } from '../device.ts';
import { HOW_TO_PROVISION } from '../factory/provisioning.ts';
import type { MetadataCheck } from '../programming/metadata.ts';
import { isPlain } from '../programming/plain.ts';
import type { Programming } from '../programming/programming.ts';
import type { Routines } from '../programming/routines.ts';
import type { Application } from './application.ts';
import { readDataByIdentifier, writeDataByIdentifier } from './identification.ts';
import { readMemoryByAddress, refuseUpload } from './memory-readout.ts';
import type { SecuredData } from './secured-data.ts';
import { clearDiagnosticInformation, DTC_REPORTS, readDtcInformation } from './trouble-codes.ts';

const FACTORY_SESSIONS = [Session.programming, Session.extended] as const;

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

export function serviceHandlers(parts: ServiceParts): ServiceHandlers {
  const { device, application, programming, routines } = parts;
  // Until the lock the factory works without a key, in the extended session too; the lock takes effect at once.
  const secured = (
    rest: Pick<ServiceHandler, 'minLength' | 'handle'>,
    afterLock: readonly number[] = [Session.programming],
  ): ServiceHandler => ({
    ...rest,
    functional: false,
    get sessions() {
      return device.identity.locked || isPlain(device.ecu) ? afterLock : FACTORY_SESSIONS;
    },
    get security() {
      return parts.securityLevel();
    },
  });
  const handlers: Partial<Record<number, ServiceHandler>> = {
    [Sid.ecuReset]: {
      minLength: 2,
      subFunctions: { 1: {}, 2: {}, 3: {} },
      handle: (bytes, context) => {
        const request = ecuReset.decodeRequest(bytes);
        if (typeof request === 'number') return { nrc: request };
        // Nobody restarts an ECU of a vehicle that moves, its own TMU excepted, which has looked at more than the speed.
        const isRefused = parts.isMoving() || restartsTooOften(device, context.nowMs);
        if (context.authority === undefined && isRefused) return { nrc: Nrc.conditionsNotCorrect };
        // 10.3.1: the response goes out before the reset.
        return { positive: ecuReset.encodeResponse(request.type), afterSent: () => parts.reset() };
      },
    },
    [Sid.clearDiagnosticInformation]: {
      minLength: 4,
      handle: (bytes) => clearDiagnosticInformation(device.nv, bytes),
    },
    [Sid.readDtcInformation]: {
      minLength: 2,
      subFunctions: DTC_REPORTS,
      handle: (bytes) => readDtcInformation(device.nv, bytes),
    },
    [Sid.readDataByIdentifier]: {
      minLength: 3,
      handle: (bytes, context) => readDataByIdentifier(parts, bytes, context),
    },
    [Sid.readMemoryByAddress]: {
      sessions: FACTORY_SESSIONS,
      functional: false,
      minLength: 4,
      handle: (bytes) => readMemoryByAddress(device, bytes),
    },
    [Sid.requestUpload]: {
      sessions: FACTORY_SESSIONS,
      functional: false,
      minLength: 5,
      handle: (bytes) => refuseUpload(device, bytes),
    },
    [Sid.writeDataByIdentifier]: secured(
      { minLength: 4, handle: (bytes, context) => writeDataByIdentifier(parts, bytes, context) },
      // What an application takes is written in the extended session; what the bootloader takes is not.
      application.takesWrites ? FACTORY_SESSIONS : undefined,
    ),
    [Sid.routineControl]: routines.handler(),
    [Sid.requestDownload]: secured({
      minLength: 5,
      handle: (bytes) => programming.requestDownload(bytes),
    }),
    [Sid.transferData]: secured({
      minLength: 2,
      handle: (bytes) => programming.transferData(bytes),
    }),
    [Sid.requestTransferExit]: secured({
      minLength: 1,
      handle: (bytes) => programming.transferExit(bytes),
    }),
    [Sid.requestFileTransfer]: secured({
      minLength: 5,
      handle: (bytes) => programming.requestFileTransfer(bytes),
    }),
  };
  if (application.takesControl) {
    handlers[Sid.inputOutputControlByIdentifier] = {
      minLength: 4,
      sessions: [Session.extended],
      functional: false,
      get security() {
        return parts.securityLevel();
      },
      handle: (bytes, context) => {
        if (device.identity.locked && context.authority !== 'tester') {
          return { nrc: Nrc.secureDataTransmissionRequired };
        }
        // The end of the extended session gives every output back.
        if (context.session !== Session.extended) return { nrc: Nrc.conditionsNotCorrect };
        return application.control(bytes, context.nowMs);
      },
    };
  }
  handlers[Sid.securedDataTransmission] = parts.securedData.handler(() => handlers);
  const { slowMs } = device.faults;
  return {
    ...(slowMs === undefined ? handlers : slowed(handlers, parts.clock, slowMs)),
    ...(parts.security && { [Sid.securityAccess]: onceThereIsAKey(parts.security, parts) }),
  };
}

/** The TMU has to come to its word while somebody else restarts an ECU on trial again and again. */
const RESTART_PAUSE_MS = 10_000;

function restartsTooOften({ flash, running, identity }: BootedEcu, nowMs: number): boolean {
  const isOnTrial = identity.locked && flash.record.trial !== null;
  return isOnTrial && running.requested && nowMs - running.sinceMs < RESTART_PAUSE_MS;
}

/** Without a key every attempt would fail and be counted: 22 says that something else is missing. */
function onceThereIsAKey(security: SecurityAccess, parts: ServiceParts): ServiceHandler {
  const handler = security.handler(FACTORY_SESSIONS);
  return {
    ...handler,
    handle: (request, context) => {
      if (parts.hasKey()) return handler.handle(request, context);
      parts.device.emit({ kind: 'not-ready', reason: HOW_TO_PROVISION });
      return { nrc: Nrc.conditionsNotCorrect };
    },
  };
}

function slowed(handlers: ServiceHandlers, clock: Clock, slowMs: number): ServiceHandlers {
  const slow = (handler: ServiceHandler): ServiceHandler => ({
    ...handler,
    handle: async (request, context) => {
      await sleep(clock, 'slow', slowMs);
      return handler.handle(request, context);
    },
  });
  return Object.fromEntries(
    Object.entries(handlers).map(([sid, handler]) => [sid, slow(handler!)]),
  );
}

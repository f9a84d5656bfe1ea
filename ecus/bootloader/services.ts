// The service table of one life of an ECU: which service exists in which session, and who answers it.

import { type Clock, sleep } from '../../src/core/clock.ts';
import type { Random } from '../../src/core/random.ts';
import { SecurityAccess } from '../../src/uds/security.ts';
import type { ServiceHandler, ServiceHandlers } from '../../src/uds/server-types.ts';
import * as ecuReset from '../../src/uds/services/ecu-reset.ts';
import { Session, Sid } from '../../src/uds/sid.ts';
import type { Device } from './device.ts';
import { readDataByIdentifier, writeDataByIdentifier } from './identification.ts';
import { MAX_SECURITY_ATTEMPTS } from './nv-data.ts';
import type { Programming } from './programming.ts';
import type { Routines } from './routines.ts';
import type { SeedKeyAlgorithm } from './security-key.ts';
import { clearDiagnosticInformation, DTC_REPORTS, readDtcInformation } from './trouble-codes.ts';

const SEED_BYTES = 16;

/** Service 27 for the ECU's algorithm, with the attempts in its non-volatile data. */
export function securityAccess(
  device: Device,
  algorithm: SeedKeyAlgorithm,
  random: Random,
  nowMs: number,
): SecurityAccess {
  const { nv } = device;
  return new SecurityAccess(
    {
      random,
      levels: [algorithm.level],
      seedLength: SEED_BYTES,
      keyLength: SEED_BYTES,
      checkKey: (_level, seed, key) => algorithm.accepts(seed, key),
      maxAttempts: MAX_SECURITY_ATTEMPTS,
      delayMs: 10_000,
      sessions: [Session.extended, Session.programming],
      record: { failedAttempts: nv.content.failedAttempts },
      save: ({ failedAttempts }) => nv.store({ failedAttempts }),
    },
    nowMs,
  );
}

export interface ServiceParts {
  readonly device: Device;
  readonly programming: Programming;
  readonly routines: Routines;
  /** Level of the key that programming needs; undefined for an ECU without one. */
  readonly securityLevel: number | undefined;
  readonly clock: Clock;
  reset(): void;
}

export function serviceHandlers(parts: ServiceParts): ServiceHandlers {
  const { device, programming, routines } = parts;
  const secured = {
    sessions: [Session.programming],
    functional: false,
    ...(parts.securityLevel !== undefined && { security: parts.securityLevel }),
  };
  const handlers: ServiceHandlers = {
    [Sid.ecuReset]: {
      minLength: 2,
      subFunctions: { 1: {}, 2: {}, 3: {} },
      handle: (bytes) => {
        const request = ecuReset.decodeRequest(bytes);
        if (typeof request === 'number') return { nrc: request };
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
      handle: (bytes, context) => readDataByIdentifier(device, bytes, context),
    },
    [Sid.writeDataByIdentifier]: {
      ...secured,
      minLength: 4,
      handle: (bytes) => writeDataByIdentifier(device, bytes),
    },
    [Sid.routineControl]: routines.handler(),
    [Sid.requestDownload]: {
      ...secured,
      minLength: 5,
      handle: (bytes) => programming.requestDownload(bytes),
    },
    [Sid.transferData]: {
      ...secured,
      minLength: 2,
      handle: (bytes) => programming.transferData(bytes),
    },
    [Sid.requestTransferExit]: {
      ...secured,
      minLength: 1,
      handle: (bytes) => programming.transferExit(bytes),
    },
    [Sid.requestFileTransfer]: {
      ...secured,
      minLength: 5,
      handle: (bytes) => programming.requestFileTransfer(bytes),
    },
  };
  const { slowMs } = device.faults;
  return slowMs === undefined ? handlers : slowed(handlers, parts.clock, slowMs);
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

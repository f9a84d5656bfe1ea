// The services of an ECU of another make beside those that every UDS server has: reset, data, security and programming.

import { asciiBytes, equalBytes, fromHex } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/random.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import { SecurityAccess } from '../../src/uds/security.ts';
import type { Reply, ServiceHandlers } from '../../src/uds/server-types.ts';
import * as readDataByIdentifier from '../../src/uds/services/read-data-by-identifier.ts';
import * as routineControl from '../../src/uds/services/routine-control.ts';
import * as securityAccess from '../../src/uds/services/security-access.ts';
import { Did, Session } from '../../src/uds/sid.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import { seedKeyCheck } from '../bootloader/diagnostics/security-access.ts';
import type { ForeignProgramming } from './programming.ts';

export interface ForeignServices {
  readonly ecu: VehicleEcu;
  readonly programming: ForeignProgramming;
  /** Version of its application; undefined: it stays in its bootloader. */
  version(): string | undefined;
  session(): number;
  reset(request: Uint8Array): Reply;
}

export function foreignHandlers(services: ForeignServices): ServiceHandlers {
  const { programming, ecu } = services;
  const sessions = [Session.programming];
  const security = ecu.security.algorithm === 'none' ? undefined : ecu.security.level;
  const writing = { sessions, minLength: 1, security, functional: false };
  return {
    17: { minLength: 2, handle: (request) => services.reset(request) },
    34: { minLength: 3, handle: (request) => read(request, services) },
    46: { minLength: 4, functional: false, handle: (request) => programming.write(request) },
    49: {
      minLength: 4,
      handle: (request, { session, securityLevel }) => {
        if (session !== Session.programming) return routineOutside(request, services);
        if (security !== undefined && securityLevel !== security) {
          return { nrc: Nrc.securityAccessDenied };
        }
        return programming.routine(request);
      },
    },
    52: { ...writing, handle: (request) => programming.download(request) },
    54: { ...writing, handle: (request) => programming.block(request) },
    55: { ...writing, handle: () => programming.exit() },
  };
}

/** Undefined for an ECU that asks for no key. */
export function foreignSecurity(
  { security, name }: VehicleEcu,
  random: Random,
  nowMs: number,
): SecurityAccess | undefined {
  const check = seedKeyCheck(security, name, () => null);
  if (check === undefined) return undefined;
  const access = new SecurityAccess(
    {
      ...{ random, levels: [check.level], seedLength: check.seedBytes, keyLength: check.keyBytes },
      checkKey: (_level, seed, key) => check.accepts(seed, key),
      sessions: [Session.extended, Session.programming],
    },
    nowMs,
  );
  const dataRecord = security.algorithm === 'none' ? undefined : security.dataRecord;
  if (dataRecord === undefined) return access;
  const makeHandler = access.handler.bind(access);
  // 10.4.2: the maker defines the record. This ECU gives a seed only for the right one.
  access.handler = (notDefault) => {
    const handler = makeHandler(notDefault);
    return {
      ...handler,
      handle: (request, context) => {
        const wanted = securityAccess.decodeRequest(request);
        return typeof wanted !== 'number' &&
          wanted.kind === 'requestSeed' &&
          !equalBytes(wanted.data, fromHex(dataRecord))
          ? { nrc: Nrc.requestOutOfRange }
          : handler.handle(request, context);
      },
    };
  };
  return access;
}

function routineOutside(request: Uint8Array, { ecu, programming }: ForeignServices): Reply {
  const wanted = routineControl.decodeRequest(request);
  if (typeof wanted === 'number') return { nrc: wanted };
  const { preconditionsRoutine, preconditions } = ecu.programming;
  if (wanted.routine === preconditionsRoutine && preconditions !== 'skip') {
    return programming.preconditions(wanted.data);
  }
  return programming.own(request) ?? { nrc: Nrc.requestOutOfRange };
}

function read(request: Uint8Array, services: ForeignServices): Reply {
  const wanted = readDataByIdentifier.decodeRequest(request);
  if (typeof wanted === 'number') return { nrc: wanted };
  const [did] = wanted.dids;
  const data = did === undefined ? undefined : didValue(did, services);
  if (wanted.dids.length !== 1 || did === undefined || data === undefined) {
    return services.programming.own(request) ?? { nrc: Nrc.requestOutOfRange };
  }
  return { positive: readDataByIdentifier.encodeResponse({ did, data }) };
}

function didValue(did: number, { ecu, version, session }: ForeignServices): Uint8Array | undefined {
  switch (did) {
    case Did.ecuHardwareNumber:
      return asciiBytes(ecu.hardwareId);
    case Did.ecuSoftwareVersion: {
      const told = version();
      return told === undefined ? undefined : asciiBytes(told);
    }
    case Did.ecuSerialNumber:
      return asciiBytes(`${ecu.name}-0001`);
    case Did.activeDiagnosticSession:
      return Uint8Array.of(session());
    default:
      return undefined;
  }
}

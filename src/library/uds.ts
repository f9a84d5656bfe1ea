// `can-ota/uds`: ISO 14229-1 as a library: client, server, and the codec of each service.

import type { CanBus } from '../bus/can-bus.ts';
import { systemClock } from '../core/clock.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import type { AddressSpec } from '../isotp/address.ts';
import { type ClientTiming, UdsClient } from '../uds/client.ts';
import { type ServiceHandlers, UdsServer, type UdsServerOptions } from '../uds/server.ts';
import { type IsoTpOptions, openEcu, openTester } from './isotp.ts';

export type { ClientTiming } from '../uds/client.ts';
export { UdsClient } from '../uds/client.ts';
export { UdsError } from '../uds/error.ts';
export { Nrc, nrcText } from '../uds/nrc.ts';
export type { RequestOptions, UdsReply, UdsRequester } from '../uds/reply.ts';
export { SecurityAccess, type SecurityOptions } from '../uds/security.ts';
export type {
  Reply,
  ServiceContext,
  ServiceHandler,
  ServiceHandlers,
  UdsServerOptions,
} from '../uds/server.ts';
export { UdsServer } from '../uds/server.ts';
export { Sid, sidText } from '../uds/services/all.ts';
export * as authentication from '../uds/services/authentication.ts';
export * as clearDiagnosticInformation from '../uds/services/clear-diagnostic-information.ts';
export * as communicationControl from '../uds/services/communication-control.ts';
export * as controlDtcSetting from '../uds/services/control-dtc-setting.ts';
export * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
export * as ecuReset from '../uds/services/ecu-reset.ts';
export * as inputOutputControl from '../uds/services/input-output-control.ts';
export * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
export * as readDtcInformation from '../uds/services/read-dtc-information.ts';
export * as readMemoryByAddress from '../uds/services/read-memory-by-address.ts';
export * as requestDownload from '../uds/services/request-download.ts';
export * as requestFileTransfer from '../uds/services/request-file-transfer.ts';
export * as requestTransferExit from '../uds/services/request-transfer-exit.ts';
export * as requestUpload from '../uds/services/request-upload.ts';
export * as routineControl from '../uds/services/routine-control.ts';
export * as securityAccess from '../uds/services/security-access.ts';
export * as testerPresent from '../uds/services/tester-present.ts';
export * as transferData from '../uds/services/transfer-data.ts';
export * as writeDataByIdentifier from '../uds/services/write-data-by-identifier.ts';
export { Session } from '../uds/sid.ts';

/** Times of ISO 14229-2 with a margin for gateways, and two minutes of responsePending. */
const TIMING: ClientTiming = { p2Ms: 500, p2StarMs: 5000, pendingLimitMs: 120_000 };

export interface ConnectOptions extends IsoTpOptions {
  readonly timing?: Partial<ClientTiming>;
  readonly logger?: Logger;
}

/** A client of one ECU, with its connections; `close` ends both. */
export interface Tester extends Disposable {
  readonly client: UdsClient;
  close(): void;
}

/** Throws RangeError for a configuration that contradicts the bus. */
export function connectTester(
  bus: CanBus,
  address: AddressSpec,
  options: ConnectOptions = {},
): Tester {
  const { clock = systemClock, logger = silentLogger, timing } = options;
  const { physical, functional } = openTester(bus, address, options);
  const client = new UdsClient({
    connection: physical,
    ...(functional && { functional }),
    clock,
    timing: { ...TIMING, ...timing },
    logger,
  });
  const close = (): void => {
    client.close();
    physical.close();
    functional?.close();
  };
  return { client, close, [Symbol.dispose]: close };
}

export interface ServeOptions
  extends IsoTpOptions,
    Omit<UdsServerOptions, 'physical' | 'functional' | 'clock' | 'handlers'> {
  /** By service identifier; 10, 28, 3E and 85 are built in. */
  readonly handlers: ServiceHandlers;
}

/** A server with its connections; `close` ends both. */
export interface ServedEcu extends Disposable {
  readonly server: UdsServer;
  close(): void;
}

/** Throws RangeError for a configuration that contradicts the bus. */
export function serveEcu(bus: CanBus, address: AddressSpec, options: ServeOptions): ServedEcu {
  const { clock = systemClock } = options;
  const { physical, functional } = openEcu(bus, address, options);
  const server = new UdsServer({ ...options, physical, ...(functional && { functional }), clock });
  const close = (): void => {
    server.close();
    physical.close();
    functional?.close();
  };
  return { server, close, [Symbol.dispose]: close };
}

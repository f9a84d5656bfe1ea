// `can-ota/can`: buses, frames and candump logs as a library. Clock and logger have defaults here.

import type { CanBus } from '../bus/can-bus.ts';
import { openBus as openNamedBus } from '../bus/open-bus.ts';
import { systemClock } from '../core/clock.ts';
import { type Logger, silentLogger } from '../core/logger.ts';

export type {
  BusFrame,
  BusState,
  BusStateChange,
  BusStatistics,
  CanBus,
  CanFilter,
  SendOutcome,
  Subscription,
} from '../bus/can-bus.ts';
export { BusError, exactFilter } from '../bus/can-bus.ts';
export type { CanFrame } from '../bus/can-frame.ts';
export { classicFrame, fdFrame, frameText, parseFrameText } from '../bus/can-frame.ts';
export type { LogEntry } from '../bus/candump-log.ts';
export { formatLogEntry, parseLogLine } from '../bus/candump-log.ts';

/**
 * Opens a bus by name: `can0` and `vcan0` are interfaces of Linux, `local:NAME` joins processes of this user
 * (`?bitrate=500000&data-bitrate=2000000`, 0 for an unpaced bus). The caller closes the bus. Throws BusError.
 */
export async function openBus(
  spec: string,
  { fd = false, logger = silentLogger }: { readonly fd?: boolean; readonly logger?: Logger } = {},
): Promise<CanBus> {
  const { bus } = await openNamedBus(spec, { clock: systemClock, fd, logger });
  return bus;
}

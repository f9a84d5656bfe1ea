// Puts the driver of one OpenBLT board on a bus: its XCP master and the frames of its application.

import { type CanBus, exactFilter } from '../bus/can-bus.ts';
import { InputError } from '../core/errors.ts';
import { OpenbltDriver, type OpenbltDriverOptions } from '../drivers/openblt.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import { XcpMaster } from '../xcp/master.ts';

export function isBoard({ programming }: VehicleEcu): boolean {
  return programming.protocol === 'openblt';
}

export interface BoardOnBus {
  readonly driver: OpenbltDriver;
  /** The bus belongs to the caller. */
  close(): void;
}

/** Throws InputError for an address that XCP on CAN cannot have; the vehicle file is checked when it is loaded. */
export function boardOnBus(
  bus: CanBus,
  options: Omit<OpenbltDriverOptions, 'requester' | 'frames'>,
): BoardOnBus {
  const { ecu, clock, logger } = options;
  const { address, timing } = ecu;
  if (address.mode !== 'normal') {
    throw new InputError(
      ecu.name,
      `XCP has no ${address.mode} addressing: set address.mode normal`,
    );
  }
  const { openblt } = ecu.programming;
  const master = new XcpMaster({
    ...{ bus, address, clock },
    timing: { ...openblt.timing, busyLimitMs: timing.busyLimitMs },
    padding: openblt.padding ?? undefined,
    ...(logger === undefined ? {} : { logger }),
  });
  const driver = new OpenbltDriver({
    ...options,
    requester: master,
    frames: {
      listen: ({ id, extended }, onFrame) => bus.subscribe([exactFilter(id, extended)], onFrame),
    },
  });
  return { driver, close: () => master.close() };
}

// What a vehicle file may not ask of a board with OpenBLT: it speaks XCP with its boot loader, and no UDS.

import type { VehicleFault } from './check-conditions.ts';
import type { Vehicle, VehicleEcu } from './schema.ts';

/** The first mistake; undefined when there is none. */
export function faultOfBoards({ ecus, approval, signals }: Vehicle): VehicleFault | undefined {
  for (const [index, ecu] of ecus.entries()) {
    if (ecu.programming.protocol !== 'openblt') continue;
    const fault = faultOfBoard(ecu);
    if (fault !== undefined) return { ...fault, path: ['ecus', index, ...fault.path] };
    if (approval?.ecu === ecu.name) {
      return {
        path: ['approval', 'ecu'],
        message: `${ecu.name} is a board with OpenBLT, which cannot ask the driver: name an ECU with UDS`,
      };
    }
    const signal = Object.entries(signals).find(([, { ecu: source }]) => source === ecu.name);
    if (signal !== undefined) {
      return {
        path: ['signals', signal[0], 'ecu'],
        message: `${ecu.name} is a board with OpenBLT, which has no data identifiers: name an ECU with UDS`,
      };
    }
  }
  return undefined;
}

function faultOfBoard({ name, address, fd, data, commands }: VehicleEcu): VehicleFault | undefined {
  if (address.mode !== 'normal') {
    return {
      path: ['address', 'mode'],
      message: `${name} is a board with OpenBLT: expected normal, because XCP has two identifiers and no address bytes`,
    };
  }
  if (fd !== false) {
    return {
      path: ['fd'],
      message: `${name} is a board with OpenBLT: expected false, XCP 1.0 has frames of 8 bytes`,
    };
  }
  for (const [field, entries] of Object.entries({ data, commands })) {
    if (Object.keys(entries).length === 0) continue;
    return {
      path: [field],
      message: `${name} is a board with OpenBLT, which has no services besides programming: leave ${field} out`,
    };
  }
  return undefined;
}

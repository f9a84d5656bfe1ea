// `can-ota/isotp`: ISO 15765-2 as a library: addresses, and a connection of either side on a bus.

import type { CanBus } from '../bus/can-bus.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { type AddressSpec, reverseAddress, testerAddresses } from '../isotp/address.ts';
import { IsoTpChannel } from '../isotp/channel.ts';
import type { IsoTpConfig } from '../isotp/config.ts';

export type { AddressSpec, CanId, IsoTpAddress } from '../isotp/address.ts';
export {
  extendedAddress,
  mixedAddress,
  mixedFixedAddress,
  normalAddress,
  normalFixedAddress,
} from '../isotp/address.ts';
export { IsoTpChannel } from '../isotp/channel.ts';
export type { IsoTpConfig } from '../isotp/config.ts';
export { defaultIsoTpConfig } from '../isotp/config.ts';
export type {
  ConnectionListener,
  IsoTpConnection,
  NResult,
  SendResult,
} from '../isotp/connection.ts';

export interface IsoTpOptions {
  readonly config?: Partial<IsoTpConfig>;
  /** The clock of the machine by default; a test hands in a virtual one. */
  readonly clock?: Clock;
}

/** The connections of one side: `functional` reaches all ECUs, where the address has one. */
export interface IsoTpPair {
  readonly physical: IsoTpChannel;
  readonly functional: IsoTpChannel | undefined;
}

/** Opens the tester's side. Throws RangeError for a configuration that contradicts the bus. */
export function openTester(
  bus: CanBus,
  address: AddressSpec,
  options: IsoTpOptions = {},
): IsoTpPair {
  const { physical, functional } = testerAddresses(address);
  return pairOf(bus, physical, functional, options);
}

/** Opens the ECU's side. Throws RangeError for a configuration that contradicts the bus. */
export function openEcu(bus: CanBus, address: AddressSpec, options: IsoTpOptions = {}): IsoTpPair {
  const { physical, functional } = testerAddresses(address);
  return pairOf(bus, reverseAddress(physical), functional && reverseAddress(functional), options);
}

function pairOf(
  bus: CanBus,
  physical: ReturnType<typeof reverseAddress>,
  functional: ReturnType<typeof reverseAddress> | undefined,
  { config = {}, clock = systemClock }: IsoTpOptions,
): IsoTpPair {
  const common = { bus, clock, config };
  return {
    physical: new IsoTpChannel({ ...common, address: physical }),
    functional:
      functional && new IsoTpChannel({ ...common, address: functional, kind: 'functional' }),
  };
}

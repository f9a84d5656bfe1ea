// Buses by name: reads the text that names a bus, and opens the bus.

import type { Clock } from '../core/clock.ts';
import { describeError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { BusError, type CanBus } from './can-bus.ts';
import { interfaceStatus, isInterfaceName, MAX_INTERFACE_NAME } from './interface-status.ts';
import { LocalBus } from './local-bus.ts';
import { SocketCanBus } from './socketcan-bus.ts';

export type BusSpec =
  | { readonly kind: 'socketcan'; readonly interfaceName: string }
  | {
      readonly kind: 'local';
      readonly name: string;
      /** Nominal bit rate in bit/s; 0: unpaced; undefined: that of the wire. */
      readonly bitrate: number | undefined;
      readonly dataBitrate: number | undefined;
    };

export interface OpenBusOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** CAN FD will be used: an interface without CAN FD is refused. */
  readonly fd?: boolean;
  /** Whether this process may run the wire of a local bus; true by default. */
  readonly hostBroker?: boolean;
}

export interface OpenedBus {
  readonly bus: CanBus;
  /** Which bus it is and why, for the output: `local:bench, because there is no interface vcan0`. */
  readonly why: string;
}

const DEFAULT_INTERFACE = 'vcan0';
const DEFAULT_LOCAL = 'bench';

/** Nominal: ISO 11898-2 up to 1 Mbit/s, and what slow buses use. Data phase: up to CAN FD SIC. */
const BITRATES = { min: 10_000, max: 1_000_000 };
const DATA_BITRATES = { min: 10_000, max: 8_000_000 };

const ACCEPTED =
  'accepted are an interface (vcan0, can0, socketcan:can0) and the embedded bus (local:NAME, ' +
  'local:NAME?bitrate=500000&data-bitrate=2000000, local:NAME?bitrate=0 for one without pacing)';

function bad(text: string, what: string): BusError {
  return new BusError('BAD_SPEC', `"${text}" names no bus: ${what}; ${ACCEPTED}`);
}

/** Throws BusError BAD_SPEC; its message says what is accepted. */
export function parseBusSpec(text: string): BusSpec {
  const local = /^local:([^?]*)(?:\?(.*))?$/s.exec(text);
  if (local !== null) {
    const [, name = '', parameters] = local;
    return parseLocal(text, name, parameters);
  }
  const interfaceName = text.startsWith('socketcan:') ? text.slice('socketcan:'.length) : text;
  if (interfaceName === '') throw bad(text, 'the name is empty');
  if (interfaceName === 'local') throw bad(text, 'the embedded bus needs a name');
  if (!isInterfaceName(interfaceName)) {
    throw bad(
      text,
      `an interface name has 1 to ${MAX_INTERFACE_NAME} characters without blanks, "/", ":" and "%"`,
    );
  }
  return { kind: 'socketcan', interfaceName };
}

function parseLocal(text: string, name: string, query: string | undefined): BusSpec {
  if (!/^[A-Za-z0-9._-]{0,64}$/.test(name)) {
    throw bad(text, "a local name has up to 64 letters, digits, '.', '_' and '-'");
  }
  let bitrate: number | undefined;
  let dataBitrate: number | undefined;
  const seen = new Set<string>();
  for (const [key, value] of new URLSearchParams(query ?? '')) {
    if (seen.has(key)) throw bad(text, `${key} is given twice`);
    seen.add(key);
    if (key === 'bitrate') bitrate = value === '0' ? 0 : rate(text, key, value, BITRATES);
    else if (key === 'data-bitrate') dataBitrate = rate(text, key, value, DATA_BITRATES);
    else throw bad(text, `the option "${key}" is unknown`);
  }
  return { kind: 'local', name: name === '' ? DEFAULT_LOCAL : name, bitrate, dataBitrate };
}

function rate(
  text: string,
  key: string,
  value: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max)) {
    throw bad(text, `${key} is "${value}", not a number of bit/s from ${min} to ${max}`);
  }
  return number;
}

/**
 * Opens the bus that `spec` names. Without `spec` it opens `vcan0` where that exists and can be opened, otherwise
 * `local:bench`. Rejects with BusError.
 */
export async function openBus(
  spec: string | undefined,
  options: OpenBusOptions,
): Promise<OpenedBus> {
  if (spec !== undefined) {
    const parsed = parseBusSpec(spec);
    const bus = await openSpec(parsed, options);
    return { bus, why: `${describeBus(bus)}, as asked for` };
  }
  let because = `there is no interface ${DEFAULT_INTERFACE}`;
  if (interfaceStatus(DEFAULT_INTERFACE) !== undefined) {
    try {
      const bus = await openSpec({ kind: 'socketcan', interfaceName: DEFAULT_INTERFACE }, options);
      return { bus, why: `${describeBus(bus)}, because the interface is there` };
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      because = `${DEFAULT_INTERFACE} cannot be used: ${describeError(error)}`;
    }
  }
  const bus = await openSpec(
    { kind: 'local', name: DEFAULT_LOCAL, bitrate: undefined, dataBitrate: undefined },
    options,
  );
  return { bus, why: `${describeBus(bus)}, because ${because}` };
}

async function openSpec(spec: BusSpec, options: OpenBusOptions): Promise<CanBus> {
  const { clock, logger } = options;
  if (spec.kind === 'local') {
    return LocalBus.open({
      name: spec.name,
      bitrate: spec.bitrate,
      dataBitrate: spec.dataBitrate,
      clock,
      logger,
      hostBroker: options.hostBroker ?? true,
    });
  }
  return SocketCanBus.open({
    interfaceName: spec.interfaceName,
    clock,
    logger,
    fd: options.fd ?? false,
  });
}

/** `vcan0`, `local:bench at 500000/2000000 bit/s`, `local:bench, unpaced`. */
export function describeBus(bus: CanBus): string {
  const name = bus.kind === 'socketcan' ? bus.name : `${bus.kind}:${bus.name}`;
  if (bus.bitrate !== undefined) {
    const data = bus.fd && bus.dataBitrate !== undefined ? `/${bus.dataBitrate}` : '';
    return `${name} at ${bus.bitrate}${data} bit/s`;
  }
  return bus.kind === 'local' ? `${name} without pacing` : name;
}

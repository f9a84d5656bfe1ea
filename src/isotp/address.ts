// ISO 15765-2:2016 10.3: addressing of messages. One address serves both directions to and from one peer.

import { type CanFilter, exactFilter } from '../bus/can-bus.ts';

/** An identifier with its width. */
export interface CanId {
  readonly id: number;
  readonly extended: boolean;
}

/**
 * An address in the form of the wire: the identifier to send with, the identifier to listen to, and the address byte
 * before the PCI in extended and mixed addressing (otherwise undefined). Built by the functions below.
 */
export interface IsoTpAddress {
  readonly mode: 'normal' | 'normal-fixed' | 'extended' | 'mixed';
  readonly tx: CanId;
  readonly rx: CanId;
  readonly txAddressByte: number | undefined;
  readonly rxAddressByte: number | undefined;
}

/** 10.3.2 normal addressing: the identifiers alone, 11 or 29 bit. */
export function normalAddress(tx: CanId, rx: CanId): IsoTpAddress {
  return { mode: 'normal', tx, rx, txAddressByte: undefined, rxAddressByte: undefined };
}

/** 10.3.3 normal fixed addressing: 29 bit, 18DA<target><source> physical, 18DB<target><source> functional. */
export function normalFixedAddress(
  source: number,
  target: number,
  kind: 'physical' | 'functional' = 'physical',
  priority = 6,
): IsoTpAddress {
  const format = kind === 'physical' ? 0xda : 0xdb;
  return normalAddressAs('normal-fixed', format, source, target, priority);
}

/** 10.3.4 extended addressing: the first data byte is the target address. */
export function extendedAddress(
  tx: CanId,
  rx: CanId,
  target: number,
  source: number,
): IsoTpAddress {
  return { mode: 'extended', tx, rx, txAddressByte: target, rxAddressByte: source };
}

/** 10.3.5 mixed addressing: the first data byte is the address extension, both ways. */
export function mixedAddress(tx: CanId, rx: CanId, extension: number): IsoTpAddress {
  return { mode: 'mixed', tx, rx, txAddressByte: extension, rxAddressByte: extension };
}

/** 10.3.5.2 mixed addressing with 29 bit: 18CE<target><source> physical, 18CD functional. */
export function mixedFixedAddress(
  source: number,
  target: number,
  extension: number,
  kind: 'physical' | 'functional' = 'physical',
  priority = 6,
): IsoTpAddress {
  const base = normalAddressAs(
    'mixed',
    kind === 'physical' ? 0xce : 0xcd,
    source,
    target,
    priority,
  );
  return { ...base, txAddressByte: extension, rxAddressByte: extension };
}

function normalAddressAs(
  mode: IsoTpAddress['mode'],
  format: number,
  source: number,
  target: number,
  priority: number,
): IsoTpAddress {
  const head = (priority << 26) | (format << 16);
  return {
    mode,
    tx: { id: head | (target << 8) | source, extended: true },
    rx: { id: head | (source << 8) | target, extended: true },
    txAddressByte: undefined,
    rxAddressByte: undefined,
  };
}

/** The address as the other end of the same conversation uses it. */
export function reverseAddress(address: IsoTpAddress): IsoTpAddress {
  return {
    mode: address.mode,
    tx: address.rx,
    rx: address.tx,
    txAddressByte: address.rxAddressByte,
    rxAddressByte: address.txAddressByte,
  };
}

/** The kernel filter that accepts the frames of this peer only. */
export function receiveFilter(address: IsoTpAddress): CanFilter {
  return exactFilter(address.rx.id, address.rx.extended);
}

/** An address in the form of the vehicle description, from the tester's side. */
export type AddressSpec =
  | {
      readonly mode: 'normal';
      readonly request: number;
      readonly response: number;
      readonly functional?: number | undefined;
      readonly extended: boolean;
    }
  | {
      readonly mode: 'normal-fixed';
      readonly ecu: number;
      readonly tester: number;
      readonly functional: number;
    }
  | {
      readonly mode: 'extended';
      readonly request: number;
      readonly response: number;
      readonly functional?: number | undefined;
      readonly extended: boolean;
      readonly ecu: number;
      readonly tester: number;
      /** The target address byte of a functional request to all ECUs (10.3.4). */
      readonly functionalEcu: number;
    }
  | {
      readonly mode: 'mixed';
      readonly request: number;
      readonly response: number;
      readonly functional?: number | undefined;
      readonly extended: boolean;
      readonly extension: number;
    };

/** The addresses of the tester; the ECU takes `reverseAddress` of each. The tester only sends on `functional`. */
export function testerAddresses(spec: AddressSpec): {
  readonly physical: IsoTpAddress;
  readonly functional: IsoTpAddress | undefined;
} {
  if (spec.mode === 'normal-fixed') {
    return {
      physical: normalFixedAddress(spec.tester, spec.ecu),
      functional: normalFixedAddress(spec.tester, spec.functional, 'functional'),
    };
  }
  const { extended } = spec;
  const tx = { id: spec.request, extended };
  const rx = { id: spec.response, extended };
  const all = spec.functional === undefined ? undefined : { id: spec.functional, extended };
  switch (spec.mode) {
    case 'normal':
      return { physical: normalAddress(tx, rx), functional: all && normalAddress(all, rx) };
    case 'extended':
      return {
        physical: extendedAddress(tx, rx, spec.ecu, spec.tester),
        functional: all && extendedAddress(all, rx, spec.functionalEcu, spec.tester),
      };
    case 'mixed':
      return {
        physical: mixedAddress(tx, rx, spec.extension),
        functional: all && mixedAddress(all, rx, spec.extension),
      };
  }
}

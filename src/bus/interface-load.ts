// Kernel counters of a CAN interface as facts about the wire: time in use, errors, dropped frames.

import { defined } from '../core/optional.ts';
import type { WireFacts } from './can-bus.ts';
import type { InterfaceFacts } from './interface-facts.ts';
import { carriesFd, interfaceCounter } from './interface-status.ts';

export interface CountedFrames {
  readonly frames: number;
  /** Payload bytes. */
  readonly bytes: number;
}

/** Bits of a CAN 2.0 frame with 11 bit identifier besides its data, intermission included, without stuff bits. */
const CLASSIC_BITS = 1 + 11 + 1 + 2 + 4 + 15 + 1 + 2 + 7 + 3;
/** Bits of a CAN FD frame with BRS at the nominal bit rate: SOF to the BRS bit, CRC delimiter to intermission. */
const FD_NOMINAL_BITS = 17 + 1 + 2 + 7 + 3;
/** Bits at the data bit rate besides the data: ESI and DLC, stuff count, CRC of 17 bits and their fixed stuff bits. */
const FD_DATA_BITS = 5 + 4 + 17 + 6;

/**
 * The least time that these frames took. The kernel counts frames and bytes only. It does not count stuff bits, 29 bit
 * identifiers or CAN FD frames, and each of these can only make the time longer.
 */
export function leastBusyMs(
  { frames, bytes }: CountedFrames,
  wire: { readonly bitrate: number; readonly dataBitrate?: number | undefined },
): number {
  const { bitrate, dataBitrate } = wire;
  const classicS = CLASSIC_BITS / bitrate;
  if (dataBitrate === undefined) return 1000 * (frames * classicS + (8 * bytes) / bitrate);
  const fdS = FD_NOMINAL_BITS / bitrate + FD_DATA_BITS / dataBitrate;
  const fastest = Math.max(bitrate, dataBitrate);
  return 1000 * (frames * Math.min(classicS, fdS) + (8 * bytes) / fastest);
}

/** A virtual interface has no bit rate and therefore no load. */
export function interfaceWireFacts(name: string, facts: InterfaceFacts): WireFacts {
  const counted = (of: 'packets' | 'bytes' | 'errors' | 'dropped'): number | undefined => {
    const received = interfaceCounter(name, `rx_${of}`);
    const sent = interfaceCounter(name, `tx_${of}`);
    return received === undefined || sent === undefined ? undefined : received + sent;
  };
  const frames = counted('packets');
  const bytes = counted('bytes');
  const { bitrate, errorCounters } = facts;
  const dataBitrate = carriesFd(facts) ? facts.dataBitrate : undefined;
  const busy =
    bitrate === undefined || frames === undefined || bytes === undefined
      ? {}
      : { busyMs: leastBusyMs({ frames, bytes }, { bitrate, dataBitrate }), isLeast: true };
  const errors = counted('errors');
  const dropped = counted('dropped');
  return {
    era: `interface ${facts.index}`,
    ...busy,
    ...defined({ errors, dropped, errorCounters }),
  };
}

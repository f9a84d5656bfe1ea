// Sees in which frames an ECU answers: classic CAN or CAN FD, and how long they are.

import type { CanBus } from '../bus/can-bus.ts';
import { receiveFilter, testerAddresses } from '../isotp/address.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';

/** `short`: frames of up to 8 bytes on a bus whose receiver does not tell which of these are CAN FD. */
export type AnswerFrames = 'none' | 'classic' | 'fd' | 'short';

export interface FrameWatch {
  readonly frames: AnswerFrames;
  /** Bytes of the longest frame. */
  readonly longest: number;
  close(): void;
}

const CLASSIC_BYTES = 8;

/** Watches the answers of one ECU to this process from now on, until `close`. */
export function watchAnswers(bus: CanBus, ecu: Pick<VehicleEcu, 'address'>): FrameWatch {
  const { physical } = testerAddresses(ecu.address);
  let longest = 0;
  let count = 0;
  let isFd = false;
  const subscription = bus.subscribe([receiveFilter(physical)], ({ frame }) => {
    const { rxAddressByte } = physical;
    if (rxAddressByte !== undefined && frame.data[0] !== rxAddressByte) return;
    count++;
    isFd ||= frame.fd;
    longest = Math.max(longest, frame.data.length);
  });
  // A reader of SocketCAN gets no FD flag: only a frame above 8 bytes is CAN FD for certain.
  const tellsShort = bus.kind !== 'socketcan' || !bus.fd;
  return {
    get frames(): AnswerFrames {
      if (count === 0) return 'none';
      if (longest > CLASSIC_BYTES) return 'fd';
      if (!tellsShort) return 'short';
      return isFd ? 'fd' : 'classic';
    },
    get longest(): number {
      return longest;
    },
    close: () => subscription.close(),
  };
}

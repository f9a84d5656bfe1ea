// A second tester at the diagnostic connector speaks with an ECU at the same time.

import { classicFrame } from '../../bus/can-frame.ts';
import { itemAt } from '../../core/present.ts';
import { testerAddresses } from '../../isotp/address.ts';
import { findEcu } from '../../vehicle/load.ts';
import type { EcuName } from '../machine-names.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface SecondTester {
  readonly category: 'bus';
  readonly kind: 'second-tester';
  readonly at: Trigger;
  readonly ecu: EcuName;
  readonly requests: number;
}

const GAP_MS = 50;
/** Default session, tester present, a seed, a version: what a workshop's tester sends when it is connected. */
const PAYLOADS = [
  [0x02, 0x10, 0x01],
  [0x02, 0x3e, 0x00],
  [0x02, 0x10, 0x03],
  [0x02, 0x27, 0x01],
  [0x03, 0x22, 0xf1, 0x89],
];

export const secondTester = faultModule<SecondTester, Trigger>({
  category: 'bus',
  kind: 'second-tester',
  draw: (draw, at) => ({
    category: 'bus',
    kind: 'second-tester',
    at,
    ecu: draw.ecu(),
    requests: draw.between(1, 20),
  }),
  fire({ ecu, requests }, { vehicle, clock, mend }) {
    const { tx } = testerAddresses(findEcu(vehicle.vehicle, ecu).address).physical;
    const bus = vehicle.wire.attach('second-tester');
    const ask = (left: number): void => {
      if (left === 0) {
        void bus.close();
        return;
      }
      const payload = itemAt(PAYLOADS, left % PAYLOADS.length);
      const data = Uint8Array.from([...payload, 0, 0, 0, 0, 0]).subarray(0, 8);
      bus.send(classicFrame(tx.id, data, tx.extended));
      clock.after('second-tester', GAP_MS, () => ask(left - 1));
    };
    mend(requests * GAP_MS, () => {});
    ask(requests);
  },
});

// ISO-TP over a simulated wire that corrupts frames.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { normalAddress } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

const BITRATE = 500_000;

it('ISO-TP carries every message over a wire that spoils frames, with no retry of its own', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 4095 }), async (seed, length) => {
      const clock = new VirtualClock();
      const wire = new SimulatedWire({ clock, bitrate: BITRATE });
      const random = seededRandom(seed);
      wire.filter = () => (random.fraction() < 0.1 ? 'corrupt' : 'pass');
      const ids = [0x7e0, 0x7e8].map((id) => ({ id, extended: false })) as [never, never];
      const sender = new IsoTpChannel({
        bus: wire.attach('tester'),
        clock,
        address: normalAddress(ids[0], ids[1]),
      });
      const receiver = new IsoTpChannel({
        bus: wire.attach('ecu'),
        clock,
        address: normalAddress(ids[1], ids[0]),
      });
      const message = random.bytes(length);
      const received = new Promise<Uint8Array>((resolve, reject) => {
        receiver.listen({
          onMessage: resolve,
          onReceiveError: (_result, reason) => reject(new Error(reason)),
        });
      });
      sender.send(message);
      expect(await clock.run(received, 10_000, { strict: true })).toEqual(message);
    }),
    { numRuns: 30 },
  );
});

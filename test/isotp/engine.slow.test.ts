// Any message through any configuration of sender and receiver.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { defaultIsoTpConfig } from '../../src/isotp/config.ts';
import { decodePci } from '../../src/isotp/pci.ts';
import { IsoTpReceiver } from '../../src/isotp/receiver.ts';
import { IsoTpSender } from '../../src/isotp/sender.ts';

it('survives any frames in any order (fixed budget)', () => {
  const input = fc.oneof(
    fc.record({ kind: fc.constant('frame' as const), data: fc.uint8Array({ maxLength: 64 }) }),
    fc.record({ kind: fc.constant('tick' as const), ms: fc.nat(3000) }),
    fc.record({ kind: fc.constant('confirm' as const) }),
    fc.record({
      kind: fc.constant('send' as const),
      message: fc.uint8Array({ minLength: 1, maxLength: 300 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(input, { maxLength: 60 }), (inputs) => {
      const sender = new IsoTpSender(defaultIsoTpConfig, undefined, 4);
      const receiver = new IsoTpReceiver({ ...defaultIsoTpConfig, blockSize: 3 }, undefined);
      let nowMs = 0;
      for (const step of inputs) {
        if (step.kind === 'frame') {
          const pci = decodePci(step.data, 0);
          if (pci.kind === 'flow-control') sender.flowControl(pci, nowMs);
          else receiver.frame(pci, step.data, nowMs);
        } else if (step.kind === 'tick') {
          nowMs += step.ms;
          sender.tick(nowMs);
          receiver.tick(nowMs);
        } else if (step.kind === 'confirm') {
          sender.confirmed(nowMs);
          receiver.confirmed(nowMs);
        } else if (sender.idle) sender.begin(step.message);
        while (sender.pull(nowMs) !== undefined);
        receiver.pull(nowMs);
        while (receiver.take() !== undefined);
        for (const engine of [sender, receiver]) {
          expect(engine.dueMs()).toBe(engine.deadline()?.atMs ?? Number.POSITIVE_INFINITY);
        }
      }
      // Whatever came before: after silence both are idle and a good message passes.
      for (const ms of [1000, 2000, 3000, 4000]) {
        sender.tick(nowMs + ms);
        receiver.tick(nowMs + ms);
        // What may still be sent is handed over and never confirmed: N_As ends it.
        while (sender.pull(nowMs + ms) !== undefined);
        receiver.pull(nowMs + ms);
      }
      expect(sender.idle).toBe(true);
      expect(receiver.idle).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

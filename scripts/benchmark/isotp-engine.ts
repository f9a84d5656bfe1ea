// ISO-TP segmentation and reassembly on one core, without a bus: sender and receiver exchange frames directly.

import { defaultIsoTpConfig, type IsoTpConfig } from '../../src/isotp/config.ts';
import { decodePci, type Pci } from '../../src/isotp/pci.ts';
import { IsoTpReceiver } from '../../src/isotp/receiver.ts';
import { IsoTpSender } from '../../src/isotp/sender.ts';

export interface EngineRate {
  readonly framesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Transfers messages of 4,095 bytes for `seconds`; every frame is made, decoded and stored. */
export function measureEngine(fd: IsoTpConfig['fd'], seconds: number): EngineRate {
  const config = { ...defaultIsoTpConfig, fd, blockSize: 0 };
  const sender = new IsoTpSender(config, undefined, 64);
  const receiver = new IsoTpReceiver(config, undefined);
  const message = Uint8Array.from({ length: 4095 }, (_, index) => index & 0xff);
  let frames = 0;
  let bytes = 0;
  const endMs = performance.now() + seconds * 1000;
  while (performance.now() < endMs) {
    sender.begin(message);
    for (let data = sender.pull(0); data !== undefined; data = sender.pull(0)) {
      frames++;
      receiver.frame(decodePci(data, 0), data, 0);
      sender.confirmed(0);
      const answer = receiver.pull(0);
      if (answer === undefined) continue;
      frames++;
      receiver.confirmed(0);
      sender.flowControl(decodePci(answer, 0) as Extract<Pci, { kind: 'flow-control' }>, 0);
    }
    for (let event = receiver.take(); event !== undefined; event = receiver.take()) {
      if (event.kind === 'message') bytes += event.message.length;
    }
  }
  return { framesPerSecond: frames / seconds, bytesPerSecond: bytes / seconds };
}

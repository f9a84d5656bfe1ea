// One of two processes on a bus, for benchmark.ts: bus-child.ts ROLE SPEC SECONDS [fd]
//   flood    sends frames as fast as the bus takes them       count   counts the frames that it receives
//   ask      ISO-TP requests of 4,095 bytes                   answer  answers each with two bytes

import { classicFrame, fdFrame } from '../../src/bus/can-frame.ts';
import { openBus } from '../../src/bus/open-bus.ts';
import { byteAt } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { normalAddress, reverseAddress } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';

const [role, spec, secondsText, fdText] = process.argv.slice(2) as [
  string,
  string,
  string,
  string?,
];
const seconds = Number(secondsText);
const fd = fdText === 'fd';
const { bus } = await openBus(spec, { clock: systemClock, logger: silentLogger, fd });
const FLOOD_ID = 0x123;
const REQUEST_LENGTH = 4095;
/** Payload of TransferData, without SID and block counter. */
const PAYLOAD = REQUEST_LENGTH - 2;

const say = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};

/** Resolves after `ms` without a frame. */
function quiet(lastMs: () => number, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (systemClock.nowMs() - lastMs() < ms) return;
      clearInterval(timer);
      resolve();
    }, 20);
  });
}

switch (role) {
  case 'count': {
    let frames = 0;
    let firstMs = 0;
    let lastMs = 0;
    bus.subscribe([{ id: FLOOD_ID, mask: 0x7ff, extended: false }], () => {
      lastMs = systemClock.nowMs();
      if (frames++ === 0) firstMs = lastMs;
    });
    say('ready');
    await new Promise((resolve) => process.stdin.once('data', resolve));
    await quiet(() => lastMs, 500);
    say({ frames, perSecond: frames / ((lastMs - firstMs) / 1000), lost: bus.statistics().lost });
    break;
  }
  case 'flood': {
    const data = new Uint8Array(fd ? 64 : 8).fill(0x55);
    const frame = fd ? fdFrame(FLOOD_ID, data) : classicFrame(FLOOD_ID, data);
    const endMs = systemClock.nowMs() + seconds * 1000;
    let sent = 0;
    let failed = 0;
    await new Promise<void>((resolve) => {
      let open = 0;
      const fill = (): void => {
        while (open < bus.transmitQueue && systemClock.nowMs() < endMs) {
          open++;
          bus.send(frame, (outcome) => {
            open--;
            if (outcome.kind === 'sent') sent++;
            else failed++;
            fill();
            if (open === 0) resolve();
          });
        }
      };
      fill();
    });
    say({ sent, failed, perSecond: sent / seconds });
    break;
  }
  default: {
    const tester = normalAddress({ id: 0x7e0, extended: false }, { id: 0x7e8, extended: false });
    const channel = new IsoTpChannel({
      bus,
      clock: systemClock,
      address: role === 'ask' ? tester : reverseAddress(tester),
      config: { fd: fd ? { txDl: 64, brs: true } : false },
    });
    if (role === 'answer') {
      channel.listen({
        onMessage: (message) => channel.send(Uint8Array.of(0x76, byteAt(message, 1))),
      });
      say('ready');
      await new Promise((resolve) => process.stdin.once('data', resolve));
      break;
    }
    const request = Uint8Array.from({ length: REQUEST_LENGTH }, (_, index) => index & 0xff);
    let lost = 0;
    let carried = 0;
    let answered: (() => void) | undefined;
    channel.listen({ onMessage: () => answered?.() });
    const startMs = systemClock.nowMs();
    while (systemClock.nowMs() - startMs < seconds * 1000) {
      const answer = new Promise<boolean>((resolve) => {
        answered = () => resolve(true);
        channel.send(request, ({ result }) => {
          if (result !== 'N_OK') resolve(false);
          else systemClock.after('P2', 3000, () => resolve(false));
        });
      });
      if (await answer) carried += PAYLOAD;
      else lost++;
    }
    say({ bytesPerSecond: carried / ((systemClock.nowMs() - startMs) / 1000), lost });
  }
}
await bus.close();
process.exit(0);

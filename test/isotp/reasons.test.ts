// Why a message was not sent, in words that name the standard's timer and say what to look at.

import { beforeEach, expect, it } from 'vitest';
import { classicFrame } from '../../src/bus/can-frame.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { normalAddress } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import type { SendResult } from '../../src/isotp/connection.ts';
import { type SimulatedBus, SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

const address = normalAddress({ id: 0x7e0, extended: false }, { id: 0x7e8, extended: false });

let clock: VirtualClock;
let bus: SimulatedBus;
let peer: SimulatedBus;

beforeEach(() => {
  clock = new VirtualClock();
  const wire = new SimulatedWire({ clock, bitrate: 500_000 });
  bus = wire.attach('tester');
  peer = wire.attach('ecu');
});

/** Sends 20 bytes; the peer answers the first frame with these frames. */
async function send(...answers: readonly string[]): Promise<SendResult> {
  const channel = new IsoTpChannel({ bus, clock, address, config: { waitLimitMs: 1500 } });
  let first = true;
  peer.subscribe([{ id: 0x7e0, mask: 0x7ff, extended: false }], () => {
    if (!first) return;
    first = false;
    for (const answer of answers) peer.send(classicFrame(0x7e8, fromHex(answer)));
  });
  const sent = new Promise<SendResult>((resolve) => channel.send(new Uint8Array(20), resolve));
  return clock.within(10_000, sent);
}

it.each([
  ['N_OK', ['300000'], 'sent'],
  ['N_TIMEOUT_Bs', [], 'sent no flow control in time (N_Bs)'],
  ['N_INVALID_FS', ['330000'], 'a reserved flow status'],
  ['N_TIMEOUT_Bs', ['310000', '310000', '310000'], 'sent no flow control in time (N_Bs)'],
  ['N_BUFFER_OVFLW', ['320000'], ''],
] as const)('%s after %s', async (result, answers, words) => {
  const ended = await send(...answers);
  expect(ended.result).toBe(result);
  expect(ended.reason).toContain(words);
  expect(ended.reason).not.toBe('');
});

it('N_WFT_OVRN when the receiver says WAIT for longer than it may', async () => {
  const channel = new IsoTpChannel({ bus, clock, address, config: { waitLimitMs: 1500 } });
  peer.subscribe([{ id: 0x7e0, mask: 0x7ff, extended: false }], () => {
    for (let n = 0; n < 10; n++) {
      clock.after('wait', n * 400, () => peer.send(classicFrame(0x7e8, fromHex('310000'))));
    }
  });
  const sent = new Promise<SendResult>((resolve) => channel.send(new Uint8Array(20), resolve));
  const ended = await clock.within(10_000, sent);
  expect(ended.result).toBe('N_WFT_OVRN');
  expect(ended.reason).toContain('timing.waitLimitMs');
});

it('N_TIMEOUT_A when nobody takes the frame off the wire', async () => {
  bus.send = () => {};
  const channel = new IsoTpChannel({ bus, clock, address });
  const sent = new Promise<SendResult>((resolve) => channel.send(new Uint8Array(3), resolve));
  const ended = await clock.within(10_000, sent);
  expect(ended).toMatchObject({ result: 'N_TIMEOUT_A', atMs: 1000 });
  expect(ended.reason).toContain('is another node connected and acknowledging?');
});

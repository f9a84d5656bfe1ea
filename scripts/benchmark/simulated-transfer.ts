// The cost of a frame in a simulation: UDS over ISO-TP over the simulated wire under virtual time, on one core.

import { Session } from 'node:inspector/promises';
import { NormalTraffic } from '../../ecus/normal-traffic.ts';
import { byteAt } from '../../src/core/bytes.ts';
import { sleep } from '../../src/core/clock.ts';
import { itemAt } from '../../src/core/present.ts';
import { normalAddress } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { UdsClient } from '../../src/uds/client.ts';
import { UdsServer } from '../../src/uds/server.ts';
import { Sid } from '../../src/uds/services/all.ts';

export interface SimulationRate {
  readonly frames: number;
  /** CPU time of this thread, without other processes. */
  readonly seconds: number;
  readonly virtualSeconds: number;
}

const BITRATE = 500_000;
/** Block size of the bench vehicle's ECUs in TransferData. */
const BLOCK_BYTES = 4093;
const IMAGE_BYTES = 16 * 1024;
const ECUS = [0x7e0, 0x7e1, 0x7e2, 0x7e3];
const FUNCTIONAL = 0x7df;
const standard = (id: number) => ({ id, extended: false });

function threadSeconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}

/** Transfers images of 16 KiB to one of four ECUs, block by block, for `seconds` of real time. */
export async function measureSimulatedTransfer(seconds: number): Promise<SimulationRate> {
  const clock = new VirtualClock();
  const wire = new SimulatedWire({ clock, bitrate: BITRATE });
  for (const id of ECUS) attachEcu(clock, wire, id);
  const first = itemAt(ECUS, 0);
  const address = normalAddress(standard(first), standard(first + 8));
  const client = new UdsClient({
    connection: new IsoTpChannel({ bus: wire.attach('tester'), clock, address }),
    clock,
    timing: { p2Ms: 100, p2StarMs: 5000, pendingLimitMs: 60_000 },
  });
  const block = Uint8Array.from({ length: BLOCK_BYTES + 2 }, (_, index) => (index * 31) & 0xff);
  block[0] = Sid.transferData;
  const startMs = performance.now();
  const startSeconds = threadSeconds();
  const transfers = async (): Promise<void> => {
    while (performance.now() - startMs < seconds * 1000) {
      for (let sent = 0; sent < IMAGE_BYTES; sent += BLOCK_BYTES) {
        const reply = await client.request(block);
        if (reply.kind !== 'positive') throw new Error(`the transfer failed: ${reply.kind}`);
      }
    }
  };
  await clock.run(transfers(), Number.POSITIVE_INFINITY);
  return {
    frames: wire.frames,
    seconds: threadSeconds() - startSeconds,
    virtualSeconds: clock.nowMs() / 1000,
  };
}

/** Attaches an ECU that receives physical and functional requests, like every ECU of the bench. */
function attachEcu(clock: VirtualClock, wire: SimulatedWire, id: number): void {
  const bus = wire.attach(`ecu ${id.toString(16)}`);
  const answers = standard(id + 8);
  new UdsServer({
    physical: new IsoTpChannel({ bus, clock, address: normalAddress(answers, standard(id)) }),
    functional: new IsoTpChannel({
      bus,
      clock,
      address: normalAddress(answers, standard(FUNCTIONAL)),
      kind: 'functional',
    }),
    clock,
    handlers: {
      [Sid.transferData]: {
        minLength: 2,
        handle: (request) => ({ positive: Uint8Array.of(0x76, byteAt(request, 1)) }),
      },
    },
  });
}

/** Sends cyclic frames of four ECUs, one each every 100 ms, without a receiver, for `seconds` of virtual time. */
export async function measureSimulatedTraffic(seconds: number): Promise<SimulationRate> {
  const clock = new VirtualClock();
  const wire = new SimulatedWire({ clock, bitrate: BITRATE });
  for (const id of ECUS) {
    const data = (upMs: number, count: number): Uint8Array =>
      Uint8Array.of(upMs & 0xff, 0, 0, 0, 0, 0, 0, count & 0x0f);
    attachEcu(clock, wire, id);
    new NormalTraffic(wire.attach('traffic'), clock, [
      { id: id - 0x400, periodMs: 100, data },
    ]).enable(true);
  }
  const startSeconds = threadSeconds();
  await clock.run(sleep(clock, 'end', seconds * 1000), Number.POSITIVE_INFINITY);
  return {
    frames: wire.frames,
    seconds: threadSeconds() - startSeconds,
    virtualSeconds: seconds,
  };
}

/** The parts of the time of `measureSimulatedTransfer`, as shares of 1. */
export interface SimulationShares {
  readonly clock: number;
  readonly wire: number;
  readonly isoTp: number;
  readonly uds: number;
  /** Garbage collection, the compiler, this benchmark. */
  readonly other: number;
}

/**
 * Measures by the samples of V8's profiler. Node's own time counts for the clock, because it runs immediates and
 * promises.
 */
export async function profileSimulatedTransfer(seconds: number): Promise<SimulationShares> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
  await measureSimulatedTransfer(seconds);
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  const partOf = new Map(profile.nodes.map((node) => [node.id, partOfTime(node.callFrame)]));
  const samples = { clock: 0, wire: 0, isoTp: 0, uds: 0, other: 0 };
  for (const id of profile.samples ?? []) samples[partOf.get(id) ?? 'other']++;
  const all = (profile.samples ?? []).length;
  for (const part of Object.keys(samples) as (keyof SimulationShares)[]) samples[part] /= all;
  return samples;
}

function partOfTime(at: { url: string; functionName: string }): keyof SimulationShares {
  if (/\/src\/sim\/(virtual-clock|timer-heap)/.test(at.url)) return 'clock';
  if (at.url.startsWith('node:') || at.functionName === 'runMicrotasks') return 'clock';
  if (/\/src\/(sim|bus)\//.test(at.url)) return 'wire';
  if (at.url.includes('/src/isotp/')) return 'isoTp';
  return at.url.includes('/src/uds/') ? 'uds' : 'other';
}

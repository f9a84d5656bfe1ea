// A node without any key on the bus: it listens, injects requests and answers, replays frames that it heard, and floods.

import { type CanFrame, classicFrame } from '../bus/can-frame.ts';
import type { Clock } from '../core/clock.ts';
import { itemAt } from '../core/present.ts';
import type { Random } from '../core/random.ts';
import { receiveFilter, testerAddresses } from '../isotp/address.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { SimulatedBus, SimulatedWire } from './simulated-bus.ts';

export const ATTACKS = ['requests', 'answers', 'replay', 'flood', 'opportunist'] as const;
export type Attack = (typeof ATTACKS)[number];

export interface AttackerOptions {
  readonly wire: SimulatedWire;
  readonly vehicle: Vehicle;
  readonly clock: Clock;
  readonly random: Random;
  readonly attack: Attack;
  /** Time between two injected messages. */
  readonly everyMs: number;
}

/** Single-frame requests that would decide what an ECU runs or change durable state. */
const REQUESTS: readonly (readonly number[])[] = [
  [0x31, 0x01, 0x02, 0x10],
  [0x31, 0x01, 0x02, 0x11],
  [0x31, 0x01, 0x02, 0x12],
  [0x31, 0x01, 0x02, 0x13],
  [0x11, 0x01],
  [0x10, 0x01],
  [0x10, 0x02],
  [0x10, 0x03],
  [0x27, 0x01],
  [0x14, 0xff, 0xff, 0xff],
  [0x22, 0xfd, 0x22],
  [0x2e, 0xf1, 0x90, 0x31, 0x31, 0x31],
];
/** Forged answers, which no ECU has given. */
const ANSWERS: readonly (readonly number[])[] = [
  [0x71, 0x01, 0x02, 0x11],
  [0x71, 0x01, 0x02, 0x12],
  [0x71, 0x01, 0x02, 0x13],
  [0x51, 0x01],
  [0x50, 0x01, 0x00, 0x32, 0x01, 0xf4],
  [0x7f, 0x31, 0x22],
  [0x7f, 0x36, 0x72],
  [0x62, 0xf1, 0x89, 0x39, 0x2e, 0x30],
  [0x62, 0xfd, 0x01, 0x00, 0x00, 0x00],
];
/** How many frames the attacker remembers. */
const MEMORY = 4000;

/** Attacks until it is stopped. `heard`: frames from before, which the same node has kept. */
export function startAttack(options: AttackerOptions, heard: readonly CanFrame[]): () => void {
  const { wire, vehicle, clock, random, attack, everyMs } = options;
  const bus = wire.attach('attacker');
  const links = ours(vehicle).map(({ address }) => testerAddresses(address).physical);
  let stopped = false;
  let replayAt = Math.floor(random.fraction() * heard.length);
  const oneOf = <T>(choices: readonly T[]): T =>
    itemAt(choices, Math.floor(random.fraction() * choices.length));
  const single = (payload: readonly number[], id: { id: number; extended: boolean }): CanFrame => {
    const data = new Uint8Array(8).fill(0xcc);
    data.set([payload.length, ...payload]);
    return classicFrame(id.id, data, id.extended);
  };
  const next = (): CanFrame | undefined => {
    const { tx, rx } = oneOf(links);
    switch (attack) {
      case 'requests':
        return single(oneOf(REQUESTS), tx);
      case 'answers':
        return single(oneOf(ANSWERS), rx);
      case 'flood':
        return single(oneOf(REQUESTS), tx);
      case 'opportunist':
        return undefined;
      case 'replay':
        // In the order in which they were sent, over and over.
        return heard.length === 0 ? undefined : heard[replayAt++ % heard.length];
    }
  };
  const send = (): void => {
    if (stopped) return;
    const frame = next();
    if (frame !== undefined) bus.send(frame);
    clock.after('attacker', everyMs, send);
  };
  if (attack === 'opportunist') ambush(bus, vehicle, clock, single, () => stopped);
  else send();
  return () => {
    stopped = true;
    void bus.close();
  };
}

/** How often the other ECUs are reset, so that they use up their trial. */
const RESETS = 8;
const RESET_EVERY_MS = 700;

/**
 * Waits until an ECU that runs new software is unlocked, then confirms it and raises its counter at once, and
 * resets all the others.
 */
function ambush(
  bus: SimulatedBus,
  vehicle: Vehicle,
  clock: Clock,
  single: (payload: readonly number[], id: { id: number; extended: boolean }) => CanFrame,
  isStopped: () => boolean,
): void {
  const done = new Set<string>();
  for (const { name, address } of vehicle.ecus) {
    const { physical } = testerAddresses(address);
    bus.subscribe([receiveFilter(physical)], ({ frame }) => {
      const [, sid, level] = frame.data;
      // The key was accepted: from now on every node can use this security level.
      if (isStopped() || sid !== 0x67 || level !== 0x02 || done.has(name)) return;
      done.add(name);
      bus.send(single([0x31, 0x01, 0x02, 0x11], physical.tx));
      clock.after('attacker', 20, () => {
        if (!isStopped()) bus.send(single([0x31, 0x01, 0x02, 0x13], physical.tx));
      });
      const others = vehicle.ecus.filter((ecu) => ecu.name !== name);
      for (let n = 1; n <= RESETS; n++) {
        clock.after('attacker', n * RESET_EVERY_MS, () => {
          if (isStopped()) return;
          for (const other of others) {
            bus.send(single([0x11, 0x01], testerAddresses(other.address).physical.tx));
          }
        });
      }
    });
  }
}

/**
 * An ECU of another make authenticates nothing: it believes forged answers and replayed requests. The table of threats
 * says so, and no invariant can hold against it.
 */
function ours(vehicle: Vehicle): Vehicle['ecus'] {
  return vehicle.ecus.filter(({ programming }) => programming.metadata !== 'skip');
}

/** Frames that a listening node has heard of the diagnostic traffic, the newest last. */
export class Eavesdropper {
  readonly heard: CanFrame[] = [];
  readonly #ids: ReadonlySet<number>;

  constructor(vehicle: Vehicle) {
    this.#ids = new Set(
      ours(vehicle).map(({ address }) => testerAddresses(address).physical.tx.id),
    );
  }

  hear(frame: CanFrame, from: string): void {
    if (from === 'attacker' || !this.#ids.has(frame.id)) return;
    this.heard.push({ ...frame, data: frame.data.slice() });
    if (this.heard.length > MEMORY) this.heard.splice(0, MEMORY / 2);
  }
}

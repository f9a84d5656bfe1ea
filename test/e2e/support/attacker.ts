// A node without any key on the bus of a bench, as a process: it listens, injects, forges answers, replays and floods.
// Arguments: bus, seed, attacks separated by commas (`wait`: waits for an ECU that is unlocked). It prints a line of JSON
// when it listens and one when it ends.

import type { CanFrame } from '../../../src/bus/can-frame.ts';
import { classicFrame } from '../../../src/bus/can-frame.ts';
import { openBus } from '../../../src/bus/open-bus.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { seededRandom } from '../../../src/sim/seeded-random.ts';

/** Request identifiers of the bench vehicle's ECUs, and the identifiers of their answers. */
const ECUS = [
  { request: 0x7e0, response: 0x7e8, extended: false },
  { request: 0x7e1, response: 0x7e9, extended: false },
  { request: 0x7e2, response: 0x7ea, extended: false },
  { request: 0x18da40f1, response: 0x18daf140, extended: true },
] as const;

/** Single frames: confirm, commit, roll back, activate, restart, change session, read, clear, seed, VIN. */
const REQUESTS = [
  '0431010211',
  '0431010213',
  '053101021201',
  '0431010212',
  '0431010210',
  '021101',
  '021001',
  '021003',
  '021002',
  '0322fd22',
  '0322fd24',
  '0322fd21',
  '0414ffffff',
  '022701',
  '023e80',
  '03280101',
];
/** Forged single-frame answers: confirmed, restarted, refused, pending, another version. */
const ANSWERS = [
  '057101021100',
  '045101',
  '025101',
  '037f3122',
  '037f8422',
  '037f843a',
  '037f3678',
  '027601',
  '0762f189312e30',
  '0562fd000001',
  '300000',
];

let timer: NodeJS.Timeout | undefined;
const [, , bus = '', seed = '', ways = ''] = process.argv;
const random = seededRandom(`attacker ${seed}`);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random.fraction() * list.length)]!;
const frameOf = (id: number, hex: string, extended: boolean): CanFrame => {
  const data = new Uint8Array(8).fill(0xaa);
  data.set(Buffer.from(hex, 'hex'));
  return { ...classicFrame(id, data), extended };
};

const opened = await openBus(bus, { clock: systemClock, logger: silentLogger, hostBroker: false });
const heard: CanFrame[] = [];
/** How many frames of testers are kept for replay; a whole authenticated order has about ten. */
const KEPT = 4000;
opened.bus.subscribe([], ({ frame }) => {
  const isRequest = ECUS.some((ecu) => ecu.request === frame.id);
  // Erasing and programming does not help the attacker; the deciding messages are short.
  if (isRequest && (frame.data[0]! >> 4 !== 2 || heard.at(-1)?.id === frame.id)) heard.push(frame);
  if (heard.length > KEPT) heard.shift();
});

/** An ECU reports that it is unlocked (67 and an even level). */
const UNLOCKED = /^0267(?:0[2468ace])/;
opened.bus.subscribe([], ({ frame }) => {
  const ecu = ECUS.find(({ response }) => response === frame.id);
  if (ecu === undefined || timer === undefined || !isChosen('wait')) return;
  if (!UNLOCKED.test(Buffer.from(frame.data).toString('hex'))) return;
  // Confirms it and raises its counter for good, while the others lose their trials.
  send(frameOf(ecu.request, '0431010211', ecu.extended));
  send(frameOf(ecu.request, '0431010213', ecu.extended));
  let left = 20;
  const resets = setInterval(() => {
    for (const other of ECUS) {
      if (other !== ecu) send(frameOf(other.request, '021101', other.extended));
    }
    if (--left === 0) clearInterval(resets);
  }, 250);
});

let sent = 0;
const send = (frame: CanFrame): void => {
  sent++;
  opened.bus.send(frame);
};

const attacks: Record<string, () => void> = {
  inject: () => {
    const ecu = pick(ECUS);
    send(frameOf(ecu.request, pick(REQUESTS), ecu.extended));
  },
  /** Sends only requests that would end a trial or use it up. */
  decide: () => {
    const ecu = pick(ECUS);
    send(frameOf(ecu.request, pick(REQUESTS.slice(0, 6)), ecu.extended));
  },
  forge: () => {
    const ecu = pick(ECUS);
    send(frameOf(ecu.response, pick(ANSWERS), ecu.extended));
  },
  replay: () => {
    const at = Math.floor(random.fraction() * heard.length);
    for (const frame of heard.slice(at, at + 12)) send(frame);
  },
  /** Fills the bus for a quarter of a second, then pauses so that other nodes can send. */
  flood: () => {
    if (random.fraction() < 0.02) {
      for (let n = 0; n < 1000; n++) send(frameOf(0x001, '00', false));
    }
  },
};

const chosen = ways.split(',').map((way) => attacks[way] ?? (() => {}));
function isChosen(way: string): boolean {
  return ways.split(',').includes(way);
}
// It listens from the start, and sends after the order to begin.
process.stdin.once('data', () => {
  timer = setInterval(() => pick(chosen)(), 25);
});
process.stdout.write(`${JSON.stringify({ kind: 'listening' })}\n`);

process.on('SIGTERM', () => {
  clearInterval(timer);
  process.stdout.write(`${JSON.stringify({ kind: 'ended', sent, heard: heard.length })}\n`);
  void opened.bus.close().then(() => process.exit(0));
});

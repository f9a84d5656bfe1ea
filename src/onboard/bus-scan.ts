// Finds ECUs on a bus: sends TesterPresent to each identifier in turn and listens who answers. Nothing is changed.

import { BusError, type BusFrame, type CanBus } from '../bus/can-bus.ts';
import { type CanFrame, fdLength } from '../bus/can-frame.ts';
import { type Clock, sleep } from '../core/clock.ts';
import type { CanId } from '../isotp/address.ts';
import { decodePci } from '../isotp/pci.ts';
import { Nrc } from '../uds/nrc.ts';
import { Sid } from '../uds/services/all.ts';
import { NEGATIVE_RESPONSE, POSITIVE_RESPONSE_OFFSET } from '../uds/sid.ts';

export interface ScanOptions {
  readonly bus: CanBus;
  readonly clock: Clock;
  readonly widths: readonly (11 | 29)[];
  /** Pause behind each request, ms. P2server_max of ISO 14229-2 is 50 ms. */
  readonly waitMs: number;
  /** Ask in CAN FD frames. */
  readonly fd: boolean;
  readonly signal?: AbortSignal;
  /** Called after each identifier. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface FoundEcu {
  readonly request: CanId;
  readonly response: CanId;
  /** Its answers come as CAN FD frames, as far as the bus tells. */
  readonly fd: boolean;
  /** It answers to the functional identifier of ISO 15765-4, too. */
  readonly functional: boolean;
}

export interface ScanResult {
  readonly found: readonly FoundEcu[];
  /** Identifiers that other nodes send with: nothing was sent with them. */
  readonly inUse: readonly CanId[];
  readonly interrupted: boolean;
}

/** ISO 15765-4 6.3.2: functional requests with 11 and 29 bit. */
export const FUNCTIONAL: Readonly<Record<11 | 29, CanId>> = {
  11: { id: 0x7df, extended: false },
  29: { id: 0x18db33f1, extended: true },
};
/** Source address of the tester under normal fixed addressing. */
const TESTER = 0xf1;

/** How long other nodes are heard before anything is sent. */
const HEAR_MS = 1000;
/** How long a functional request, and the question that confirms an ECU, is waited for. */
const CONFIRM_MS = 500;
/** Longest time for one frame to come onto the wire. */
const N_AS_MS = 1000;
/** An answer later than `waitMs` belongs to one of the requests before. */
const PREDECESSORS = 3;
const PADDING = 0xcc;

const TESTER_PRESENT = Uint8Array.of(Sid.testerPresent, 0x00);
const ACTIVE_SESSION = Uint8Array.of(Sid.readDataByIdentifier, 0xf1, 0x86);

/** The identifiers that are asked: 700 to 7FF without 7DF, and 18DAxxF1 for every xx but that of the tester. */
export function scanIds(widths: readonly (11 | 29)[]): CanId[] {
  return widths.flatMap((width) =>
    Array.from({ length: 0x100 }, (_, byte): CanId | undefined =>
      width === 11
        ? { id: 0x700 | byte, extended: false }
        : { id: 0x18da0000 | (byte << 8) | TESTER, extended: true },
    ).filter(
      (each): each is CanId =>
        each !== undefined && each.id !== FUNCTIONAL[11].id && each.id !== 0x18daf1f1,
    ),
  );
}

/** Frames that are sent at least, and how long the scan takes when nothing is found. */
export function scanCost({ widths, waitMs }: Pick<ScanOptions, 'widths' | 'waitMs'>): {
  readonly frames: number;
  readonly seconds: number;
} {
  const ids = scanIds(widths).length;
  const ms = HEAR_MS + widths.length * CONFIRM_MS + ids * waitMs;
  return { frames: ids + widths.length, seconds: Math.ceil(ms / 1000) };
}

/** Rejects with BusError where frames cannot be sent. */
export async function scanBus(options: ScanOptions): Promise<ScanResult> {
  const scan = new Scan(options);
  try {
    return await scan.run();
  } finally {
    scan.close();
  }
}

class Scan {
  readonly #options: ScanOptions;
  readonly #subscription: { close(): void };
  readonly #found: FoundEcu[] = [];
  #heard: CanFrame[] = [];
  /** Sent by other nodes before anything was asked: no answers. */
  #inUse = new Map<string, CanId>();

  constructor(options: ScanOptions) {
    this.#options = options;
    this.#subscription = options.bus.subscribe([], ({ frame }: BusFrame) => {
      this.#heard.push(frame);
    });
  }

  close(): void {
    this.#subscription.close();
  }

  async run(): Promise<ScanResult> {
    const { widths, waitMs, signal, onProgress } = this.#options;
    await this.#pause(HEAR_MS);
    const inUse = new Map(this.#heard.map((frame) => [keyOf(frame), canId(frame)]));
    this.#inUse = inUse;
    const functional = new Set<string>();
    for (const width of widths) {
      const all = FUNCTIONAL[width];
      if (inUse.has(keyOf(all)) || signal?.aborted) continue;
      await this.#ask(all, TESTER_PRESENT, CONFIRM_MS);
      for (const answer of this.#answers(TESTER_PRESENT)) functional.add(keyOf(answer));
    }
    const asked: CanId[] = [];
    const ids = scanIds(widths);
    for (const [index, request] of ids.entries()) {
      if (signal?.aborted) break;
      onProgress?.(index, ids.length);
      // Also what was found to be a response is the identifier of another node.
      const key = keyOf(request);
      if (inUse.has(key) || functional.has(key) || this.#isResponse(key)) continue;
      await this.#ask(request, TESTER_PRESENT, waitMs);
      asked.unshift(request);
      for (const answer of this.#answers(TESTER_PRESENT)) {
        if (this.#isResponse(keyOf(answer))) continue;
        await this.#attribute(asked.slice(0, PREDECESSORS), answer, functional);
      }
    }
    onProgress?.(ids.length, ids.length);
    return {
      found: this.#found,
      inUse: [...inUse.values()].filter((each) => ids.some((id) => keyOf(id) === keyOf(each))),
      interrupted: signal?.aborted === true,
    };
  }

  /** The answer of a slow ECU comes while a later identifier is asked: each is asked something else. */
  async #attribute(
    candidates: readonly CanId[],
    answer: CanFrame,
    functional: ReadonlySet<string>,
  ): Promise<void> {
    for (const request of candidates) {
      if (this.#found.some((each) => keyOf(each.request) === keyOf(request))) continue;
      if (!(await this.#confirms(request, answer))) continue;
      this.#found.push({
        request,
        response: canId(answer),
        fd: answer.fd,
        functional: functional.has(keyOf(answer)),
      });
      return;
    }
  }

  /** Frames of other nodes may look like an answer once; an ECU answers two requests, each with its own. */
  async #confirms(request: CanId, { id, extended }: CanFrame): Promise<boolean> {
    const key = keyOf({ id, extended });
    for (const question of [ACTIVE_SESSION, TESTER_PRESENT]) {
      if (this.#options.signal?.aborted) return false;
      await this.#ask(request, question, CONFIRM_MS, (frame) => keyOf(frame) === key);
      if (this.#answers(question).some((frame) => keyOf(frame) === key)) return true;
    }
    return false;
  }

  #isResponse(key: string): boolean {
    return this.#found.some(({ response }) => keyOf(response) === key);
  }

  #answers(request: Uint8Array): CanFrame[] {
    return this.#heard.filter((frame) => answers(frame, request) && !this.#inUse.has(keyOf(frame)));
  }

  /** Sends one single frame, and listens for `forMs`, or until `enough` holds for an answer. */
  async #ask(
    to: CanId,
    request: Uint8Array,
    forMs: number,
    enough: (frame: CanFrame) => boolean = () => false,
  ): Promise<void> {
    const { clock, signal } = this.#options;
    await this.#send(to, request);
    const untilMs = clock.nowMs() + forMs;
    while (clock.nowMs() < untilMs && !signal?.aborted) {
      if (this.#answers(request).some(enough)) return;
      await sleep(clock, 'scan', Math.min(LISTEN_MS, untilMs - clock.nowMs()), signal);
    }
  }

  async #pause(ms: number): Promise<void> {
    const { clock, signal } = this.#options;
    await sleep(clock, 'scan', ms, signal);
  }

  async #send({ id, extended }: CanId, request: Uint8Array): Promise<void> {
    const { bus, fd, clock } = this.#options;
    const data = new Uint8Array(fdLength(8)).fill(PADDING);
    data.set([request.length, ...request]);
    this.#heard = [];
    await new Promise<void>((resolve, reject) => {
      const timer = clock.after('N_As', N_AS_MS, () =>
        reject(
          new BusError(
            'INTERFACE_DOWN',
            `a frame was not on ${bus.name} within ${N_AS_MS} ms: is another node connected, at this bit rate?`,
          ),
        ),
      );
      bus.send({ id, extended, data, fd, brs: fd, remote: false }, (outcome) => {
        timer.cancel();
        if (outcome.kind === 'sent') resolve();
        else reject(new BusError('INTERFACE_DOWN', `${bus.name}: ${outcome.reason}`));
      });
    });
  }
}

/** Steps of a wait that ends with an answer. */
const LISTEN_MS = 10;

/** Whether a single frame is the final answer to this request: positive with what it repeats, or negative. */
function answers({ data, remote }: CanFrame, request: Uint8Array): boolean {
  if (remote) return false;
  const pci = decodePci(data, 0);
  if (pci.kind !== 'single') return false;
  const message = data.subarray(pci.dataAt, pci.dataAt + pci.length);
  const [first, second, third] = message;
  const [sid = 0, ...repeated] = request;
  if (first === NEGATIVE_RESPONSE) {
    const pending = third === Nrc.requestCorrectlyReceivedResponsePending;
    return message.length === 3 && second === sid && !pending;
  }
  return (
    first === sid + POSITIVE_RESPONSE_OFFSET &&
    repeated.every((byte, index) => message[index + 1] === byte) &&
    // 7E 00 has nothing behind it; 62 F1 86 has the session.
    message.length === request.length + (sid === Sid.testerPresent ? 0 : 1)
  );
}

function canId({ id, extended }: CanFrame): CanId {
  return { id, extended };
}

function keyOf({ id, extended }: CanId): string {
  return `${extended ? 'x' : 's'}${id}`;
}

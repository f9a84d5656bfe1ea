// The broker of a local bus: the wire engine in real time, with its nodes connected by Unix sockets.

import { createServer, type Server, type Socket } from 'node:net';
import type { Clock, Timer } from '../core/clock.ts';
import { defined } from '../core/optional.ts';
import { frameDurationMs } from './bit-timing.ts';
import { busyRecord, Control, controlRecord } from './control-record.ts';
import { CAN_MTU, decodeFrame, markEcho, readWord } from './linux-frame.ts';
import { BrokerClient, type BrokerLimits, type BrokerRecord } from './local-broker-client.ts';
import { type Hello, PROTOCOL_VERSION, type Welcome } from './local-handshake.ts';
import { monotonicMs } from './monotonic.ts';
import { ThreadSleep } from './thread-sleep.ts';
import { arbitrationKeyOfWord, Wire, type WireNode } from './wire.ts';

const BROKER_LIMITS: BrokerLimits = {
  queueFrames: 2048,
  holdBytes: 1024 * 1024,
  holdMs: 2000,
  cutOffBytes: 64 * 1024 * 1024,
  gatherMs: 1000,
  answerMs: 1000,
};

export interface BrokerOptions {
  readonly path: string;
  /** Nominal bit rate in bit/s; 0: unpaced. */
  readonly bitrate: number;
  readonly dataBitrate: number;
  /** After a takeover: number of clients that will come back. The wire waits for them. */
  readonly expectedClients?: number;
  readonly limits?: Partial<BrokerLimits>;
  /** The thread does nothing else, so it may be tuned for short sleeps. */
  readonly ownThread?: boolean;
}

/** How many frames are delivered before the sockets are read again. */
const FRAMES_PER_STEP = 256;
/** How often the sockets are read while a frame is on the wire; the thread sleeps in between. */
const POLL_MS = 0.1;

/** Runs until `retire` or the end of the process. It controls the timing of its thread's event loop. */
export class LocalBroker {
  readonly #options: BrokerOptions;
  readonly #limits: BrokerLimits;
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #wire = new Wire<BrokerRecord>();
  /** All connections, and the clients among them that completed the handshake, in order of arrival. */
  readonly #connections = new Set<BrokerClient>();
  readonly #clients: BrokerClient[] = [];
  /** What to tell clients that were cut off, by client id. */
  readonly #cutOff = new Map<string, { frames: number; reason: string }>();
  readonly #sleep: ThreadSleep;
  #scheduled = false;
  #gather: Timer | undefined;
  #retiring = false;
  #onRetireProgress: (() => void) | undefined;

  private constructor(options: BrokerOptions, clock: Clock) {
    this.#options = options;
    this.#limits = { ...BROKER_LIMITS, ...options.limits };
    this.#clock = clock;
    this.#sleep = new ThreadSleep(options.ownThread ?? false);
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Rejects with the system's EADDRINUSE when another broker has the name. */
  static async listen(options: BrokerOptions, clock: Clock): Promise<LocalBroker> {
    const broker = new LocalBroker(options, clock);
    await new Promise<void>((resolve, reject) => {
      broker.#server.once('error', reject);
      broker.#server.listen({ path: options.path, backlog: 511 }, () => {
        broker.#server.removeListener('error', reject);
        resolve();
      });
    });
    if ((options.expectedClients ?? 0) > 0) {
      broker.#gather = clock.after('gather', broker.#limits.gatherMs, () => broker.#gathered());
    }
    return broker;
  }

  get clients(): number {
    return this.#clients.length;
  }

  /** Sends all accepted frames to the wire and its readers, then closes. */
  async retire(): Promise<void> {
    if (this.#retiring) return;
    this.#retiring = true;
    this.#server.close();
    this.#gathered();
    for (const client of this.#clients) client.write(controlRecord(Control.retire));
    await this.#within((quiet) => {
      if (this.#wire.idle && this.#clients.every((client) => client.retired)) quiet();
    });
    for (const client of this.#connections) client.end();
    await this.#within((closed) => {
      if (this.#connections.size === 0) closed();
    });
    for (const client of [...this.#connections]) client.destroy();
  }

  /** Calls `check` now and after each progress, until it calls back or the time is over. */
  #within(check: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        limit.cancel();
        this.#onRetireProgress = undefined;
        resolve();
      };
      const limit = this.#clock.after('retire', this.#limits.answerMs, done);
      this.#onRetireProgress = () => check(done);
      this.#onRetireProgress();
    });
  }

  #accept(socket: Socket): void {
    const client: BrokerClient = new BrokerClient(socket, this.#clock, {
      limits: this.#limits,
      node: this.#wire.attach(),
      onHello: (hello) => this.#welcome(client, hello),
      onRecord: (record, readyMs) => this.#enqueue(client, record, readyMs),
      onRetired: () => this.#onRetireProgress?.(),
      onAskBusy: () => client.write(busyRecord(this.#wire.busyMsAt(monotonicMs()))),
      onDrain: () => this.#schedule(),
      onGone: () => this.#gone(client),
    });
    this.#connections.add(client);
  }

  #welcome(client: BrokerClient, hello: Hello): Welcome {
    const { bitrate, dataBitrate } = this.#options;
    const head = { canOta: PROTOCOL_VERSION };
    if (hello.canOta !== PROTOCOL_VERSION) {
      return {
        ...head,
        refused: 'BROKER',
        reason: `the process ${process.pid} that runs the bus is of another version of can-ota: end it first`,
      };
    }
    if (hello.bitrate !== undefined && hello.bitrate !== bitrate) {
      return { ...head, refused: 'CONFIG_MISMATCH', reason: this.#runsAt(`bitrate=${bitrate}`) };
    }
    // An unpaced wire has no data bit rate that could differ.
    if (bitrate > 0 && hello.dataBitrate !== undefined && hello.dataBitrate !== dataBitrate) {
      return {
        ...head,
        refused: 'CONFIG_MISMATCH',
        reason: this.#runsAt(`data-bitrate=${dataBitrate}`),
      };
    }
    const cutOff = this.#cutOff.get(hello.client);
    this.#cutOff.delete(hello.client);
    this.#clients.push(client);
    queueMicrotask(() => this.#tellPeers());
    if (
      this.#gather !== undefined &&
      this.#clients.length >= (this.#options.expectedClients ?? 0)
    ) {
      // The filters of the last client are still in its socket: wait a moment for them.
      this.#gather.cancel();
      this.#gather = this.#clock.after('gather', 5, () => this.#gathered());
    }
    return { ...head, pid: process.pid, bitrate, dataBitrate, ...defined({ cutOff }) };
  }

  #runsAt(option: string): string {
    return `the wire already runs with ${option} (process ${process.pid}): use that, or leave the option out, or take another bus name`;
  }

  #gathered(): void {
    if (this.#gather === undefined) return;
    this.#gather.cancel();
    this.#gather = undefined;
    this.#wire.notBefore(monotonicMs());
    this.#schedule();
  }

  #tellPeers(): void {
    const count = this.#clients.length;
    for (const [rank, client] of this.#clients.entries()) {
      client.write(controlRecord(Control.peers, count, rank));
    }
  }

  #gone(client: BrokerClient): void {
    this.#wire.detach(client.node);
    this.#connections.delete(client);
    const at = this.#clients.indexOf(client);
    if (at >= 0) {
      this.#clients.splice(at, 1);
      this.#tellPeers();
    }
    this.#onRetireProgress?.();
    this.#schedule();
  }

  #enqueue(client: BrokerClient, record: BrokerRecord, readyMs: number): void {
    const { bitrate, dataBitrate } = this.#options;
    this.#wire.enqueue(client.node, {
      key: arbitrationKeyOfWord(readWord(record.bytes, record.at), record.length !== CAN_MTU),
      durationMs:
        bitrate === 0
          ? 0
          : frameDurationMs(decodeFrame(record.bytes, record.at), bitrate, dataBitrate),
      readyMs,
      item: record,
    });
    this.#schedule();
  }

  readonly #deliver = (
    node: WireNode<BrokerRecord>,
    { bytes, at, length }: BrokerRecord,
    endMs: number,
  ): void => {
    const canId = readWord(bytes, at);
    for (const client of this.#clients) {
      const own = client.node === node;
      if (!own && !client.accepts(canId)) continue;
      markEcho(bytes, at, own);
      client.append(bytes, at, length, endMs);
    }
  };

  /** Runs once a turn of the event loop, after the sockets were read: all frames that arrived take part in arbitration. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    if (this.#gather !== undefined || this.#mustHold()) return;
    const nextMs = this.#wire.step(monotonicMs(), this.#deliver, FRAMES_PER_STEP);
    // A client that is cut off removes itself from the list.
    for (const client of [...this.#clients]) {
      client.flush();
      if (client.waitingBytes > this.#limits.cutOffBytes) this.#cut(client);
    }
    this.#onRetireProgress?.();
    if (nextMs === undefined) return;
    this.#sleep.sleepTowards(nextMs - monotonicMs(), POLL_MS);
    this.#schedule();
  };

  /** An unpaced wire waits for its slowest reader, up to `holdMs`. `onDrain` ends the wait. */
  #mustHold(): boolean {
    if (this.#options.bitrate > 0) return false;
    return this.#clients.some((client) => client.holdsBack(() => this.#schedule()));
  }

  #cut(client: BrokerClient): void {
    const reason =
      `cut off by the bus: this process took nothing while ${client.waitingBytes} bytes of frames waited for it; ` +
      'it was stopped or too busy';
    this.#cutOff.set(client.id, { frames: client.waitingFrames, reason });
    client.destroy();
  }
}

// The embedded bus: processes of this machine joined by a Unix socket. The first process runs the wire.

import { toHex } from '../core/bytes.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { sleep } from '../core/clock.ts';
import { describeError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import { systemRandom } from '../core/random.ts';
import { type BrokerHost, startBroker } from './broker-host.ts';
import { BusEndpoint } from './bus-endpoint.ts';
import { BusError, type CanFilter, type WireFacts } from './can-bus.ts';
import type { CanFrame } from './can-frame.ts';
import { Fifo } from './fifo.ts';
import { type ConnectionEvents, LocalConnection } from './local-connection.ts';
import { brokerPath } from './local-handshake.ts';
import { monotonicOffsetMs } from './monotonic.ts';

/** Bit rate of a wire in bit/s where the process that starts it names none. */
const DEFAULT_BITRATE = 500_000;
const DEFAULT_DATA_BITRATE = 2_000_000;

export interface LocalBusOptions {
  readonly name: string;
  /** Nominal bit rate in bit/s, 0: unpaced. Missing: that of the wire, or 500000 when this process starts it. */
  readonly bitrate?: number | undefined;
  /** Bit rate of the data phase in bit/s. Missing: that of the wire, or 2000000 when this process starts it. */
  readonly dataBitrate?: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether this process may run the wire: at the start, and after the process that ran it has ended. */
  readonly hostBroker?: boolean;
}

/** Frames of this process that may be at the broker without an outcome. */
const TRANSMIT_QUEUE = 256;
/** How long frames wait for the bus to come back, and how long `open` waits for its start. */
const RECONNECT_MS = 2000;
const ANSWER_MS = 2000;
const RETRY_MS = 15;
const SLOW_RETRY_MS = 250;
/** Time between the attempts of two processes to become the new broker. */
const RANK_STEP_MS = 60;

export class LocalBus extends BusEndpoint {
  readonly kind = 'local';
  readonly name: string;
  readonly fd = true;
  readonly receiveBurst = Number.POSITIVE_INFINITY;
  readonly transmitQueue = TRANSMIT_QUEUE;
  readonly #options: LocalBusOptions;
  readonly #clock: Clock;
  readonly #path: string;
  readonly #clientId = toHex(systemRandom.bytes(8));
  readonly #offsetMs: number;
  readonly #abort = new AbortController();
  #wire: { bitrate: number; dataBitrate: number } | undefined;
  #connection: LocalConnection | undefined;
  #connections = 0;
  #host: BrokerHost | undefined;
  #reconnecting: Promise<void> | undefined;
  /** Frames that `send` has queued and the broker does not have yet. */
  readonly #waiting = new Fifo<CanFrame>();
  /** Number of frames at the broker without an outcome. */
  #inFlight = 0;
  #flushing = false;
  #retiring = false;
  #peers = { count: 1, rank: 0 };
  #giveUp: Timer | undefined;
  #downReason: string | undefined;

  private constructor(options: LocalBusOptions) {
    super();
    this.#options = options;
    this.#clock = options.clock;
    this.name = options.name;
    this.#path = brokerPath(options.name);
    this.#offsetMs = monotonicOffsetMs(options.clock);
  }

  /** Rejects with BusError CONFIG_MISMATCH or BROKER. */
  static async open(options: LocalBusOptions): Promise<LocalBus> {
    const bus = new LocalBus(options);
    // For this attempt only: a client that is accepted at the last moment must be able to connect again later.
    const late = new AbortController();
    const limit = options.clock.after('reconnect', RECONNECT_MS, () => late.abort());
    try {
      const connection = await bus.#connect(0, 0, late.signal);
      if (connection === undefined) throw noBroker(options.name);
      bus.#use(connection);
    } finally {
      limit.cancel();
    }
    return bus;
  }

  get bitrate(): number | undefined {
    return this.#wire?.bitrate || undefined;
  }

  get dataBitrate(): number | undefined {
    return this.bitrate === undefined ? undefined : this.#wire?.dataBitrate;
  }

  /** True while this process runs the wire. */
  get hosting(): boolean {
    return this.#host?.running === true;
  }

  async wireFacts(): Promise<WireFacts | undefined> {
    const connection = this.#connection;
    if (this.closed || connection === undefined || this.#retiring) return undefined;
    const era = `connection ${this.#connections}`;
    // Frames take no time on an unpaced wire, so it has no load.
    if (this.bitrate === undefined) return { era };
    const busyMs = await connection.busyMs(this.#clock, ANSWER_MS);
    return busyMs === undefined ? undefined : { era, busyMs };
  }

  async others(): Promise<number | undefined> {
    const connection = this.#connection;
    if (this.closed || connection === undefined || this.#retiring) return undefined;
    // The broker tells a newcomer the number before it answers the first question.
    const answer = await connection.busyMs(this.#clock, ANSWER_MS);
    return answer === undefined ? undefined : this.#peers.count - 1;
  }

  protected override transmit(frame: CanFrame): void {
    this.#waiting.push(frame);
    if (this.#flushing) return;
    // All frames of this turn go out in one write.
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  protected override listening(filters: readonly CanFilter[] | undefined): void {
    this.#connection?.listen(filters);
  }

  protected override refusalReason(): string | undefined {
    return this.#downReason;
  }

  protected override async shutDown(): Promise<void> {
    this.#abort.abort();
    this.#giveUp?.cancel();
    await this.#reconnecting;
    await this.#connection?.close(this.#clock, ANSWER_MS);
    await this.#host?.retire();
    this.#host = undefined;
  }

  #flush(): void {
    if (this.#connection === undefined || this.#retiring) return;
    const frames: CanFrame[] = [];
    while (this.#inFlight + frames.length < TRANSMIT_QUEUE) {
      const frame = this.#waiting.shift();
      if (frame === undefined) break;
      frames.push(frame);
    }
    if (frames.length === 0) return;
    this.#inFlight += frames.length;
    this.#connection.send(frames);
  }

  #use(connection: LocalConnection): void {
    const { bitrate, dataBitrate, cutOff } = connection.accepted;
    this.#wire = { bitrate, dataBitrate };
    this.#connection = connection;
    // The new connection may be to another broker, which counts from zero.
    this.#connections++;
    this.#retiring = false;
    if (cutOff !== undefined) {
      this.countLost(cutOff.frames);
      this.#options.logger.warn({ bus: this.name, lost: cutOff.frames }, cutOff.reason);
    }
    connection.listen(this.wantedFilters());
    this.#flush();
  }

  readonly #events: ConnectionEvents = {
    onEcho: (atMs) => {
      this.#inFlight--;
      this.confirmed(atMs + this.#offsetMs);
      if (this.#waiting.length > 0) this.#flush();
    },
    onFrame: (frame, atMs) => this.received(frame, atMs + this.#offsetMs),
    onPeers: (count, rank) => {
      this.#peers = { count, rank };
    },
    onRetire: () => {
      this.#retiring = true;
      this.#connection?.retired();
    },
    onClosed: (reason) => this.#lost(reason),
  };

  #lost(reason: string): void {
    this.#connection = undefined;
    const handedOver = this.#retiring && this.#inFlight === 0;
    if (!handedOver) this.#fail(reason);
    this.#reconnecting = this.#reconnect(handedOver, reason).finally(() => {
      this.#reconnecting = undefined;
    });
  }

  /** All frames without an outcome fail; those at the broker may have been on the wire. */
  #fail(reason: string): void {
    this.#waiting.drain();
    this.#inFlight = 0;
    this.changeState('down', reason, this.#clock.nowMs());
    this.failed(this.pendingCount, 'BUS_DOWN', `local:${this.name}: ${reason}`);
  }

  async #reconnect(handedOver: boolean, reason: string): Promise<void> {
    const lostAtMs = this.#clock.nowMs();
    // Without a hand-over the client with the lowest rank was in the process that ended.
    const rank = Math.max(0, this.#peers.rank - (handedOver ? 0 : 1));
    const expected = Math.max(1, this.#peers.count - (handedOver ? 0 : 1));
    // A hand-over is reported only if it takes longer than this.
    this.#giveUp = this.#clock.after('reconnect', RECONNECT_MS, () => {
      this.#downReason = `local:${this.name} is down: ${reason}`;
      this.#fail(reason);
    });
    let complained = '';
    while (!this.#abort.signal.aborted) {
      try {
        const fromMs = lostAtMs + rank * RANK_STEP_MS;
        const connection = await this.#connect(fromMs, expected, this.#abort.signal);
        if (connection === undefined) return; // the bus was closed in the meantime
        this.#giveUp.cancel();
        if (this.closed) {
          await connection.close(this.#clock, ANSWER_MS);
          return;
        }
        this.#downReason = undefined;
        this.changeState('active', 'the bus is back', this.#clock.nowMs());
        this.#use(connection);
        return;
      } catch (error) {
        // Another process runs the wire with other bit rates now, or does not answer: this may pass.
        const message = describeError(error);
        if (message !== complained) this.#options.logger.warn({ bus: this.name }, message);
        complained = message;
        await sleep(this.#clock, 'reconnect', SLOW_RETRY_MS, this.#abort.signal);
      }
    }
  }

  /** Connects; where there is no broker, starts one from `hostFromMs` on. Undefined when aborted. */
  async #connect(
    hostFromMs: number,
    expectedClients: number,
    signal: AbortSignal,
  ): Promise<LocalConnection | undefined> {
    const { clock } = this.#options;
    const wanted = this.#wire ?? this.#options;
    for (;;) {
      const connection = await LocalConnection.open(
        this.#path,
        {
          client: this.#clientId,
          pid: process.pid,
          ...defined({ bitrate: wanted.bitrate, dataBitrate: wanted.dataBitrate }),
        },
        clock,
        ANSWER_MS,
        this.#events,
      ).catch((error) => {
        throw naming(this.name, error);
      });
      if (connection !== undefined) return connection;
      if (signal.aborted) return undefined;
      if (this.#options.hostBroker !== false && !this.hosting && clock.nowMs() >= hostFromMs) {
        this.#host = await this.#startBroker(expectedClients);
        if (this.#host !== undefined) continue;
      }
      await sleep(clock, 'reconnect', RETRY_MS, signal);
    }
  }

  async #startBroker(expectedClients: number): Promise<BrokerHost | undefined> {
    const wanted: Pick<LocalBusOptions, 'bitrate' | 'dataBitrate'> = this.#wire ?? this.#options;
    try {
      return await startBroker(
        {
          path: this.#path,
          bitrate: wanted.bitrate ?? DEFAULT_BITRATE,
          dataBitrate: wanted.dataBitrate ?? DEFAULT_DATA_BITRATE,
          expectedClients,
        },
        this.#options.logger,
      );
    } catch (error) {
      throw new BusError('BROKER', `local:${this.name} could not be started`, { cause: error });
    }
  }
}

function noBroker(name: string): BusError {
  return new BusError(
    'BROKER',
    `no process runs local:${name}: start the process that does first (an ECU, the TMU daemon, the bench)`,
  );
}

function naming(name: string, error: unknown): unknown {
  if (!(error instanceof BusError)) return error;
  return new BusError(error.code, `local:${name}: ${error.message}`, { cause: error.cause });
}

// One client of the broker: reads its handshake and records, collects its output, slows the wire for a slow reader.

import type { Socket } from 'node:net';
import { copyBytes } from '../core/bytes.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { Control, controlCode, controlWords, writeTime } from './control-record.ts';
import { CAN_MTU, isErrorRecord, recordFault, recordLength } from './linux-frame.ts';
import {
  type Hello,
  MAX_HANDSHAKE_BYTES,
  PROTOCOL_VERSION,
  parseHello,
  type Welcome,
} from './local-handshake.ts';
import { monotonicMs } from './monotonic.ts';
import type { WireNode } from './wire.ts';

/** A record inside of the chunk of bytes that it arrived in. */
export interface BrokerRecord {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
}

export interface BrokerLimits {
  /** Frames of one client that may wait for the wire; above it the broker reads nothing from the client. */
  readonly queueFrames: number;
  /** Unpaced wire: bytes that may wait for one reader before the wire waits for it. */
  readonly holdBytes: number;
  /** How long the wire waits for a reader that takes nothing; after that its bytes collect. */
  readonly holdMs: number;
  /** A reader with more waiting bytes than this is cut off; when it connects again, it gets the reason. */
  readonly cutOffBytes: number;
  /** After a takeover: how long the wire is held for the other clients to come back. */
  readonly gatherMs: number;
  /** How long a connection may take for its first line, and a client for the answer to `retire`. */
  readonly answerMs: number;
}

export interface BrokerClientOptions {
  readonly limits: BrokerLimits;
  readonly node: WireNode<BrokerRecord>;
  readonly onHello: (hello: Hello) => Welcome;
  /** `readyMs`: when the record was read, CLOCK_MONOTONIC. */
  readonly onRecord: (record: BrokerRecord, readyMs: number) => void;
  readonly onRetired: () => void;
  readonly onAskBusy: () => void;
  readonly onDrain: () => void;
  readonly onGone: () => void;
}

/** Like struct can_filter: a can_id with its flags, and a mask of the bits that are compared. */
interface WordFilter {
  readonly id: number;
  readonly mask: number;
}

const NOTHING = new Uint8Array(0);
/** Size of the blocks in which output is collected. */
const BLOCK_BYTES = 16 * 1024;
/** Length of the longest record with a time record before it, rounded up. */
const RESERVE_BYTES = 96;

export class BrokerClient {
  readonly node: WireNode<BrokerRecord>;
  /** Identifier of the client, chosen by itself. */
  id = '';
  retired = false;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #options: BrokerClientOptions;
  #phase: 'handshake' | 'open' | 'gone' = 'handshake';
  #rest: Uint8Array = NOTHING;
  #filters: readonly WordFilter[] = [];
  #newFilters: WordFilter[] = [];
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #used = 0;
  #toldMs = Number.NaN;
  #framesSinceDrain = 0;
  #paused = false;
  #handshakeTimer: Timer | undefined;
  #holdTimer: Timer | undefined;
  #stalled = false;

  constructor(socket: Socket, clock: Clock, options: BrokerClientOptions) {
    this.#socket = socket;
    this.#clock = clock;
    this.#options = options;
    this.node = options.node;
    this.#handshakeTimer = clock.after('handshake', options.limits.answerMs, () => this.destroy());
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('drain', () => this.#drained());
    socket.on('error', () => {}); // `close` follows
    socket.on('close', () => this.#gone());
  }

  /** Bytes that the client has not taken yet. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  /** Upper bound of the frames among `waitingBytes`. */
  get waitingFrames(): number {
    return this.#framesSinceDrain;
  }

  /** As with the kernel's filters, one match is enough. */
  accepts(canId: number): boolean {
    const filters = this.#filters;
    for (let index = 0; index < filters.length; index++) {
      const filter = filters[index];
      if (filter !== undefined && ((canId ^ filter.id) & filter.mask) === 0) return true;
    }
    return false;
  }

  /** Collects a record; `flush` sends. */
  append(bytes: Uint8Array, at: number, length: number, endMs: number): void {
    if (this.#phase !== 'open') return;
    if (this.#used + RESERVE_BYTES > BLOCK_BYTES) this.flush();
    if (endMs !== this.#toldMs) {
      this.#toldMs = endMs;
      writeTime(this.#block, this.#used, endMs);
      this.#used += CAN_MTU;
    }
    copyBytes(bytes, at, this.#block, this.#used, length);
    this.#used += length;
    this.#framesSinceDrain++;
  }

  flush(): void {
    if (this.#used > 0 && this.#phase === 'open') {
      this.#socket.write(this.#block.subarray(0, this.#used));
      this.#used = 0;
      // The block is free again when the kernel took all of it; otherwise the stream still needs it.
      if (this.#socket.writableLength > 0) this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      else this.#framesSinceDrain = 0;
    }
    if (this.#paused && this.node.queue.length < this.#options.limits.queueFrames / 2) {
      this.#paused = false;
      this.#socket.resume();
    }
  }

  /** Sends a control record after the collected records. */
  write(record: Uint8Array): void {
    if (this.#phase !== 'open') return;
    this.flush();
    this.#socket.write(record);
  }

  /** Whether the wire has to wait for this reader. `onEnd` is called when the wait ends without a drain. */
  holdsBack(onEnd: () => void): boolean {
    if (this.#stalled || this.#socket.writableLength <= this.#options.limits.holdBytes)
      return false;
    this.#holdTimer ??= this.#clock.after('hold', this.#options.limits.holdMs, () => {
      this.#holdTimer = undefined;
      this.#stalled = true;
      onEnd();
    });
    return true;
  }

  /** Sends what is left, then closes. */
  end(): void {
    this.flush();
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #drained(): void {
    this.#framesSinceDrain = 0;
    this.#stalled = false;
    this.#holdTimer?.cancel();
    this.#holdTimer = undefined;
    this.#options.onDrain();
  }

  #gone(): void {
    if (this.#phase === 'gone') return;
    this.#phase = 'gone';
    this.#handshakeTimer?.cancel();
    this.#holdTimer?.cancel();
    this.#options.onGone();
  }

  #read(chunk: Buffer): void {
    let bytes: Uint8Array = chunk;
    if (this.#rest.length > 0) {
      bytes = Buffer.concat([this.#rest, chunk]);
      this.#rest = NOTHING;
    }
    let at = 0;
    if (this.#phase === 'handshake') {
      const end = bytes.indexOf(0x0a);
      if (end < 0) {
        if (bytes.length > MAX_HANDSHAKE_BYTES) this.destroy();
        else this.#rest = bytes;
        return;
      }
      if (!this.#greet(bytes.subarray(0, end))) return;
      at = end + 1;
    }
    // One time for all records of a chunk: reading takes time, which must not make frames later.
    const nowMs = monotonicMs();
    while (this.#phase === 'open') {
      const length = recordLength(bytes, at);
      if (length === undefined || at + length > bytes.length) break;
      if (isErrorRecord(bytes, at)) this.#control(bytes, at);
      else if (recordFault(bytes, at) === undefined)
        this.#options.onRecord({ bytes, at, length }, nowMs);
      else {
        this.destroy();
        return;
      }
      at += length;
    }
    if (at < bytes.length) this.#rest = bytes.slice(at);
    if (!this.#paused && this.node.queue.length > this.#options.limits.queueFrames) {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  #greet(line: Uint8Array): boolean {
    const hello = parseHello(Buffer.from(line).toString('utf8'));
    if (hello === undefined) {
      const answer: Welcome = {
        canOta: PROTOCOL_VERSION,
        refused: 'BROKER',
        reason: 'the first line was no greeting of this protocol',
      };
      this.#socket.end(`${JSON.stringify(answer)}\n`);
      return false;
    }
    this.#handshakeTimer?.cancel();
    this.#handshakeTimer = undefined;
    this.id = hello.client;
    const answer = this.#options.onHello(hello);
    if ('refused' in answer) {
      this.#socket.end(`${JSON.stringify(answer)}\n`);
      return false;
    }
    this.#socket.write(`${JSON.stringify(answer)}\n`);
    this.#phase = 'open';
    return true;
  }

  #control(bytes: Uint8Array, at: number): void {
    switch (controlCode(bytes, at)) {
      case Control.filterBegin:
        this.#newFilters = [];
        break;
      case Control.filterAdd: {
        const [id, mask] = controlWords(bytes, at);
        this.#newFilters.push({ id, mask });
        break;
      }
      case Control.filterCommit:
        this.#filters = this.#newFilters;
        break;
      case Control.retired:
        this.retired = true;
        this.#options.onRetired();
        break;
      case Control.askBusy:
        this.#options.onAskBusy();
        break;
      default: // a record of a later version: it is safe to ignore
    }
  }
}

// One connection of a local bus to its broker: handshake, then records in both directions.

import { connect, type Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { systemErrorCode } from '../core/errors.ts';
import { BusError, type CanFilter } from './can-bus.ts';
import type { CanFrame } from './can-frame.ts';
import {
  Control,
  controlRecord,
  controlTimeMs,
  controlWords,
  writeControl,
} from './control-record.ts';
import { CAN_MTU, encodeFrame, frameRecordLength, kernelFilter } from './linux-frame.ts';
import {
  type Accepted,
  type Hello,
  MAX_HANDSHAKE_BYTES,
  PROTOCOL_VERSION,
  parseWelcome,
} from './local-handshake.ts';
import { RecordReader } from './record-reader.ts';

/** What a connection reports. Times are CLOCK_MONOTONIC. */
export interface ConnectionEvents {
  readonly onEcho: (atMs: number) => void;
  readonly onFrame: (frame: CanFrame, atMs: number) => void;
  readonly onPeers: (count: number, rank: number) => void;
  readonly onRetire: () => void;
  readonly onClosed: (reason: string) => void;
}

const NOTHING = new Uint8Array(0);

export class LocalConnection {
  readonly #socket: Socket;
  readonly accepted: Accepted;
  readonly #events: ConnectionEvents;
  readonly #reader: RecordReader;
  #closed = false;
  /** Callbacks that wait for the next `busy`. */
  readonly #onBusy = new Set<(busyMs: number | undefined) => void>();

  private constructor(
    socket: Socket,
    accepted: Accepted,
    rest: Uint8Array,
    events: ConnectionEvents,
  ) {
    this.#socket = socket;
    this.accepted = accepted;
    this.#events = events;
    this.#reader = new RecordReader({
      onEcho: events.onEcho,
      onFrame: events.onFrame,
      onControl: (code, bytes, at) => this.#control(code, bytes, at),
      onFault: (fault) => {
        this.#end(`the broker sent an invalid record (${fault})`);
        socket.destroy();
      },
    });
    socket.on('data', (chunk) => this.#reader.push(chunk));
    socket.on('close', () => this.#end('the process that ran the bus ended'));
    // Bytes after the welcome, handled when the caller has this object.
    if (rest.length > 0) queueMicrotask(() => this.#reader.push(rest));
  }

  /**
   * Undefined when no process listens at `path`. Rejects with BusError: CONFIG_MISMATCH when the wire runs at other
   * bit rates, BROKER when the other end does not answer or speaks another protocol.
   */
  static async open(
    path: string,
    hello: Omit<Hello, 'canOta'>,
    clock: Clock,
    answerMs: number,
    events: ConnectionEvents,
  ): Promise<LocalConnection | undefined> {
    const socket = connect({ path });
    const connected = await new Promise<boolean>((resolve, reject) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', (error) => {
        const code = systemErrorCode(error);
        // EAGAIN: the broker's queue of new connections is full. The broker exists, so a later attempt will do.
        if (code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'EAGAIN') resolve(false);
        else reject(new BusError('BROKER', 'the local bus cannot be reached', { cause: error }));
      });
    });
    if (!connected) return undefined;
    socket.on('error', () => {}); // `close` follows
    socket.write(`${JSON.stringify({ canOta: PROTOCOL_VERSION, ...hello })}\n`);
    const [line, rest] = await firstLine(socket, clock, answerMs);
    if (line === undefined) return undefined; // the broker ended while we connected
    const welcome = parseWelcome(line);
    if (welcome === undefined) {
      socket.destroy();
      throw new BusError(
        'BROKER',
        'the process that listens under the name of this bus is not can-ota: take another name',
      );
    }
    if ('refused' in welcome) {
      socket.destroy();
      throw new BusError(welcome.refused, welcome.reason);
    }
    return new LocalConnection(socket, welcome, rest, events);
  }

  /** Hands frames to the broker in one write. */
  send(frames: readonly CanFrame[]): void {
    let length = 0;
    for (const frame of frames) length += frameRecordLength(frame);
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    for (const frame of frames) at += encodeFrame(frame, bytes, at);
    this.#socket.write(bytes);
  }

  /** Sets the filters for every frame that is sent after this call. Undefined: everything passes. */
  listen(filters: readonly CanFilter[] | undefined): void {
    const list = filters === undefined ? [{ id: 0, mask: 0 }] : filters.map(kernelFilter);
    const bytes = new Uint8Array((list.length + 2) * CAN_MTU);
    writeControl(bytes, 0, Control.filterBegin);
    for (const [index, { id, mask }] of list.entries()) {
      writeControl(bytes, (index + 1) * CAN_MTU, Control.filterAdd, id, mask);
    }
    writeControl(bytes, (list.length + 1) * CAN_MTU, Control.filterCommit);
    this.#socket.write(bytes);
  }

  /** How long the wire was in use so far, in ms. Undefined: the broker is gone, or did not answer within `limitMs`. */
  busyMs(clock: Clock, limitMs: number): Promise<number | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const finish = (busyMs: number | undefined): void => {
        limit.cancel();
        this.#onBusy.delete(finish);
        resolve(busyMs);
      };
      const limit = clock.after('bus-load', limitMs, () => finish(undefined));
      this.#onBusy.add(finish);
      this.#socket.write(controlRecord(Control.askBusy));
    });
  }

  /** The answer to `onRetire`; nothing may be sent after it. */
  retired(): void {
    this.#socket.write(controlRecord(Control.retired));
  }

  /** Resolves when the broker has closed its side too, or after `limitMs`. */
  close(clock: Clock, limitMs: number): Promise<void> {
    this.#closed = true;
    this.#reader.stop();
    for (const take of [...this.#onBusy]) take(undefined);
    return new Promise((resolve) => {
      if (this.#socket.destroyed) return resolve();
      const limit = clock.after('close', limitMs, () => this.#socket.destroy());
      this.#socket.once('close', () => {
        limit.cancel();
        resolve();
      });
      this.#socket.end();
      this.#socket.resume();
    });
  }

  #end(reason: string): void {
    for (const take of [...this.#onBusy]) take(undefined);
    if (this.#closed) return;
    this.#closed = true;
    this.#events.onClosed(reason);
  }

  #control(code: number, bytes: Uint8Array, at: number): void {
    switch (code) {
      case Control.peers:
        this.#events.onPeers(...controlWords(bytes, at));
        break;
      case Control.retire:
        this.#events.onRetire();
        break;
      case Control.busy: {
        const busyMs = controlTimeMs(bytes, at);
        for (const take of [...this.#onBusy]) take(busyMs);
        break;
      }
      default: // a record of a later version: it is safe to ignore
    }
  }
}

/** The line without its end, and the bytes after it; no line when the other end closed first. */
function firstLine(
  socket: Socket,
  clock: Clock,
  answerMs: number,
): Promise<[line: string | undefined, rest: Uint8Array]> {
  return new Promise((resolve, reject) => {
    let bytes: Uint8Array = NOTHING;
    const finish = (): void => {
      limit.cancel();
      socket.removeListener('data', onData);
      socket.removeListener('close', onClose);
      socket.pause();
    };
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf(0x0a);
      if (end < 0 && bytes.length <= MAX_HANDSHAKE_BYTES) return;
      finish();
      resolve([
        Buffer.from(bytes.subarray(0, Math.max(0, end))).toString('utf8'),
        bytes.subarray(end + 1),
      ]);
      // The listeners of the connection are in place after the microtasks of this turn.
      setImmediate(() => socket.resume());
    };
    const onClose = (): void => {
      finish();
      resolve([undefined, NOTHING]);
    };
    const limit = clock.after('handshake', answerMs, () => {
      finish();
      socket.destroy();
      reject(
        new BusError(
          'BROKER',
          `the process that runs this bus does not answer within ${answerMs} ms: it is stopped or overloaded; ` +
            'end it (ss -xlp shows which one it is) or take another bus name',
        ),
      );
    });
    socket.on('data', onData);
    socket.on('close', onClose);
  });
}

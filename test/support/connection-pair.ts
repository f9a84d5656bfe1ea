// Two joined IsoTpConnections without frames: virtual time, latency, and messages that can be lost or changed.

import { assertNever } from '../../src/core/errors.ts';
import type {
  ConnectionListener,
  IsoTpConnection,
  NResult,
  SendResult,
} from '../../src/isotp/connection.ts';
import type { VirtualClock } from '../../src/sim/virtual-clock.ts';

/** What happens to one message. `changed` carries the bytes that arrive instead. */
export type Fate =
  | { readonly kind: 'pass' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'changed'; readonly message: Uint8Array }
  /** The sender learns that it could not be sent; nothing arrives. */
  | { readonly kind: 'fail'; readonly result: NResult }
  /** A first frame arrives, and then no more: the receiver ends with an error. */
  | { readonly kind: 'interrupt'; readonly result: NResult }
  /** The message arrives before its sender has the confirmation, as an echo on another channel may be late. */
  | { readonly kind: 'late-confirmation'; readonly lateMs: number };

export interface PairOptions {
  readonly clock: VirtualClock;
  /** From the last frame to its arrival; 0 unless told otherwise. */
  readonly latencyMs?: number;
  /** Time on the wire per byte; 0.03 unless told otherwise, about 500 kbit/s. */
  readonly msPerByte?: number;
  /** Longest message that a side takes. */
  readonly maxLength?: number;
  /** Decides over each message; all pass when missing. */
  readonly fate?: (message: Uint8Array, from: 'a' | 'b') => Fate;
}

/** A message of more than this many bytes is announced by a first frame. */
const SINGLE_FRAME = 7;

/** One message as it left its sender. */
interface Sent {
  readonly from: 'a' | 'b';
  readonly message: Uint8Array;
  /** When its last frame was on the wire. */
  readonly atMs: number;
}

export interface ConnectionPair {
  readonly a: IsoTpConnection;
  readonly b: IsoTpConnection;
  /** Everything that left either side, in order. */
  readonly sent: readonly Sent[];
}

class End implements IsoTpConnection {
  readonly #options: PairOptions;
  readonly #side: 'a' | 'b';
  readonly #record: Sent[];
  #listener: ConnectionListener | undefined;
  #busyUntilMs = 0;
  #closed = false;
  readonly #pending = new Set<(result: SendResult) => void>();
  peer: End | undefined;

  constructor(options: PairOptions, side: 'a' | 'b', record: Sent[]) {
    this.#options = options;
    this.#side = side;
    this.#record = record;
  }

  listen(listener: ConnectionListener): void {
    this.#listener = listener;
  }

  send(message: Uint8Array, done: (result: SendResult) => void = () => {}): void {
    const { clock, latencyMs = 0, msPerByte = 0.03, maxLength = 0xfff, fate } = this.#options;
    if (message.length > maxLength) {
      throw new RangeError(`${message.length} bytes, at most ${maxLength} are possible`);
    }
    if (this.#closed) {
      done({ result: 'CLOSED', atMs: clock.nowMs(), reason: 'the connection is closed' });
      return;
    }
    const bytes = Uint8Array.from(message);
    const startMs = Math.max(clock.nowMs(), this.#busyUntilMs);
    const endMs = startMs + bytes.length * msPerByte;
    this.#busyUntilMs = endMs;
    const what = fate?.(bytes, this.#side) ?? { kind: 'pass' };
    this.#pending.add(done);
    const confirm = (result: NResult, lateMs = 0): void => {
      clock.after('confirmation', endMs - clock.nowMs() + lateMs, () => {
        if (!this.#pending.delete(done)) return;
        done({ result, atMs: endMs, reason: result === 'N_OK' ? 'sent' : 'a fault of the test' });
      });
    };
    const arrive = (arrived: Uint8Array): void => {
      this.#record.push({ from: this.#side, message: bytes, atMs: endMs });
      if (bytes.length > SINGLE_FRAME) this.#announce(bytes.length, startMs + latencyMs);
      clock.after('arrival', endMs + latencyMs - clock.nowMs(), () => {
        this.peer?.receive((listener) => listener.onMessage(arrived, clock.nowMs()));
      });
    };
    switch (what.kind) {
      case 'pass':
        confirm('N_OK');
        arrive(bytes);
        break;
      case 'changed':
        confirm('N_OK');
        arrive(Uint8Array.from(what.message));
        break;
      case 'late-confirmation':
        arrive(bytes);
        confirm('N_OK', what.lateMs);
        break;
      case 'drop':
        confirm('N_OK');
        break;
      case 'fail':
        confirm(what.result);
        break;
      case 'interrupt':
        confirm('N_OK');
        this.#announce(bytes.length, startMs + latencyMs);
        clock.after('loss', endMs + latencyMs - clock.nowMs(), () => {
          this.peer?.receive((listener) =>
            listener.onReceiveError?.(what.result, 'a fault of the test', clock.nowMs()),
          );
        });
        break;
      default:
        assertNever(what);
    }
  }

  close(): void {
    this.#closed = true;
    this.#listener = undefined;
    const atMs = this.#options.clock.nowMs();
    for (const done of this.#pending) {
      done({ result: 'CLOSED', atMs, reason: 'the connection was closed' });
    }
    this.#pending.clear();
  }

  receive(hand: (listener: ConnectionListener) => void): void {
    if (!this.#closed && this.#listener !== undefined) hand(this.#listener);
  }

  #announce(length: number, atMs: number): void {
    const { clock } = this.#options;
    clock.after('first-frame', atMs - clock.nowMs(), () => {
      this.peer?.receive((listener) => listener.onFirstFrame?.(length, clock.nowMs()));
    });
  }
}

/** What `a` sends arrives at `b`, and the other way round. */
export function connectionPair(options: PairOptions): ConnectionPair {
  const sent: Sent[] = [];
  const a = new End(options, 'a', sent);
  const b = new End(options, 'b', sent);
  a.peer = b;
  b.peer = a;
  return { a, b, sent };
}

// The engine of one wire: queues of its nodes, arbitration by identifier, pacing in wire time. No I/O, no clock.

import type { CanFrame } from './can-frame.ts';
import { Fifo } from './fifo.ts';
import { CAN_EFF_FLAG, CAN_EFF_MASK, CAN_RTR_FLAG } from './linux-frame.ts';

/**
 * The bits that take part in arbitration as a number: the lower one wins (dominant is 0). ISO 11898-1 10.4.2.2:
 * 11 bits of identifier; RTR or SRR; IDE; 18 bits of identifier; RTR; FDF. So a data frame wins against the remote
 * frame of its identifier, and an 11 bit frame against the 29 bit frames that begin with the same bits.
 */
export function arbitrationKey(frame: Pick<CanFrame, 'id' | 'extended' | 'remote' | 'fd'>): number {
  return arbitrationKeyOf(frame.id, frame.extended, frame.remote, frame.fd);
}

/** The same from a can_id with its flags. */
export function arbitrationKeyOfWord(canId: number, fd: boolean): number {
  return arbitrationKeyOf(
    canId & CAN_EFF_MASK,
    (canId & CAN_EFF_FLAG) !== 0,
    (canId & CAN_RTR_FLAG) !== 0,
    fd,
  );
}

const BELOW_BASE = 2 ** 22;

function arbitrationKeyOf(id: number, extended: boolean, remote: boolean, fd: boolean): number {
  const low = (remote ? 1 : 0) as number;
  if (!extended) return id * BELOW_BASE + ((low << 21) | ((fd ? 1 : 0) << 19));
  return (id >>> 18) * BELOW_BASE + (0x300000 | ((id & 0x3ffff) << 2) | (low << 1) | (fd ? 1 : 0));
}

/** A frame that waits for the wire. */
export interface WaitingFrame<T> {
  readonly key: number;
  /** Wire time of the frame; 0 on an unpaced wire. */
  readonly durationMs: number;
  /** The instant from which on the frame takes part in arbitration. */
  readonly readyMs: number;
  readonly item: T;
}

/** One transmitter: its frames go out in the order in which they were queued. */
export class WireNode<T> {
  readonly queue = new Fifo<WaitingFrame<T>>();
  /** Until then the node takes no part in arbitration: an error passive node suspends its transmission. */
  notBeforeMs = Number.NEGATIVE_INFINITY;
}

/** Called when a frame has ended. It may queue further frames. */
export type Deliver<T> = (node: WireNode<T>, item: T, endMs: number) => void;

/**
 * One wire. Time moves only by `step(nowMs)`. A late step loses no wire time, because the next frame starts at the end
 * of the frame before it, or when it became ready, whichever is later.
 */
export class Wire<T> {
  readonly #nodes: WireNode<T>[] = [];
  /** The frame whose bits are on the wire, its node and its end. */
  #current: WaitingFrame<T> | undefined;
  #currentNode: WireNode<T> | undefined;
  #endMs = 0;
  #freeAtMs = Number.NEGATIVE_INFINITY;
  #busyMs = 0;
  #frames = 0;

  /** Wire time of all frames so far; divided by elapsed time it is the bus load. */
  get busyMs(): number {
    return this.#busyMs;
  }

  get frames(): number {
    return this.#frames;
  }

  /** `busyMs` and what the frame on the wire has used of its time by `nowMs`. */
  busyMsAt(nowMs: number): number {
    if (this.#current === undefined) return this.#busyMs;
    const startMs = this.#endMs - this.#current.durationMs;
    return this.#busyMs + Math.min(nowMs - startMs, this.#current.durationMs);
  }

  /** Nothing waits and nothing is on the wire. */
  get idle(): boolean {
    return this.#current === undefined && this.#nodes.every((node) => node.queue.length === 0);
  }

  attach(): WireNode<T> {
    const node = new WireNode<T>();
    this.#nodes.push(node);
    return node;
  }

  /**
   * Removes a node and returns its waiting frames. Its frame on the wire still comes to its end and is delivered: other
   * nodes have begun to read its bits.
   */
  detach(node: WireNode<T>): T[] {
    const at = this.#nodes.indexOf(node);
    if (at >= 0) this.#nodes.splice(at, 1);
    return node.queue.drain().map((waiting) => waiting.item);
  }

  /** Drops the waiting frames of `node` and returns them; the node stays. */
  clear(node: WireNode<T>): T[] {
    return node.queue.drain().map((waiting) => waiting.item);
  }

  enqueue(node: WireNode<T>, waiting: WaitingFrame<T>): void {
    node.queue.push(waiting);
  }

  /** Queues a frame of `node` that was spoiled on the wire, before all others of the node: ISO 11898-1 8.3.4. */
  sendAgain(node: WireNode<T>, waiting: WaitingFrame<T>): void {
    node.queue.unshift(waiting);
  }

  /** Called within `deliver`: the frame is followed by `durationMs` of other bits, such as an error frame. */
  occupy(durationMs: number): void {
    this.#freeAtMs += durationMs;
    this.#busyMs += durationMs;
  }

  /** Starts no frame before `nowMs`, even if it was ready earlier: for a wire that was held. */
  notBefore(nowMs: number): void {
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs);
  }

  /**
   * Ends all frames whose bits are through by `nowMs`, in order, at most `limit` of them. Returns when to step again
   * (`nowMs` itself when the limit was reached), undefined when no frame waits.
   */
  step(nowMs: number, deliver: Deliver<T>, limit = Number.POSITIVE_INFINITY): number | undefined {
    for (let delivered = 0; ; ) {
      if (this.#current === undefined || this.#currentNode === undefined) {
        const waitUntilMs = this.#start(nowMs);
        if (this.#current === undefined || this.#currentNode === undefined) return waitUntilMs;
      }
      const endMs = this.#endMs;
      if (endMs > nowMs) return endMs;
      if (delivered++ >= limit) return nowMs;
      const node: WireNode<T> = this.#currentNode;
      const waiting: WaitingFrame<T> = this.#current;
      this.#current = undefined;
      this.#freeAtMs = endMs;
      this.#busyMs += waiting.durationMs;
      this.#frames++;
      deliver(node, waiting.item, endMs);
    }
  }

  /**
   * Starts the frame that wins the arbitration at the earliest instant when the wire is free and a node is ready, if that
   * instant has come. Otherwise returns that instant, undefined when no frame waits.
   */
  #start(nowMs: number): number | undefined {
    let startMs = this.#freeAtMs;
    let earliestMs = this.#arbitrate(startMs);
    // On a busy wire the first arbitration decides: a node was ready before the wire became free.
    if (this.#winner === undefined) {
      if (earliestMs === Number.POSITIVE_INFINITY) return undefined;
      startMs = Math.max(earliestMs, startMs);
      if (startMs > nowMs) return startMs;
      earliestMs = this.#arbitrate(startMs);
    } else if (startMs > nowMs) {
      this.#winner = undefined;
      return startMs;
    }
    const winner: WireNode<T> | undefined = this.#winner;
    const next = winner?.queue.shift();
    this.#winner = undefined;
    if (next === undefined) return undefined;
    this.#current = next;
    this.#currentNode = winner;
    this.#endMs = startMs + next.durationMs;
    return undefined;
  }

  #winner: WireNode<T> | undefined;

  /** Finds the winner at `startMs`; returns when the first of the nodes that are not ready by then will be ready. */
  #arbitrate(startMs: number): number {
    let best: WaitingFrame<T> | undefined;
    let earliestMs = Number.POSITIVE_INFINITY;
    const nodes = this.#nodes;
    for (let index = 0; index < nodes.length; index++) {
      const node = nodes[index];
      const head = node?.queue.peek();
      if (node === undefined || head === undefined) continue;
      const readyMs = Math.max(head.readyMs, node.notBeforeMs);
      if (readyMs > startMs) {
        if (readyMs < earliestMs) earliestMs = readyMs;
      } else if (
        best === undefined ||
        head.key < best.key ||
        (head.key === best.key && head.readyMs < best.readyMs)
      ) {
        best = head;
        this.#winner = node;
      }
    }
    return earliestMs;
  }
}

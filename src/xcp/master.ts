// The XCP master on a CAN bus: the engine of master-engine.ts with frames and a clock.

import { type CanBus, exactFilter, type Subscription } from '../bus/can-bus.ts';
import { classicFrame } from '../bus/can-frame.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { assertNever } from '../core/errors.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { CAN_CTO } from './commands.ts';
import {
  initialMasterState,
  type MasterEffect,
  type MasterInput,
  type MasterState,
  masterDue,
  stepMaster,
  type XcpReply,
  type XcpRequest,
  type XcpTiming,
} from './master-engine.ts';

/** Sends commands to one slave. A fault of the slave is a reply, never an exception. */
export interface XcpRequester {
  /** One command at a time: a second one before the reply of the first throws. */
  request(request: XcpRequest, signal?: AbortSignal): Promise<XcpReply>;
}

interface XcpAddress {
  /** Identifiers of commands and of answers. */
  readonly request: number;
  readonly response: number;
  /** 29 bit identifiers. */
  readonly extended: boolean;
}

export interface XcpMasterOptions {
  readonly bus: CanBus;
  readonly address: XcpAddress;
  readonly clock: Clock;
  readonly timing: XcpTiming;
  /** Commands are filled up to 8 bytes with it; undefined: they have their own length. */
  readonly padding?: number | undefined;
  readonly logger?: Logger;
}

/** A timer that fires later than this shows that the process was blocked. */
const LATE_MS = 5;
/** Time for a blocked process to handle the frames that have arrived. */
const GRACE_MS = 50;

export class XcpMaster implements XcpRequester {
  readonly #options: XcpMasterOptions;
  readonly #logger: Logger;
  readonly #subscription: Subscription;
  #state: MasterState = initialMasterState;
  #settle: ((reply: XcpReply) => void) | undefined;
  #timer: Timer | undefined;
  #timerDueMs: number | undefined;
  #closed = false;

  constructor(options: XcpMasterOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    const { response, extended } = options.address;
    this.#subscription = options.bus.subscribe(
      [exactFilter(response, extended)],
      ({ frame, atMs }) => {
        if (!frame.remote) this.#feed({ kind: 'received', data: frame.data, atMs });
      },
    );
  }

  async request(request: XcpRequest, signal?: AbortSignal): Promise<XcpReply> {
    if (this.#settle !== undefined) throw new Error('one command at a time');
    if (this.#closed || signal?.aborted === true) {
      const reason = this.#closed ? 'the master is closed' : 'stopped by the caller';
      return { kind: 'transport', reason, closed: true };
    }
    const onAbort = (): void => this.#feed({ kind: 'abort', reason: 'stopped by the caller' });
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await new Promise<XcpReply>((resolve) => {
        this.#settle = resolve;
        this.#feed({ kind: 'ask', request });
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Ends an open command. The bus belongs to the caller. */
  close(): void {
    if (this.#closed) return;
    this.#feed({ kind: 'abort', reason: 'the master was closed' });
    this.#closed = true;
    this.#subscription.close();
    this.#timer?.cancel();
  }

  #feed(input: MasterInput): void {
    if (this.#closed) return;
    const { clock, timing } = this.#options;
    const { state, effects } = stepMaster(this.#state, input, clock.nowMs(), timing);
    this.#state = state;
    this.#arm();
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: MasterEffect): void {
    switch (effect.kind) {
      case 'send':
        this.#send(effect.id, effect.bytes);
        return;
      case 'settle': {
        const settle = this.#settle;
        this.#settle = undefined;
        settle?.(effect.reply);
        return;
      }
      case 'stray':
        this.#logger.debug({ data: toHex(effect.data) }, `XCP packet ignored: ${effect.reason}`);
        return;
      default:
        assertNever(effect);
    }
  }

  #send(id: number, bytes: Uint8Array): void {
    const { bus, address, padding } = this.#options;
    let data = bytes;
    if (padding !== undefined && bytes.length < CAN_CTO) {
      data = new Uint8Array(CAN_CTO).fill(padding);
      data.set(bytes);
    }
    bus.send(classicFrame(address.request, data, address.extended), (outcome) =>
      this.#feed(
        outcome.kind === 'sent'
          ? { kind: 'sent', id, atMs: outcome.atMs }
          : { kind: 'unsent', id, reason: outcome.reason },
      ),
    );
  }

  #arm(graceMs = 0): void {
    const due = masterDue(this.#state);
    if (due?.dueMs === this.#timerDueMs && graceMs === 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDueMs = due?.dueMs;
    if (due === undefined) return;
    const { clock } = this.#options;
    const delayMs = Math.max(due.dueMs - clock.nowMs(), graceMs);
    this.#timer = clock.after(due.name, delayMs, () => {
      const isLate = clock.nowMs() - due.dueMs > LATE_MS;
      if (isLate && graceMs === 0) return this.#arm(GRACE_MS);
      this.#timerDueMs = undefined;
      this.#feed({ kind: 'tick' });
    });
  }
}

// The server's side of SecurityAccess, ISO 14229-1 10.4 and annex I: seeds, keys, attempts, delays.

import type { Random } from '../core/random.ts';
import { Nrc } from './nrc.ts';
import type { Reply, ServiceHandler, SubFunctionRule } from './server-types.ts';
import * as securityAccess from './services/security-access.ts';

/** The part that must survive a reset: otherwise a power cut would reset the number of attempts. */
export interface SecurityRecord {
  /** Wrong keys since the last right one. */
  readonly failedAttempts: number;
}

export interface SecurityOptions {
  readonly random: Random;
  /** Odd sub-functions of requestSeed. */
  readonly levels: readonly number[];
  /** Bytes of a seed, 16 by default. */
  readonly seedLength?: number;
  /** Length of all keys, where they have one length: another length is answered 0x13 and is not an attempt. */
  readonly keyLength?: number;
  /** Compares in constant time (`constantTimeEqual`). */
  checkKey(level: number, seed: Uint8Array, key: Uint8Array): boolean | Promise<boolean>;
  /** Wrong keys until the delay starts; 3 by default. */
  readonly maxAttempts?: number;
  /** 10 s by default. The delay also runs after power-on while no attempts are left. */
  readonly delayMs?: number;
  /** Sessions in which the service exists; when missing, all but the default session. */
  readonly sessions?: readonly number[];
  /** The record of the last run, undefined for a new ECU. */
  readonly record?: SecurityRecord;
  /** Makes the record durable. The answer waits for it. */
  save?(record: SecurityRecord): void | Promise<void>;
}

const EMPTY = new Uint8Array();

/**
 * The state machine of annex I as a handler of service 27. One level is unlocked at a time. After the delay one more
 * attempt is allowed; only a right key resets the count of wrong ones.
 */
export class SecurityAccess {
  readonly #options: SecurityOptions;
  readonly #maxAttempts: number;
  readonly #delayMs: number;
  #unlocked = 0;
  #pending: { readonly level: number; readonly seed: Uint8Array } | undefined;
  #failedAttempts: number;
  /** Number of attempts in the durable record. */
  #savedAttempts: number;
  #delayUntilMs: number | undefined;
  /** Number of locks: a key whose check began before a lock unlocks nothing. */
  #epoch = 0;

  /** `nowMs`: time of power-on. */
  constructor(options: SecurityOptions, nowMs: number) {
    this.#options = options;
    this.#maxAttempts = options.maxAttempts ?? 3;
    this.#delayMs = options.delayMs ?? 10_000;
    this.#failedAttempts = options.record?.failedAttempts ?? 0;
    this.#savedAttempts = this.#failedAttempts;
    this.powerOn(nowMs);
  }

  /** The unlocked level, 0 when locked. */
  get level(): number {
    return this.#unlocked;
  }

  get record(): SecurityRecord {
    return { failedAttempts: this.#failedAttempts };
  }

  /** Locks and forgets the seed: every change of session does this (10.4.1). */
  lock(): void {
    this.#unlocked = 0;
    this.#pending = undefined;
    this.#epoch++;
  }

  /** Locks; when no attempts were left, the delay starts again (annex I, transition 1). */
  powerOn(nowMs: number): void {
    this.lock();
    this.#delayUntilMs =
      this.#failedAttempts >= this.#maxAttempts ? nowMs + this.#delayMs : undefined;
  }

  /** Handler of service 27, which `UdsServer` adds itself. `sessions`: used where the options have none. */
  handler(sessions: readonly number[]): ServiceHandler {
    const subFunctions: Record<number, SubFunctionRule> = {};
    for (const level of this.#options.levels) {
      subFunctions[level] = {};
      subFunctions[level + 1] = { minLength: 3 };
    }
    return {
      sessions: this.#options.sessions ?? sessions,
      subFunctions,
      functional: false,
      minLength: 2,
      handle: (bytes, context) => {
        const request = securityAccess.decodeRequest(bytes);
        if (typeof request === 'number') return { nrc: request };
        return request.kind === 'requestSeed'
          ? this.#requestSeed(request.level, context.nowMs)
          : this.#sendKey(request.level, request.data, context.nowMs);
      },
    };
  }

  #requestSeed(level: number, nowMs: number): Reply {
    const length = this.#options.seedLength ?? 16;
    if (this.#unlocked === level) {
      return {
        positive: securityAccess.encodeResponse('requestSeed', level, new Uint8Array(length)),
      };
    }
    if (this.#delayUntilMs !== undefined) {
      if (nowMs < this.#delayUntilMs) return { nrc: Nrc.requiredTimeDelayNotExpired };
      this.#delayUntilMs = undefined;
      // Annex I: one more attempt after the delay, not a full new set.
      this.#failedAttempts = Math.min(this.#failedAttempts, this.#maxAttempts - 1);
    }
    const seed = this.#options.random.bytes(length);
    // A seed of zeros would mean "unlocked".
    if (securityAccess.isUnlockedSeed(seed)) seed[length - 1] = 1;
    this.#pending = { level, seed };
    return { positive: securityAccess.encodeResponse('requestSeed', level, seed) };
  }

  async #sendKey(level: number, key: Uint8Array, nowMs: number): Promise<Reply> {
    const pending = this.#pending;
    if (pending === undefined || pending.level !== level) {
      return { nrc: Nrc.requestSequenceError };
    }
    if (this.#options.keyLength !== undefined && key.length !== this.#options.keyLength) {
      return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
    }
    // A seed is valid for one key. The attempt is counted durably before the key is checked, so a power cut cannot
    // remove it.
    this.#pending = undefined;
    const failedBefore = this.#failedAttempts;
    const epoch = this.#epoch;
    const exhausted = failedBefore + 1 >= this.#maxAttempts;
    if (exhausted) this.#delayUntilMs = nowMs + this.#delayMs;
    await this.#count(failedBefore + 1);
    if (await this.#options.checkKey(level, pending.seed, key)) {
      await this.#count(0);
      this.#delayUntilMs = undefined;
      if (epoch === this.#epoch) this.#unlocked = level;
      return { positive: securityAccess.encodeResponse('sendKey', level, EMPTY) };
    }
    return { nrc: exhausted ? Nrc.exceededNumberOfAttempts : Nrc.invalidKey };
  }

  async #count(failedAttempts: number): Promise<void> {
    this.#failedAttempts = failedAttempts;
    // A wrong key after the delay does not change the stored number, so it costs no write to the flash.
    if (failedAttempts === this.#savedAttempts) return;
    await this.#options.save?.(this.record);
    this.#savedAttempts = failedAttempts;
  }
}

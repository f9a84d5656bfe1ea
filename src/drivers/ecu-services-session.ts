// The session that commands need: entered and unlocked, kept while an output is held, left otherwise.

import { Did, Session } from '../uds/sid.ts';
import type { EcuCommand } from '../vehicle/schema.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import type { Exchange, Exchanged } from './exchange.ts';
import { readDid } from './identification.ts';
import { enterSession, unlock } from './unlock.ts';

const DONE = { ok: true, value: undefined } as const;

export class CommandSession {
  readonly #exchange: Exchange;
  readonly #runCommand: KeyCommand | undefined;
  /** DIDs whose output is taken over: it comes back with the end of the session, so that one is kept for them. */
  readonly #held = new Set<number>();
  #inside = false;

  constructor(exchange: Exchange, runCommand: KeyCommand | undefined) {
    this.#exchange = exchange;
    this.#runCommand = runCommand;
  }

  get isOpen(): boolean {
    return this.#inside;
  }

  async enter(command: EcuCommand, signal: AbortSignal): Promise<Exchanged<void>> {
    if (command.session === 'default') return DONE;
    await this.#forgetLostOutputs();
    this.#exchange.keepAlive(true);
    const entered = await enterSession(this.#exchange, Session.extended, signal);
    if (!entered.ok) {
      // Nothing is held any more for sure; what is left of it ends with S3.
      this.#inside = false;
      this.#held.clear();
      this.#exchange.keepAlive(false);
      return entered;
    }
    this.#inside = true;
    if (this.#exchange.secured() !== undefined) {
      // An order with authority of its own opens nothing. Whether the ECU takes such orders is asked while it is not begun.
      const doing = 'asking for its challenge';
      const challenge = await readDid(this.#exchange, Did.securedDataChallenge, doing, signal);
      return challenge.ok ? DONE : challenge;
    }
    return command.security === 'none'
      ? DONE
      : unlock(this.#exchange, this.#runCommand, signal, 'unlocking for a command');
  }

  /** Without waiting for S3, unless an output is held. An ECU that does not answer gets there by itself. */
  async leave(): Promise<void> {
    if (!this.#inside || this.#held.size > 0) return;
    this.#inside = false;
    this.#exchange.keepAlive(false);
    await this.#exchange.ask(Uint8Array.of(0x10, Session.default), 'leaving the extended session');
  }

  /** From now on `leave` stays, and tester present goes on. */
  hold(did: number): void {
    if (this.#inside) this.#held.add(did);
  }

  letGo(did: number): void {
    this.#held.delete(did);
  }

  /** A reset or a campaign has ended the session behind our back, and all that was held with it. */
  async #forgetLostOutputs(): Promise<void> {
    if (this.#held.size === 0) return;
    if ((await this.#exchange.activeSession()) === Session.default) this.#held.clear();
  }
}

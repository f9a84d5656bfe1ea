// The session for commands: entered and unlocked, kept while an output is held, and left otherwise.

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
  /** DIDs of held outputs. The end of the session would release them, so the session is kept. */
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
    this.#exchange.keepAlive('this-ecu');
    const entered = await enterSession(this.#exchange, Session.extended, signal);
    if (!entered.ok) {
      // It is not certain that any output is still held; a rest of the session ends with S3.
      this.#inside = false;
      this.#held.clear();
      this.#exchange.keepAlive('off');
      return entered;
    }
    this.#inside = true;
    if (this.#exchange.secured() !== undefined) {
      // An authenticated order needs no unlocking. Check beforehand that the ECU takes such orders.
      const doing = 'asking for its challenge';
      const challenge = await readDid(this.#exchange, Did.securedDataChallenge, doing, signal);
      return challenge.ok ? DONE : challenge;
    }
    return command.security === 'none'
      ? DONE
      : unlock(this.#exchange, this.#runCommand, signal, 'unlocking for a command');
  }

  /** Leaves the session without waiting for S3, unless an output is held. S3 ends it in an ECU that does not answer. */
  async leave(): Promise<void> {
    if (!this.#inside || this.#held.size > 0) return;
    this.#inside = false;
    this.#exchange.keepAlive('off');
    await this.#exchange.ask(Uint8Array.of(0x10, Session.default), 'leaving the extended session');
  }

  /** Holds an output: from now on `leave` keeps the session, and tester present continues. */
  hold(did: number): void {
    if (this.#inside) this.#held.add(did);
  }

  letGo(did: number): void {
    this.#held.delete(did);
  }

  /** Forgets the held outputs when a reset or a campaign has ended the session. */
  async #forgetLostOutputs(): Promise<void> {
    if (this.#held.size === 0) return;
    if ((await this.#exchange.activeSession()) === Session.default) this.#held.clear();
  }
}

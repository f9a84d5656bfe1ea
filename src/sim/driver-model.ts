// The driver of a simulated vehicle: sees the CGW's approval requests, types answers, and remembers them.

import { EventEmitter } from 'node:events';
import type { DriverTerminal } from '../../ecus/cgw/console.ts';
import type { Clock } from '../core/clock.ts';
import { assertNever } from '../core/errors.ts';

export interface DriverQuestion {
  /** Campaign id in hexadecimal, as the CGW tells it. */
  readonly campaign: string;
  /** Number of the question, from 1, over all questions of this driver. */
  readonly n: number;
  readonly atMs: number;
}

/** The driver's answer to a question. `afterMs`: 500 by default. */
export type DriverChoice =
  | {
      readonly answer: 'approve';
      readonly afterMs?: number;
      /** Withdraws the approval this long after giving it, if that is still possible. */
      readonly withdrawAfterMs?: number;
    }
  | { readonly answer: 'deny' | 'later-ignition'; readonly afterMs?: number }
  | { readonly answer: 'later'; readonly minutes: number; readonly afterMs?: number }
  | { readonly answer: 'silence' };

/** What the driver typed, and when; no other record changes it. */
export interface DriverDeed {
  readonly atMs: number;
  readonly campaign: string;
  readonly did: 'approve' | 'deny' | 'later' | 'later-ignition' | 'withdraw';
}

const THINKS_MS = 500;
/** Lines of the screen that are kept. */
const SCREEN_LINES = 200;

export class DriverModel {
  readonly #clock: Clock;
  readonly #deeds: DriverDeed[] = [];
  readonly #screen: string[] = [];
  #terminal: EventEmitter | undefined;
  #questions = 0;
  #campaign: string | undefined;
  /** Called once for each question. Approves everything unless replaced. */
  choose: (question: DriverQuestion) => DriverChoice = () => ({ answer: 'approve' });
  /** Called for everything that the driver types. */
  onDeed: ((deed: DriverDeed) => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get deeds(): readonly DriverDeed[] {
    return this.#deeds;
  }

  /** The last lines on the driver's screen. */
  get screen(): readonly string[] {
    return this.#screen;
  }

  /** A terminal for a CGW that has just started; the previous terminal is gone. */
  sitDown(): DriverTerminal {
    const input = new EventEmitter();
    this.#terminal = input;
    return {
      input: Object.assign(input, { pause: () => input, resume: () => input }),
      output: { write: (text: string) => this.#read(text) },
    } as unknown as DriverTerminal;
  }

  /** The CGW has stopped, and its question with it. */
  standUp(): void {
    this.#terminal = undefined;
    this.#campaign = undefined;
  }

  /** Handles a status of the CGW's question. */
  hear(campaign: string, status: string): void {
    if (status !== 'waiting') return;
    this.#campaign = campaign;
    const question = { campaign, n: ++this.#questions, atMs: this.#clock.nowMs() };
    const choice = this.choose(question);
    if (choice.answer === 'silence') return;
    const terminal = this.#terminal;
    this.#clock.after('driver', choice.afterMs ?? THINKS_MS, () => {
      // Another question or another CGW: this one is no longer on the screen.
      if (this.#terminal !== terminal || this.#questions !== question.n) return;
      // The CGW accepts a deny only when it is typed twice.
      if (choice.answer === 'deny') terminal?.emit('data', 'deny\n');
      this.#type(choice.answer, campaign, textOf(choice));
      if (choice.answer !== 'approve' || choice.withdrawAfterMs === undefined) return;
      this.#clock.after('driver', choice.withdrawAfterMs, () => {
        if (this.#questions === question.n) this.withdraw();
      });
    });
  }

  /** Withdraws the last answer, if the CGW still allows it. Does nothing without a question. */
  withdraw(): void {
    if (this.#campaign !== undefined) this.#type('withdraw', this.#campaign, 'withdraw');
  }

  #type(did: DriverDeed['did'], campaign: string, text: string): void {
    if (this.#terminal === undefined) return;
    const deed = { atMs: this.#clock.nowMs(), campaign, did };
    this.#deeds.push(deed);
    this.onDeed?.(deed);
    this.#terminal.emit('data', `${text}\n`);
  }

  #read(text: string): boolean {
    this.#screen.push(...text.split('\n').filter((line) => line !== ''));
    if (this.#screen.length > SCREEN_LINES) this.#screen.splice(0, SCREEN_LINES / 2);
    return true;
  }
}

function textOf(choice: Exclude<DriverChoice, { answer: 'silence' }>): string {
  switch (choice.answer) {
    case 'approve':
    case 'deny':
      return choice.answer;
    case 'later':
      return `later ${choice.minutes}`;
    case 'later-ignition':
      return 'later ignition';
    default:
      return assertNever(choice);
  }
}

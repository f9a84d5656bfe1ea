// The driver's console: a screen on a terminal, lines on any other output; automatic answers need no console.

import pc from 'picocolors';
import { QuarterLines } from '../../src/core/quarter-lines.ts';
import { ApprovalStatus } from '../../src/vehicle/approval.ts';
import { type ApprovalState, canAskAgain, canWithdraw, isInformation } from './approval-state.ts';
import {
  allWords,
  answerOfKey,
  answerOfLine,
  confirmsDeny,
  type DriverAnswer,
  wordsFor,
} from './driver-keys.ts';
import {
  type DriverView,
  informationLines,
  OUTCOME_LABEL,
  outcomeText,
  questionLines,
  renderPrompt,
} from './render.ts';

/** The interface of a console for the approval. */
export interface DriverConsole {
  /** Shows the present state; called on every change and once a second while a request is open. */
  show(view: DriverView): void;
  close(): void;
}

export interface DriverTerminal {
  readonly input: NodeJS.ReadableStream & {
    isTTY?: boolean;
    setRawMode?(on: boolean): unknown;
  };
  readonly output: NodeJS.WritableStream & { isTTY?: boolean; columns?: number; rows?: number };
  /** Whether a screen can be drawn; left out: where both ends are terminals. A terminal of the kind `dumb` gets lines. */
  readonly screen?: boolean;
}

export interface ConsoleOptions {
  readonly terminal: DriverTerminal;
  onAnswer(answer: DriverAnswer): void;
  /** Handles lines that begin with `signal`: gets the words after it, and the result is printed. For benches. */
  onSignal?(words: readonly string[]): readonly string[];
  /** Called for Control-C on a raw terminal, which sends no signal. */
  onInterrupt(): void;
  /** Whether to use colours; missing: by the terminal and NO_COLOR. */
  readonly colour?: boolean | undefined;
}

/** Opens a console: a screen when input and output are a terminal, otherwise lines. */
export function openConsole(options: ConsoleOptions): DriverConsole {
  const { input, output, screen } = options.terminal;
  return input.isTTY === true && output.isTTY === true && screen !== false
    ? new ScreenConsole(options)
    : new LineConsole(options);
}

const ENTER_SCREEN = '\x1b[?1049h\x1b[?25l';
const LEAVE_SCREEN = '\x1b[?25h\x1b[?1049l';

class ScreenConsole implements DriverConsole {
  readonly #options: ConsoleOptions;
  #view: DriverView | undefined;
  #open = true;
  /** Whether D was pressed once for this request. */
  #denying = false;

  constructor(options: ConsoleOptions) {
    this.#options = options;
    const { input, output } = options.terminal;
    input.setRawMode?.(true);
    input.on('data', this.#onData);
    input.resume();
    output.on('resize', this.#paint);
    // Restore cursor and echo for the shell at any end of the process.
    process.on('exit', this.#restore);
    output.write(ENTER_SCREEN);
  }

  show(view: DriverView): void {
    const before = this.#view?.approval;
    if (before === undefined || !sameSituation(before, view.approval)) this.#denying = false;
    this.#view = view;
    this.#paint();
  }

  close(): void {
    if (!this.#open) return;
    const { input, output } = this.#options.terminal;
    input.off('data', this.#onData);
    output.off('resize', this.#paint);
    process.off('exit', this.#restore);
    this.#restore();
    input.pause();
  }

  readonly #restore = (): void => {
    if (!this.#open) return;
    this.#open = false;
    this.#options.terminal.input.setRawMode?.(false);
    this.#options.terminal.output.write(LEAVE_SCREEN);
  };

  readonly #paint = (): void => {
    if (this.#view === undefined || !this.#open) return;
    const { output } = this.#options.terminal;
    const lines = renderPrompt(
      { ...this.#view, denying: this.#denying },
      // A terminal without a size says 0.
      output.columns || 80,
      output.rows || 24,
      this.#options.colour ?? pc.isColorSupported,
    );
    // Overwrite the old screen line by line, then clear the rest, which avoids flicker.
    output.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`);
  };

  readonly #onData = (chunk: Buffer | string): void => {
    const text = chunk.toString();
    if (text.startsWith('\x1b')) return; // an arrow or function key
    for (const character of text) {
      if (character === '\x03') this.#options.onInterrupt();
      this.#press(character.toLowerCase());
    }
  };

  /** Handles a key. A deny ends the release for this vehicle, so it needs a second key. */
  #press(key: string): void {
    const asking = this.#view?.approval.kind === 'asking';
    if (this.#denying && asking) {
      this.#denying = false;
      if (confirmsDeny(key)) this.#options.onAnswer({ kind: 'deny' });
      // Any other key returns to the request.
      else this.#paint();
      return;
    }
    const given = answerOfKey(key);
    if (given === undefined) return;
    if (given.kind !== 'deny') this.#options.onAnswer(given);
    else if (asking) {
      this.#denying = true;
      this.#paint();
    }
  }
}

/** Longest line; the rest is discarded. */
const MAX_LINE = 200;

class LineConsole implements DriverConsole {
  readonly #options: ConsoleOptions;
  #line = '';
  /** Whether "deny" was typed once for this request. */
  #denying = false;
  #shown: ApprovalState | undefined;
  #outcome: string | undefined;
  readonly #quarters = new QuarterLines();
  /** True after the end of the input. */
  #ended = false;

  constructor(options: ConsoleOptions) {
    this.#options = options;
    options.terminal.input.on('data', this.#onData);
    options.terminal.input.on('end', this.#onEnd);
    options.terminal.input.on('error', () => {});
  }

  show(view: DriverView): void {
    const { approval } = view;
    if (view.outcome !== undefined && view.outcome !== this.#outcome) {
      this.#print([`${OUTCOME_LABEL}: ${view.outcome}`]);
    }
    this.#outcome = view.outcome;
    for (const { ecu, received, total } of view.progress ?? []) {
      const percent = this.#quarters.update(ecu, received, total);
      if (percent !== undefined) this.#print([`${ecu}: ${percent} % programmed`]);
    }
    const before = this.#shown;
    this.#shown = approval;
    if (before !== undefined && sameSituation(before, approval)) return;
    this.#denying = false;
    if (approval.kind === 'asking') {
      const seconds = Math.ceil((approval.deadlineMs - view.nowMs) / 1000);
      this.#print(questionLines(approval.request.facts, seconds));
      if (this.#ended) this.#print([ENDED_LINE]);
    } else if (approval.kind === 'answered' && isInformation(approval.request)) {
      this.#print(informationLines(approval, view.clockText));
    } else if (approval.kind === 'answered') {
      const hint = canWithdraw(approval)
        ? ` ("${wordsFor('approved')}" takes it back)`
        : canAskAgain(approval)
          ? ` ("${wordsFor('refused')}" has the question asked again)`
          : '';
      this.#print([`${outcomeText(approval, view.clockText)}${hint}`]);
    }
  }

  close(): void {
    this.#options.terminal.input.off('data', this.#onData);
    this.#options.terminal.input.off('end', this.#onEnd);
    this.#options.terminal.input.pause();
  }

  readonly #onEnd = (): void => {
    this.#ended = true;
    if (this.#shown?.kind === 'asking') this.#print([ENDED_LINE]);
  };

  #print(lines: readonly string[]): void {
    this.#options.terminal.output.write(lines.map((line) => `${line}\n`).join(''));
  }

  readonly #onData = (chunk: Buffer | string): void => {
    this.#line += chunk.toString();
    const lines = this.#line.split(/\r?\n/);
    this.#line = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) {
      const words = line.trim();
      if (words === '') continue;
      const [first = '', ...rest] = words.split(/\s+/);
      if (first.toLowerCase() === 'signal' && this.#options.onSignal !== undefined) {
        this.#print(this.#options.onSignal(rest));
        continue;
      }
      const confirmed = this.#denying && confirmsDeny(words);
      const given = confirmed ? { kind: 'deny' as const } : answerOfLine(words);
      if (given === undefined) {
        this.#print([
          `not understood: ${JSON.stringify(words.slice(0, 40))}; expected ${allWords()}`,
        ]);
      } else if (fitsNow(given, this.#shown)) {
        // A deny ends the release for this vehicle, so it must be typed twice; another answer in between counts
        // instead.
        const first = given.kind === 'deny' && !this.#denying;
        this.#denying = first;
        if (first) this.#print([CONFIRM_LINE]);
        else this.#options.onAnswer(given);
      } else {
        // An answer typed ahead does not count, because the driver has not seen the request.
        this.#print([`nothing is waiting for "${words.slice(0, 40)}"`]);
      }
    }
  };
}

function fitsNow(given: DriverAnswer, approval: ApprovalState | undefined): boolean {
  if (approval === undefined) return false;
  if (given.kind === 'withdraw') return canWithdraw(approval);
  return given.kind === 'again' ? canAskAgain(approval) : approval.kind === 'asking';
}

function sameSituation(a: ApprovalState, b: ApprovalState): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === 'idle' || b.kind === 'idle') return true;
  if (a.kind === 'answered' && b.kind === 'answered' && a.status !== b.status) return false;
  // Print another request, but not an approval that becomes final.
  return a.request.facts === b.request.facts;
}

const ENDED_LINE =
  'standard input has ended: no answer can come, and silence counts as not approved (--approve yes or no answers by itself)';
const CONFIRM_LINE = 'type "deny" again to deny this update; another answer counts instead';

/** Name of a status, for events and logs. */
export function statusText(status: ApprovalStatus): string {
  const found = Object.entries(ApprovalStatus).find(([, code]) => code === status);
  return found?.[0] ?? `status ${status}`;
}

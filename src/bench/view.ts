// The output of a bench for people: bars and the present phase on a terminal, lines elsewhere.

import { type Clock, systemClock, type Timer } from '../core/clock.ts';
import { LiveArea } from '../core/live-area.ts';
import { canRedraw, type PictureTerminal } from '../core/terminal.ts';
import { barRow, TransferBars } from '../core/transfer-bars.ts';
import { formatBytes } from '../core/units.ts';
import type { TmuEvent } from '../tmu/tmu-event.ts';
import type { FrameMeter } from './meter.ts';

export interface BenchView {
  line(text: string): void;
  /** What is being done from now on, until the next phase or the first news of the TMU. */
  phase(text: string): void;
  tmu(event: TmuEvent): void;
  /** What is being typed, where this process reads the keys. */
  typed(text: string): void;
  close(): void;
}

/** `readsKeys`: what is typed is shown by the view, and the terminal has no echo that had to be switched off. */
export function openBenchView(json: boolean, meter: FrameMeter, readsKeys: boolean): BenchView {
  if (json) {
    return { line: () => {}, phase: () => {}, tmu: () => {}, typed: () => {}, close: () => {} };
  }
  if (!canRedraw(process.stdout)) return new LineView();
  return new BarView(meter, readsKeys ? { silence: () => () => {} } : {});
}

interface Printer {
  write(text: string): unknown;
}

/** Lines for logs: one for each step, none for blocks. Phases go to standard error. */
export class LineView implements BenchView {
  readonly #output: Printer;
  readonly #notes: Printer;

  constructor(output: Printer = process.stdout, notes: Printer = process.stderr) {
    this.#output = output;
    this.#notes = notes;
  }

  line(text: string): void {
    this.#output.write(`${text}\n`);
  }

  phase(text: string): void {
    this.#notes.write(`${text} ...\n`);
  }

  tmu(event: TmuEvent): void {
    const text = eventLine(event);
    if (text !== undefined) this.line(text);
  }

  typed(): void {}

  close(): void {}
}

const STEP_TEXT = {
  identify: 'identified',
  stage: 'programmed',
  activate: 'restarted with the new version',
  verify: 'it runs',
  confirm: 'confirmed',
  commit: 'security counter raised',
  'roll-back': 'rolled back',
} as const;

/** The steps that mean something else at an ECU with one bank. */
const ONE_BANK_TEXT: Partial<Record<string, string>> = {
  stage: 'ready to be programmed',
  activate: 'programmed and restarted',
};

function doneText({ step, oneBank, compared }: Extract<TmuEvent, { kind: 'ecu-step' }>): string {
  if (compared !== undefined) return readBackText(compared);
  return (oneBank === true ? ONE_BANK_TEXT[step] : undefined) ?? STEP_TEXT[step];
}

function readBackText(compared: readonly string[]): string {
  return compared.length === 0
    ? 'it tells neither its version nor a digest'
    : `new ${compared.join(' and ')} read back`;
}

function eventLine(event: TmuEvent): string | undefined {
  switch (event.kind) {
    case 'plan':
      return event.ecus
        .map(
          ({ name, from, to, bytes }) =>
            `TMU  plan: ${name} ${from} -> ${to}, ${formatBytes(bytes)}`,
        )
        .join('\n');
    case 'approval':
      return `TMU  driver: ${event.status}`;
    case 'ecu-step':
      if (event.step === 'identify' || event.status === 'begun') return undefined;
      return event.status === 'done'
        ? `TMU  ${event.ecu}: ${doneText(event)}`
        : `TMU  ${event.ecu}: ${event.step} failed: ${event.reason}`;
    case 'retry':
      return `TMU  ${event.doing}: try again (${event.retry} of ${event.of}): ${event.reason}`;
    case 'warning':
      return `TMU  ${event.text}`;
    case 'download-progress':
      return event.received === event.total
        ? `TMU  ${event.ecu}: ${formatBytes(event.total)} downloaded, SHA-256 checked`
        : undefined;
    case 'verified':
      return `TMU  both repositories verified: director targets ${event.director.targets ?? 'none yet'}, images targets ${event.images.targets ?? 'none yet'}`;
    case 'attack':
      return `TMU  ${event.code}: ${event.where}: ${event.reason}`;
    case 'state':
    case 'ecu-progress':
    case 'outcome':
    case 'next-poll':
      return undefined;
  }
}

/** What the TMU does in a state, for a person who waits. */
const STATE_TEXT: Partial<Record<Extract<TmuEvent, { kind: 'state' }>['state'], string>> = {
  checking: 'the TMU asks the backend and verifies both repositories',
  activating: 'the ECUs restart with the new versions',
  verifying: 'the new versions are watched before they are confirmed',
  committing: 'the new versions become final',
  'rolling-back': 'the ECUs return to the old versions',
};

export interface BarViewOptions {
  readonly terminal?: PictureTerminal;
  readonly clock?: Clock;
  /** As in LiveArea. */
  readonly silence?: () => () => void;
}

/**
 * For people: a bar for each transfer that is under way and one for the bus, below the lines that stay; between
 * transfers what is being done, and for how long. While the driver is asked there is only what the driver types.
 */
export class BarView implements BenchView {
  readonly #meter: Pick<FrameMeter, 'load' | 'frames'>;
  readonly #clock: Clock;
  readonly #area: LiveArea;
  readonly #bars: TransferBars;
  #asking = false;
  #phase: { readonly text: string; readonly sinceMs: number } | undefined;
  #tick: Timer | undefined;
  /** Undefined: this process does not read the keys. */
  #typed: string | undefined;

  constructor(meter: Pick<FrameMeter, 'load' | 'frames'>, options: BarViewOptions = {}) {
    const { terminal = process.stdout, clock = systemClock, silence } = options;
    this.#meter = meter;
    this.#clock = clock;
    this.#area = new LiveArea(terminal, silence === undefined ? {} : { silence });
    this.#bars = new TransferBars(clock);
  }

  line(text: string): void {
    this.#paint([text]);
  }

  phase(text: string): void {
    this.#phase = { text, sinceMs: this.#clock.nowMs() };
    this.#paint([]);
    this.#nextTick();
  }

  typed(text: string): void {
    this.#typed = text;
    this.#paint([]);
  }

  tmu(event: TmuEvent): void {
    if (event.kind === 'approval') this.#asking = event.status === 'asking';
    if (event.kind === 'download-progress') this.#download(event);
    else if (event.kind === 'ecu-progress') {
      this.#bars.update(`${event.ecu} program`, event.sent, event.total);
    } else if (event.kind === 'ecu-step' && event.status !== 'begun') {
      this.#bars.end(`${event.ecu} program`);
    }
    const phase = event.kind === 'state' ? STATE_TEXT[event.state] : undefined;
    if (phase !== undefined) this.phase(phase);
    else if (event.kind === 'state' || event.kind === 'outcome') this.#endPhase();
    const text = eventLine(event);
    this.#paint(text === undefined ? [] : text.split('\n'));
  }

  close(): void {
    this.#bars.clear();
    this.#endPhase();
    this.#typed = undefined;
    this.#paint([]);
  }

  #download({ ecu, received, total }: Extract<TmuEvent, { kind: 'download-progress' }>): void {
    if (received === total) this.#bars.end(`${ecu} download`);
    else this.#bars.update(`${ecu} download`, received, total);
  }

  #endPhase(): void {
    this.#phase = undefined;
    this.#tick?.cancel();
    this.#tick = undefined;
  }

  /** The seconds beside the phase move. */
  #nextTick(): void {
    this.#tick?.cancel();
    this.#tick = this.#clock.after('bench-phase', 1000, () => {
      this.#paint([]);
      this.#nextTick();
    });
  }

  #paint(lines: readonly string[]): void {
    const rows = this.#asking ? [] : this.#rows();
    // A prompt without a reason to type would be a riddle.
    const typed =
      this.#typed !== undefined && (this.#asking || this.#typed !== '')
        ? `> ${this.#typed}`
        : undefined;
    this.#area.paint(lines, { rows, typed });
  }

  #rows(): string[] {
    const columns = this.#area.columns - 1;
    const rows = this.#bars.rows(columns);
    if (this.#bars.labels.some((label) => label.endsWith('program'))) {
      const { load, frames } = this.#meter;
      rows.push(barRow('bus load', load, `${frames} frames`, columns));
    }
    if (rows.length > 0 || this.#phase === undefined) return rows;
    const seconds = Math.floor((this.#clock.nowMs() - this.#phase.sinceMs) / 1000);
    return [`${this.#phase.text} ...${seconds > 0 ? ` ${seconds} s` : ''}`];
  }
}

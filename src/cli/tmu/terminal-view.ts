// The TMU daemon on a terminal: its lines, and below them a bar for each image that is on its way.

import { type Clock, systemClock } from '../../core/clock.ts';
import { LiveArea, type LiveAreaOptions } from '../../core/live-area.ts';
import { QuarterLines } from '../../core/quarter-lines.ts';
import { canRedraw, type PictureTerminal } from '../../core/terminal.ts';
import { TransferBars } from '../../core/transfer-bars.ts';
import type { TmuEvent } from '../../tmu/tmu-event.ts';

export interface TmuView {
  /** `line`: what is said about the event, if anything is. */
  show(event: TmuEvent, line: string | undefined): void;
  close(): void;
}

export interface TmuViewOptions extends LiveAreaOptions {
  readonly terminal?: PictureTerminal;
  readonly clock?: Clock;
  readonly environment?: NodeJS.ProcessEnv;
}

/** Bars, on a terminal of the kind `dumb` quarters, and elsewhere the lines alone. */
export function openTmuView(options: TmuViewOptions = {}): TmuView {
  const { terminal = process.stdout, environment } = options;
  return canRedraw(terminal, environment)
    ? new BarView(terminal, options)
    : new PlainView(terminal, terminal.isTTY === true);
}

class PlainView implements TmuView {
  readonly #terminal: PictureTerminal;
  readonly #watched: boolean;
  readonly #quarters = new QuarterLines();

  constructor(terminal: PictureTerminal, watched: boolean) {
    this.#terminal = terminal;
    this.#watched = watched;
  }

  show(event: TmuEvent, line: string | undefined): void {
    if (line !== undefined) this.#terminal.write(`${line}\n`);
    const moved = transferOf(event);
    if (moved === undefined || !this.#watched) return;
    const percent = this.#quarters.update(moved.label, moved.done, moved.total);
    // The line of the event says when it is complete.
    if (percent !== undefined && percent < 100) {
      this.#terminal.write(`${moved.label}: ${percent} %\n`);
    }
  }

  close(): void {}
}

class BarView implements TmuView {
  readonly #area: LiveArea;
  readonly #bars: TransferBars;

  constructor(terminal: PictureTerminal, options: TmuViewOptions) {
    this.#area = new LiveArea(terminal, options);
    this.#bars = new TransferBars(options.clock ?? systemClock);
  }

  show(event: TmuEvent, line: string | undefined): void {
    const moved = transferOf(event);
    if (moved !== undefined && moved.done < moved.total) {
      this.#bars.update(moved.label, moved.done, moved.total);
    } else if (moved !== undefined) this.#bars.end(moved.label);
    if (event.kind === 'ecu-step' && event.status !== 'begun') {
      this.#bars.end(`${event.ecu} program`);
    }
    if (event.kind === 'outcome') this.#bars.clear();
    this.#paint(line === undefined ? [] : line.split('\n'));
  }

  close(): void {
    this.#bars.clear();
    this.#paint([]);
  }

  #paint(lines: readonly string[]): void {
    this.#area.paint(lines, { rows: this.#bars.rows(this.#area.columns - 1) });
  }
}

interface Moved {
  readonly label: string;
  readonly done: number;
  readonly total: number;
}

function transferOf(event: TmuEvent): Moved | undefined {
  switch (event.kind) {
    case 'download-progress':
      return { label: `${event.ecu} download`, done: event.received, total: event.total };
    case 'ecu-progress':
      return { label: `${event.ecu} program`, done: event.sent, total: event.total };
    default:
      return undefined;
  }
}

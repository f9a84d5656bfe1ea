// Progress of `can-ota flash`: a bar on a terminal, quarters where no bar can be drawn, lines for machines.

import type { EcuProgress } from '../../campaign/ports.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { LiveArea, type LiveAreaOptions } from '../../core/live-area.ts';
import { QuarterLines } from '../../core/quarter-lines.ts';
import { canRedraw, type PictureTerminal } from '../../core/terminal.ts';
import { TransferBars } from '../../core/transfer-bars.ts';

/** From one line for machines to the next. */
const EMIT_MS = 200;

export interface FlashProgressOptions extends LiveAreaOptions {
  readonly terminal?: PictureTerminal;
  readonly clock?: Clock;
  readonly environment?: NodeJS.ProcessEnv;
}

export class FlashProgress {
  readonly #name: string;
  readonly #context: Pick<Context, 'emit' | 'json'>;
  readonly #clock: Clock;
  readonly #terminal: PictureTerminal;
  readonly #bars: TransferBars;
  readonly #quarters = new QuarterLines();
  /** Undefined where the cursor cannot be moved. */
  readonly #area: LiveArea | undefined;
  #lastEmitMs = Number.NEGATIVE_INFINITY;

  constructor(
    name: string,
    context: Pick<Context, 'emit' | 'json'>,
    options: FlashProgressOptions = {},
  ) {
    const { terminal = process.stderr, clock = systemClock, environment } = options;
    this.#name = name;
    this.#context = context;
    this.#clock = clock;
    this.#terminal = terminal;
    this.#bars = new TransferBars(clock);
    const draws = canRedraw(terminal, environment) && !context.json;
    this.#area = draws ? new LiveArea(terminal, options) : undefined;
  }

  update({ sent, total }: EcuProgress): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#lastEmitMs > EMIT_MS || sent === total) {
      this.#lastEmitMs = nowMs;
      this.#context.emit({ kind: 'progress', ecu: this.#name, sent, total });
    }
    if (this.#area !== undefined) {
      this.#bars.update(`${this.#name} program`, sent, total);
      this.#area.paint([], { rows: this.#bars.rows(this.#area.columns - 1) });
    } else if (this.#terminal.isTTY === true && !this.#context.json) {
      const percent = this.#quarters.update(this.#name, sent, total);
      if (percent !== undefined) {
        this.#terminal.write(`${this.#name}: ${percent} % programmed\n`);
      }
    }
  }

  /** The bar goes, for lines and questions that follow. */
  pause(): void {
    this.#bars.clear();
    this.#area?.paint([], { rows: [] });
  }
}

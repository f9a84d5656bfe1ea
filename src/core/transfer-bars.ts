// A bar for each transfer that is under way, as rows of text.

import type { Clock } from './clock.ts';
import { formatBytes, formatRate } from './units.ts';

interface Transfer {
  readonly label: string;
  readonly startMs: number;
  readonly startBytes: number;
  readonly total: number;
  done: number;
}

const LABEL_COLUMNS = 14;
/** Behind a bar: percentage, rate, time left. */
const TEXT_COLUMNS = 34;
const MAX_BAR = 40;
const MIN_BAR = 5;

export class TransferBars {
  readonly #clock: Clock;
  readonly #transfers = new Map<string, Transfer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get labels(): readonly string[] {
    return [...this.#transfers.keys()];
  }

  /** `done` and `total` in bytes. The first call begins a transfer, and one with another total begins another. */
  update(label: string, done: number, total: number): void {
    const transfer = this.#transfers.get(label);
    if (transfer !== undefined && transfer.total === total) transfer.done = done;
    else {
      const startMs = this.#clock.nowMs();
      this.#transfers.set(label, { label, startMs, startBytes: done, total, done });
    }
  }

  end(label: string): void {
    this.#transfers.delete(label);
  }

  clear(): void {
    this.#transfers.clear();
  }

  /** At most `columns` wide. */
  rows(columns: number): string[] {
    return [...this.#transfers.values()].map((transfer) => {
      const { label, total, done } = transfer;
      return barRow(label, total === 0 ? 1 : done / total, this.#pace(transfer), columns);
    });
  }

  /** Rate of the bytes that came since the bar began: a resumed transfer begins in the middle of the image. */
  #pace({ startMs, startBytes, total, done }: Transfer): string {
    const seconds = (this.#clock.nowMs() - startMs) / 1000;
    const moved = done - startBytes;
    if (seconds < 0.2 || moved <= 0) return formatBytes(total);
    const rate = moved / seconds;
    return `${formatRate(rate)}, ${((total - done) / rate).toFixed(0)} s left`;
  }
}

/** `EDT program   ████░░░░  50 %  29.2 kB/s, 3 s left`; what does not fit is cut from the right. */
export function barRow(label: string, share: number, text: string, columns: number): string {
  const room = columns - LABEL_COLUMNS - TEXT_COLUMNS;
  const width = Math.max(MIN_BAR, Math.min(MAX_BAR, room));
  const whole = Math.max(0, Math.min(1, share));
  const filled = Math.round(whole * width);
  const percent = `${Math.round(whole * 100)} %`.padStart(5);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`;
  const name = `${label} `.padEnd(LABEL_COLUMNS);
  return `${name}${bar} ${percent}  ${text}`.slice(0, columns);
}

// The output of a bench for people: bars on a terminal, lines elsewhere, and the table at the end.

import Table from 'cli-table3';
import { systemClock } from '../core/clock.ts';
import { pc } from '../core/colours.ts';
import { formatBytes, formatRate, formatShare } from '../core/units.ts';
import type { TmuEvent } from '../tmu/tmu-event.ts';
import type { FrameMeter } from './meter.ts';

export interface BenchView {
  line(text: string): void;
  tmu(event: TmuEvent): void;
  close(): void;
}

export function openBenchView(json: boolean, meter: FrameMeter): BenchView {
  if (json) return { line: () => {}, tmu: () => {}, close: () => {} };
  return process.stdout.isTTY === true ? new BarView(meter) : new LineView();
}

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Lines for logs: one for each step, none for blocks. */
class LineView implements BenchView {
  line(text: string): void {
    print(text);
  }

  tmu(event: TmuEvent): void {
    const text = eventLine(event);
    if (text !== undefined) print(text);
  }

  close(): void {}
}

const STEP_TEXT = {
  identify: 'identified',
  stage: 'programmed',
  activate: 'restarted with the new version',
  verify: 'new version and digest read back',
  confirm: 'confirmed',
  commit: 'security counter raised',
  'roll-back': 'rolled back',
} as const;

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
        ? `TMU  ${event.ecu}: ${STEP_TEXT[event.step]}`
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

interface Transfer {
  readonly label: string;
  readonly startMs: number;
  readonly total: number;
  done: number;
}

/** The part of a terminal stream that is used here. */
export interface BarTerminal {
  write(text: string): unknown;
  readonly columns?: number;
}

const LABEL_COLUMNS = 14;
/** Columns after a bar: percentage, rate, time left. */
const TEXT_COLUMNS = 34;
const MAX_BAR = 40;

/**
 * For people: a bar for each running transfer and one for the bus, below the lines that stay. While the driver is asked
 * there are no bars: the driver's input moves the cursor, and the question should stand alone.
 */
export class BarView implements BenchView {
  readonly #meter: Pick<FrameMeter, 'load' | 'frames'>;
  readonly #terminal: BarTerminal;
  readonly #transfers = new Map<string, Transfer>();
  /** Rows of the bars on the screen at present. */
  #painted = 0;
  #asking = false;

  constructor(meter: Pick<FrameMeter, 'load' | 'frames'>, terminal: BarTerminal = process.stdout) {
    this.#meter = meter;
    this.#terminal = terminal;
  }

  line(text: string): void {
    this.#paint(`${text}\n`);
  }

  tmu(event: TmuEvent): void {
    if (event.kind === 'approval') this.#asking = event.status === 'asking';
    if (event.kind === 'download-progress') {
      this.#progress(`${event.ecu} download`, event.received, event.total);
    } else if (event.kind === 'ecu-progress') {
      this.#progress(`${event.ecu} program`, event.sent, event.total);
    } else if (event.kind === 'ecu-step' && event.status !== 'begun') {
      this.#transfers.delete(`${event.ecu} program`);
    }
    const text = eventLine(event);
    this.#paint(text === undefined ? '' : `${text}\n`);
  }

  close(): void {
    this.#transfers.clear();
    this.#paint('');
  }

  #progress(label: string, done: number, total: number): void {
    const transfer = this.#transfers.get(label);
    if (label.endsWith('download') && done === total) this.#transfers.delete(label);
    else if (transfer !== undefined) transfer.done = done;
    else this.#transfers.set(label, { label, startMs: systemClock.nowMs(), total, done });
  }

  /** Replaces the bars by lines that stay; the bars move below them. */
  #paint(lines: string): void {
    const bars = this.#asking ? [] : this.#bars();
    const erase = this.#painted > 0 ? `\x1b[${this.#painted}A\r\x1b[J` : '';
    this.#painted = bars.length;
    const text = `${erase}${lines}${bars.map((bar) => `${bar}\n`).join('')}`;
    if (text !== '') this.#terminal.write(text);
  }

  #bars(): string[] {
    const transfers = [...this.#transfers.values()];
    if (transfers.length === 0) return [];
    const bars = transfers.map((transfer) => {
      const { label, total, done } = transfer;
      return this.#bar(label, done / total, this.#pace(transfer));
    });
    if (transfers.some(({ label }) => label.endsWith('program'))) {
      bars.push(this.#bar('bus load', this.#meter.load, `${this.#meter.frames} frames`));
    }
    return bars;
  }

  #pace({ startMs, total, done }: Transfer): string {
    const seconds = (systemClock.nowMs() - startMs) / 1000;
    if (seconds < 0.2 || done === 0) return formatBytes(total);
    const rate = done / seconds;
    return `${formatRate(rate)}, ${((total - done) / rate).toFixed(0)} s left`;
  }

  /** Never wider than the terminal, because a wrapped line could not be removed. */
  #bar(label: string, share: number, text: string): string {
    const columns = (this.#terminal.columns ?? 80) - 1;
    const width = Math.max(5, Math.min(MAX_BAR, columns - LABEL_COLUMNS - TEXT_COLUMNS));
    const filled = Math.round(Math.min(1, share) * width);
    const percent = `${Math.round(Math.min(1, share) * 100)} %`.padStart(5);
    const bar = `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`;
    return `${label.padEnd(LABEL_COLUMNS)}${bar} ${percent}  ${text}`.slice(0, columns);
  }
}

export interface BenchRow {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly reported: string | null;
  readonly sha256: string | null;
  readonly bytes: number;
  readonly seconds: number;
  readonly limitShare: number;
}

/** Columns that the table needs with full headings. */
const WIDE = 105;

export function benchTable(
  rows: readonly BenchRow[],
  columns: number = process.stdout.columns ?? WIDE,
): string {
  const wide = columns >= WIDE;
  const table = new Table({
    head: [
      ...['ECU', 'from', 'to', 'bytes', 'seconds', 'rate'],
      ...(wide ? ['of the bus limit', 'SHA-256 computed by the ECU'] : ['of limit', 'SHA-256']),
    ],
    style: { head: [], border: [] },
    colAligns: ['left', 'left', 'left', 'right', 'right', 'right', 'right', 'left'],
  });
  for (const row of rows) {
    table.push([
      pc.bold(row.name),
      row.from,
      row.reported ?? '-',
      String(row.bytes),
      row.seconds.toFixed(2),
      row.seconds > 0 ? formatRate(row.bytes / row.seconds) : '-',
      row.seconds > 0 ? formatShare(row.limitShare) : '-',
      row.sha256 === null ? '-' : wide ? `${row.sha256.slice(0, 16)}...` : row.sha256.slice(0, 8),
    ]);
  }
  return table.toString();
}

// What a person sees of a bench: bars on a terminal, lines elsewhere, and the table at the end.

import { MultiBar, type SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import pc from 'picocolors';
import { systemClock } from '../core/clock.ts';
import { formatBytes, formatRate, formatShare } from '../core/units.ts';
import type { TmuEvent } from '../tmu/tmu-event.ts';
import type { BusMeter } from './bench-meter.ts';

export interface BenchView {
  line(text: string): void;
  tmu(event: TmuEvent): void;
  close(): void;
}

export function openBenchView(json: boolean, meter: BusMeter): BenchView {
  if (json) return { line: () => {}, tmu: () => {}, close: () => {} };
  return process.stdout.isTTY === true ? new BarView(meter) : new LineView();
}

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** For logs: one line per step, none per block. */
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
  'roll-back': 'brought back',
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
    case 'state':
    case 'ecu-progress':
    case 'outcome':
    case 'next-poll':
      return undefined;
  }
}

interface EcuBar {
  readonly bar: SingleBar;
  readonly startMs: number;
}

/** For people: a bar per ECU with rate and time left, and one for the bus. */
class BarView implements BenchView {
  readonly #bars: MultiBar;
  readonly #meter: BusMeter;
  readonly #ecus = new Map<string, EcuBar>();
  readonly #downloads = new Map<string, SingleBar>();
  #load: SingleBar | undefined;

  constructor(meter: BusMeter) {
    this.#meter = meter;
    this.#bars = new MultiBar({
      format: '{label} {bar} {percentage} %  {text}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: Math.max(10, Math.min(40, (process.stdout.columns ?? 80) - 50)),
      hideCursor: true,
      stream: process.stdout,
      linewrap: false,
      emptyOnZero: true,
    });
  }

  line(text: string): void {
    if (this.#ecus.size + this.#downloads.size === 0) print(text);
    else this.#bars.log(`${text}\n`);
  }

  tmu(event: TmuEvent): void {
    switch (event.kind) {
      case 'download-progress':
        this.#download(event.ecu, event.received, event.total);
        return;
      case 'ecu-progress':
        this.#ecu(event.ecu, event.sent, event.total);
        return;
      default: {
        const text = eventLine(event);
        if (text !== undefined) this.line(text);
      }
    }
  }

  #download(ecu: string, received: number, total: number): void {
    let bar = this.#downloads.get(ecu);
    if (bar === undefined) {
      bar = this.#bars.create(total, 0, { label: `${ecu.padEnd(5)} download`, text: '' });
      this.#downloads.set(ecu, bar);
    }
    bar.update(received, { text: `${formatBytes(received)} of ${formatBytes(total)}` });
  }

  #ecu(name: string, sent: number, total: number): void {
    const nowMs = systemClock.nowMs();
    let ecu = this.#ecus.get(name);
    if (ecu === undefined) {
      const bar = this.#bars.create(total, 0, { label: `${name.padEnd(5)} program `, text: '' });
      ecu = { bar, startMs: nowMs };
      this.#ecus.set(name, ecu);
    }
    const seconds = (nowMs - ecu.startMs) / 1000;
    const rate = seconds > 0.2 ? sent / seconds : 0;
    const left =
      rate > 0 ? `${formatRate(rate)}, ${((total - sent) / rate).toFixed(0)} s left` : '';
    ecu.bar.update(sent, { text: sent === total ? formatRate(rate) : left });
    this.#load ??= this.#bars.create(100, 0, { label: 'bus   load    ', text: '' });
    this.#load.update(Math.min(100, Math.round(this.#meter.load * 100)), {
      text: `${this.#meter.frames} frames`,
    });
  }

  close(): void {
    this.#bars.stop();
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

export function benchTable(rows: readonly BenchRow[]): string {
  const table = new Table({
    head: [
      'ECU',
      'from',
      'to',
      'bytes',
      'seconds',
      'rate',
      'of the bus limit',
      'SHA-256 computed by the ECU',
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
      row.sha256 === null ? '-' : `${row.sha256.slice(0, 16)}...`,
    ]);
  }
  return table.toString();
}

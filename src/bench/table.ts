// The table at the end of a bench: as wide as the terminal allows, and a list where a table does not fit.

import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';
import { pc } from '../core/colours.ts';
import { textWidth } from '../core/text-layout.ts';
import { formatRate, formatShare } from '../core/units.ts';

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

/** Columns of a terminal that does not say how many it has: a log is as wide as its reader wants. */
const UNLIMITED = 200;

/** The widest form that fits: the table with all columns, the one with short ones, and at last a list. */
export function benchTable(
  rows: readonly BenchRow[],
  columns: number = process.stdout.columns || UNLIMITED,
): string {
  const forms = [() => tableOf(rows, true), () => tableOf(rows, false)];
  for (const form of forms) {
    const text = form();
    if (text.split('\n').every((line) => textWidth(stripVTControlCharacters(line)) <= columns)) {
      return text;
    }
  }
  return rows.map(listOf).join('\n');
}

function tableOf(rows: readonly BenchRow[], wide: boolean): string {
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
      rateOf(row),
      shareOf(row),
      row.sha256 === null ? '-' : wide ? `${row.sha256.slice(0, 16)}...` : row.sha256.slice(0, 8),
    ]);
  }
  return table.toString();
}

function listOf(row: BenchRow): string {
  const { name, from, reported, bytes, seconds, sha256 } = row;
  return [
    `${pc.bold(name)}  ${from} -> ${reported ?? '-'}`,
    `  ${bytes} bytes, ${seconds.toFixed(2)} s`,
    ...(seconds > 0 ? [`  ${rateOf(row)}, ${shareOf(row)} of limit`] : []),
    ...(sha256 === null ? [] : [`  SHA-256 ${sha256.slice(0, 16)}...`]),
  ].join('\n');
}

function rateOf({ bytes, seconds }: BenchRow): string {
  return seconds > 0 ? formatRate(bytes / seconds) : '-';
}

function shareOf({ seconds, limitShare }: BenchRow): string {
  return seconds > 0 ? formatShare(limitShare) : '-';
}

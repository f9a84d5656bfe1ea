// tshark decodes the trace of a whole campaign: every message that our monitor sees, and no frame that is malformed.

import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { folder, freshBus, run, scenario } from '../e2e/support/processes.ts';
import { hasTshark, named } from './support/programs.ts';

/** https://www.tcpdump.org/linktypes/LINKTYPE_CAN_SOCKETCAN.html: the identifier in network byte order. */
const LINKTYPE_CAN_SOCKETCAN = 227;
const ECUS: Readonly<Record<string, readonly string[]>> = {
  CGW: ['7E0', '7E8'],
  EDT: ['7E1', '7E9'],
  INV: ['7E2', '7EA'],
  BMS: ['18DA40F1', '18DAF140'],
};
/** The preferences of tshark take decimal numbers. */
const idsOf = (digits: number): string =>
  Object.values(ECUS)
    .flat()
    .filter((id) => id.length === digits)
    .map((id) => Number.parseInt(id, 16))
    .join(',');

/** A candump log of classic frames as a pcap file. */
function pcap(log: readonly string[]): Uint8Array {
  const header = Buffer.alloc(24);
  for (const [at, word] of [0xa1b2c3d4, 0x00040002, 0, 0, 65_535, LINKTYPE_CAN_SOCKETCAN].entries())
    header.writeUInt32LE(word, 4 * at);
  const records = log.map((line) => {
    const [, seconds, micros, id, data] = /^\((\d+)\.(\d{6})\) \S+ ([0-9A-F]+)#([0-9A-F]*)$/.exec(
      line,
    )!;
    const record = Buffer.alloc(16 + 16);
    const length = data!.length / 2;
    for (const [at, word] of [Number(seconds), Number(micros), 8 + length, 8 + length].entries())
      record.writeUInt32LE(word, 4 * at);
    record.writeUInt32BE(
      (Number.parseInt(id!, 16) | (id!.length === 8 ? 0x80000000 : 0)) >>> 0,
      16,
    );
    record[20] = length;
    record.write(data!, 24, 'hex');
    return record.subarray(0, 24 + length);
  });
  return Buffer.concat([header, ...records]);
}

function tshark(file: string, fields: readonly string[], filter: string): string[][] {
  const { stdout, status, stderr } = spawnSync(
    'tshark',
    [
      ...['-n', '-r', file, '-d', 'iso15765.subdissector,uds', '-Y', filter, '-T', 'fields'],
      ...['-o', `iso15765.can.ids:${idsOf(3)}`],
      ...['-o', `iso15765.can.extended_ids:${idsOf(8)}`],
      ...fields.flatMap((field) => ['-e', field]),
    ],
    { encoding: 'utf8', timeout: 600_000, maxBuffer: 1 << 28 },
  );
  if (status !== 0) throw new Error(stderr);
  return stdout === ''
    ? []
    : stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t'));
}

/** As tshark names it: the service of the request, also in a positive answer; 3F in a negative one. */
function service(bytes: string): number {
  const first = Number.parseInt(bytes.slice(0, 2), 16);
  return first & ~0x40;
}

describe.skipIf(!hasTshark)(named('tshark', hasTshark, 'apt install tshark'), () => {
  scenario('decodes a whole campaign as our monitor does', async () => {
    const place = await folder();
    const trace = path.join(place, 'campaign.log');
    const bench = await run(['bench', '--approve', 'yes', '--bus', freshBus(), '--trace', trace]);
    expect(await bench.code(), bench.stderr).toBe(0);
    const log = (await readFile(trace, 'utf8')).trimEnd().split('\n');
    const monitor = await run(['monitor', '--file', trace, '--json']);
    expect(await monitor.code()).toBe(0);
    const messages = monitor.events.filter(({ kind }) => kind === 'message');
    expect(messages.length).toBeGreaterThan(500);

    // One ECU a file: tshark 4.0 loses messages where two segmented ones of different identifiers interleave.
    for (const [ecu, ids] of Object.entries(ECUS)) {
      const file = path.join(place, `${ecu}.pcap`);
      await writeFile(file, pcap(log.filter((line) => ids.some((id) => line.includes(` ${id}#`)))));
      expect(tshark(file, ['frame.number'], '_ws.malformed'), ecu).toEqual([]);
      const decoded = tshark(file, ['can.id', 'uds.sid', 'uds.reply'], 'uds');
      const ours = messages.filter(({ route }) => String(route).slice(2) === ecu);
      // In order: the direction and the service of every message, each reassembled.
      const [request] = ids.map((id) => Number.parseInt(id, 16));
      expect(
        decoded.map(([id, sid]) => `${Number(id) === request ? '>' : '<'} ${Number(sid)}`),
      ).toEqual(
        ours.map(({ route, bytes }) => `${String(route).slice(0, 1)} ${service(String(bytes))}`),
      );
    }
  });
});

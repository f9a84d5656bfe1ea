// scapy as an ECU behind `can-ota flash`: its memory at the end, byte by byte what srec_cat makes of the same file.

import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import {
  folder,
  freshBus,
  type Json,
  Run,
  root,
  run,
  scenario,
  start,
} from '../e2e/support/processes.ts';
import { hasSrecord, named, scapyPython } from './support/programs.ts';

const ECU = path.join(root, 'test/interop/support/scapy_ecu.py');
const BASE = 0x8000;
const SIZE = 0x4000;
const available = scapyPython !== undefined && hasSrecord;

interface Case {
  readonly name: string;
  readonly form: 'hex' | 's19';
  readonly ecu: Json;
  readonly keepAlive: 'functional' | 'physical';
  /** What the ECU must have counted. */
  readonly heard: Json;
}

const CASES: readonly Case[] = [
  {
    name: 'from Intel HEX, with blocks of an odd length',
    form: 'hex',
    ecu: { block: 0x83, options: { padding: true } },
    keepAlive: 'functional',
    heard: { longestBlock: 0x83, destroyed: 0 },
  },
  {
    name: 'from S-records, with block size and separation time',
    form: 's19',
    ecu: { block: 0x102, options: { bs: 8, stmin: 1 } },
    keepAlive: 'functional',
    heard: { longestBlock: 0x102, destroyed: 0 },
  },
  {
    name: 'that answers 78 for long, and hears tester present meanwhile',
    form: 'hex',
    ecu: { block: 0xff, pendings: 10, pauseSeconds: 0.4 },
    keepAlive: 'functional',
    heard: { functionalTesterPresent: expect.toSatisfy((count: number) => count > 0) },
  },
  {
    name: 'with one buffer for both identifiers, by keepAlive physical',
    form: 's19',
    ecu: {
      block: 0xff,
      pendings: 10,
      pauseSeconds: 0.4,
      singleBuffer: true,
      options: { stmin: 10 },
    },
    keepAlive: 'physical',
    heard: { functionalTesterPresent: 0, destroyed: 0 },
  },
];

/** Two areas with a gap, not aligned to anything. */
function areas(seed: string): { readonly address: number; readonly bytes: Uint8Array }[] {
  const random = seededRandom(seed);
  return [
    { address: BASE + 0x10, bytes: random.bytes(3001) },
    { address: BASE + 0x2003, bytes: random.bytes(777) },
  ];
}

describe.skipIf(!available)(
  named('scapy as an ECU', available, 'apt install python3-scapy srecord'),
  () => {
    for (const { name, form, ecu, keepAlive, heard } of CASES) {
      scenario(`is programmed ${name}`, async () => {
        const place = await folder();
        const at = (file: string): string => path.join(place, file);
        const bus = freshBus('bitrate=500000');
        // The first process of a local bus carries it.
        await start(['monitor', '--bus', bus], { supervised: true }).ready;
        const file = at(`image.${form}`);
        const kind = form === 'hex' ? '-intel' : '-motorola';
        const parts: string[] = [];
        for (const [index, { address, bytes }] of areas(name).entries()) {
          await writeFile(at(`${index}.bin`), bytes);
          parts.push(at(`${index}.bin`), '-binary', '-offset', String(address));
        }
        execFileSync('srec_cat', [...parts, '-o', file, kind]);
        const whole = [file, kind, '-fill', '0xff', String(BASE), String(BASE + SIZE)];
        execFileSync('srec_cat', [...whole, '-offset', `-${BASE}`, '-o', at('wanted'), '-binary']);
        await writeFile(
          at('vehicle.yaml'),
          `vin: 1CANXTABENCH00001
buses: { main: {} }
ecus:
  - name: PEER
    hardwareId: PEER-1
    profile: plain-uds
    address: { mode: normal, request: 0x6A0, response: 0x6A8, functional: 0x7DF }
    memory: { regions: [{ address: ${BASE}, size: ${SIZE} }] }
    security: { algorithm: xor, constant: a5c3f00d }
    programming: { keepAlive: ${keepAlive} }
`,
        );
        const config = {
          ...{ tx: 0x6a8, rx: 0x6a0, functional: 0x7df, base: BASE, size: SIZE },
          ...{ out: at('memory'), ...ecu },
        };
        const peer = new Run([ECU, bus, JSON.stringify(config)], {
          program: [scapyPython ?? 'python3'],
        });
        await peer.line(/^ready$/);
        const flash = await run([
          ...['flash', 'PEER', file, '--vehicle', at('vehicle.yaml'), '--bus', bus, '--json'],
        ]);
        expect(await flash.code(), `${flash.stderr}${peer}`).toBe(0);
        expect(flash.last).toMatchObject({ ok: true, bytes: 3001 + 777 });
        expect(await readFile(at('memory'))).toEqual(await readFile(at('wanted')));
        expect(peer.events.at(-1)).toMatchObject({
          // One erase for each of the two segments.
          heard: { pendings: 2 * Number(ecu.pendings ?? 0), ...heard },
        });
      });
    }
  },
);

// A scripted ECU: what is asked and what it answers as hexadecimal literals, in order.

import { createHash } from 'node:crypto';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { sleep } from '../../src/core/clock.ts';
import type { ImageSource } from '../../src/image/image-source.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import type { KeepAlive, RequestOptions, UdsReply, UdsRequester } from '../../src/uds/reply.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { type VehicleEcu, vehicleSchema } from '../../src/vehicle/schema.ts';

/**
 * An answer: hexadecimal bytes (behind `pending `: after a responsePending), or what did not come. A function decides
 * when it is its turn.
 */
export type Answer =
  | string
  | 'silent'
  | 'transport'
  | 'pending'
  | 'pending, then silent'
  | 'N_WFT_OVRN'
  | 'unexpected'
  | 'spoiled'
  | 'bus'
  | (() => string | Promise<string>);

const P2_MS = 150;
const P2_STAR_MS = 5000;
const PENDING_LIMIT_MS = 120_000;
const CLOCK_START = Date.UTC(2026, 0, 31);

/**
 * Answers from a table: the longest key that the request begins with. A list of answers is used up one by one, the
 * last one stays. Unknown requests are refused with 0x11.
 */
export class ScriptedEcu implements UdsRequester {
  readonly clock: VirtualClock;
  /** Everything that was sent: `10 03` physical, `*10 83` functional. */
  readonly log: string[] = [];
  keptAlive = false;
  kept: KeepAlive = 'off';
  readonly #table: Map<string, Answer[]>;

  constructor(table: Record<string, Answer | Answer[]>, clock = new VirtualClock(CLOCK_START)) {
    this.clock = clock;
    this.#table = new Map(
      Object.entries(table).map(([key, answer]) => [
        key,
        Array.isArray(answer) ? answer : [answer],
      ]),
    );
  }

  set(key: string, ...answers: Answer[]): void {
    this.#table.set(key, answers);
  }

  async request(request: Uint8Array, options: RequestOptions = {}): Promise<UdsReply> {
    const hex = toHex(request).toUpperCase();
    this.log.push(hex);
    if (options.signal?.aborted) return closed();
    const key = [...this.#table.keys()]
      .filter((candidate) => hex.startsWith(candidate))
      .sort((a, b) => b.length - a.length)[0];
    const answers = key === undefined ? undefined : this.#table.get(key)!;
    const next = answers !== undefined && answers.length > 1 ? answers.shift()! : answers?.[0];
    const answer = typeof next === 'function' ? await next() : (next ?? `7F${hex.slice(0, 2)}11`);
    if (options.signal?.aborted) return closed();
    switch (answer) {
      case 'silent':
        await sleep(this.clock, 'P2', P2_MS);
        return { kind: 'silent', timer: 'P2', waitedMs: P2_MS };
      case 'transport':
        return { kind: 'transport', result: 'N_TIMEOUT_Bs', reason: 'no flow control' };
      case 'spoiled':
        await sleep(this.clock, 'P2', P2_MS);
        return { ...FOREIGN, spoiled: true };
      case 'pending':
        await sleep(this.clock, 'P2*', PENDING_LIMIT_MS);
        return { kind: 'silent', timer: 'P2*', waitedMs: PENDING_LIMIT_MS, pending: true };
      case 'pending, then silent':
        await sleep(this.clock, 'P2*', P2_STAR_MS);
        return { kind: 'silent', timer: 'P2*', waitedMs: P2_STAR_MS };
      case 'N_WFT_OVRN':
        return { kind: 'transport', result: 'N_WFT_OVRN', reason: 'WAIT for too long' };
      case 'unexpected':
        return FOREIGN;
      case 'bus':
        return { kind: 'transport', result: 'BUS', reason: 'vcan0 is down' };
      default: {
        const pended = answer.startsWith('pending ');
        const data = fromHex(pended ? answer.slice('pending '.length) : answer);
        if (data[0] === 0x7f) {
          return { kind: 'negative', sid: data[1]!, nrc: data[2]!, ...(pended && { pended }) };
        }
        return { kind: 'positive', data, atMs: this.clock.nowMs() };
      }
    }
  }

  async broadcast(request: Uint8Array): Promise<void> {
    this.log.push(`*${toHex(request).toUpperCase()}`);
  }

  keepAlive(whom: KeepAlive): void {
    this.kept = whom;
    this.keptAlive = whom !== 'off';
  }
}

const FOREIGN = {
  kind: 'unexpected',
  data: fromHex('62F18602'),
  reason: '22 was answered',
} as const;

function closed(): UdsReply {
  return { kind: 'transport', result: 'CLOSED', reason: 'aborted by the caller' };
}

const SECRET = '000102030405060708090a0b0c0d0e0f';

export function ecuOf(change: Record<string, unknown> = {}): VehicleEcu {
  const vehicle = vehicleSchema.parse({
    vin: '1CANXTABENCH00001',
    buses: { main: {} },
    ecus: [
      {
        name: 'EDT',
        hardwareId: 'EDT-HW-1',
        address: { mode: 'normal', request: 0x7e1, response: 0x7e9, functional: 0x7df },
        memory: { address: '0x08000000', bankSize: 4096 },
        security: { algorithm: 'hmac-sha256', secret: SECRET },
        ...change,
      },
    ],
  });
  return findEcu(vehicle, 'EDT');
}

export function imageOf(bytes: Uint8Array): ImageSource {
  return {
    length: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    read: async (offset, length) => bytes.slice(offset, offset + length),
  };
}

export function ascii(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex').toUpperCase();
}

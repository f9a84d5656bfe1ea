// Faults of an exchange in virtual time, with the server's real application or a stand-in.

import { describe, expect, it } from 'vitest';
import { asciiBytes } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import {
  type NetworkFault,
  type NetworkServer,
  SimulatedNetwork,
} from '../../src/sim/simulated-network.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

const IMAGE = seededRandom('image').bytes(20_000);
const GET = { method: 'GET', url: new URL('http://backend/image?nonce=1'), headers: {} } as const;

interface Result {
  readonly status?: number;
  readonly body: Buffer;
  /** `code` of the error that ended it. */
  readonly error?: string;
  readonly tookMs: number;
  readonly chunks: number;
}

class Bench {
  readonly clock = new VirtualClock();
  handled = 0;
  incarnation: number | undefined = 1;
  readonly server: NetworkServer;
  readonly network: SimulatedNetwork;

  constructor(seed = 1) {
    const bench = this;
    this.server = {
      get incarnation() {
        return bench.incarnation;
      },
      handle: async () => {
        this.handled++;
        const headers = { 'content-length': String(IMAGE.length) };
        return { status: 200, headers, body: IMAGE };
      },
    };
    this.network = new SimulatedNetwork({
      ...{ clock: this.clock, server: this.server, random: seededRandom(seed) },
    });
  }

  async get(signal?: AbortSignal, limitMs = 60_000): Promise<Result> {
    const beginMs = this.clock.nowMs();
    const parts: Uint8Array[] = [];
    let status: number | undefined;
    let error: string | undefined;
    const work = async (): Promise<void> => {
      try {
        const response = await this.network.open({
          ...GET,
          ...(signal === undefined ? {} : { signal }),
        });
        status = response.status;
        for await (const part of response.body) parts.push(part);
      } catch (thrown) {
        error = (thrown as { code: string }).code;
      }
    };
    await this.clock.run(work(), limitMs, { strict: true });
    return {
      ...(status === undefined ? {} : { status }),
      ...(error === undefined ? {} : { error }),
      body: Buffer.concat(parts),
      tookMs: this.clock.nowMs() - beginMs,
      chunks: parts.length,
    };
  }

  fault(fault: NetworkFault): this {
    this.network.fault = () => fault;
    return this;
  }
}

describe('the simulated network', () => {
  it('brings request and answer, in pieces and after a while', async () => {
    const bench = new Bench();
    const result = await bench.get();
    expect(result).toMatchObject({ status: 200, chunks: 3 });
    expect(result.body.equals(IMAGE)).toBe(true);
    expect(result.tookMs).toBeGreaterThan(2 * 5 + 10);
    expect(result.tookMs).toBeLessThan(2 * 40 + 11);
    const again = await new Bench().get();
    expect(again.tookMs).toBe(result.tookMs);
    expect((await new Bench(2).get()).tookMs).not.toBe(result.tookMs);
  });

  it('asks about each exchange once', async () => {
    const bench = new Bench();
    const seen: string[] = [];
    bench.network.fault = ({ n, method, path, atMs }) => {
      seen.push(`${n} ${method} ${path} ${atMs}`);
      return undefined;
    };
    const { tookMs } = await bench.get();
    await bench.get();
    expect(seen).toEqual(['1 GET /image 0', `2 GET /image ${tookMs}`]);
    expect(bench.network.exchanges).toBe(2);
  });

  it('loses a request before, or an answer after the server had it', async () => {
    for (const [what, handled] of [
      ['request', 0],
      ['answer', 1],
    ] as const) {
      const bench = new Bench().fault({ kind: 'drop', what });
      const impatient = new AbortController();
      bench.clock.after('patience', 5000, () => impatient.abort());
      expect(await bench.get(impatient.signal)).toMatchObject({ error: 'ABORT_ERR', tookMs: 5000 });
      expect(bench.handled).toBe(handled);
      // Without a time limit it would hang forever.
      await expect(bench.get(undefined, 3_600_000)).rejects.toThrow('nothing settled');
    }
  });

  it('breaks connections, before the head and in the middle of the body', async () => {
    const before = await new Bench().fault({ kind: 'cut' }).get();
    expect(before).toMatchObject({ error: 'ECONNRESET', chunks: 0 });
    expect(before.status).toBeUndefined();
    const within = await new Bench().fault({ kind: 'cut', share: 0.5 }).get();
    expect(within).toMatchObject({ status: 200, error: 'ECONNRESET' });
    expect(within.body.equals(IMAGE.subarray(0, 10_000))).toBe(true);
  });

  it('ends a body early without a word', async () => {
    const result = await new Bench().fault({ kind: 'truncate', share: 0.25 }).get();
    expect(result.error).toBeUndefined();
    expect(result.body.equals(IMAGE.subarray(0, 5000))).toBe(true);
  });

  it('brings garbage: wrong bits, or the page of somebody else', async () => {
    const flipped = await new Bench().fault({ kind: 'garbage', how: 'flip' }).get();
    const wrong = flipped.body.filter((byte, index) => byte !== IMAGE[index]).length;
    expect(flipped.body.length).toBe(IMAGE.length);
    expect(wrong).toBeGreaterThan(100);
    expect(wrong).toBeLessThanOrEqual(201);
    const portal = await new Bench().fault({ kind: 'garbage', how: 'portal' }).get();
    expect(portal).toMatchObject({ status: 200 });
    expect(portal.body.toString()).toContain('<!doctype html>');
  });

  it('delays, and drips', async () => {
    const delayed = await new Bench().fault({ kind: 'delay', ms: 7000 }).get();
    expect(delayed.tookMs - (await new Bench().get()).tookMs).toBeCloseTo(7000);
    const dripped = await new Bench().fault({ kind: 'drip', bytesPerSecond: 1000 }).get();
    expect(dripped.body.equals(IMAGE)).toBe(true);
    expect(dripped.tookMs).toBeGreaterThan(20_000);
    expect(dripped.chunks).toBe(80);
  });

  it('knows a server that is away, one that comes back, and one that restarts in between', async () => {
    const bench = new Bench();
    bench.incarnation = undefined;
    expect(await bench.get()).toMatchObject({ error: 'ECONNREFUSED' });
    bench.incarnation = 2;
    expect((await bench.get()).body.equals(IMAGE)).toBe(true);
    bench.fault({ kind: 'drip', bytesPerSecond: 1000 });
    bench.clock.after('restart', 10_000, () => {
      bench.incarnation = 3;
    });
    const broken = await bench.get();
    expect(broken.error).toBe('ECONNRESET');
    expect(broken.body.length).toBeGreaterThan(8000);
    expect(broken.body.length).toBeLessThan(10_001);
  });

  it('has no coverage in a garage: nothing begins, and what has begun waits', async () => {
    const bench = new Bench();
    bench.network.covered = false;
    expect(await bench.get()).toMatchObject({ error: 'EAI_AGAIN' });
    bench.network.covered = true;
    bench.fault({ kind: 'drip', bytesPerSecond: 1000 });
    bench.clock.after('garage', 5000, () => {
      bench.network.covered = false;
    });
    bench.clock.after('street', 65_000, () => {
      bench.network.covered = true;
    });
    const result = await bench.get(undefined, 200_000);
    expect(result.body.equals(IMAGE)).toBe(true);
    expect(result.tookMs).toBeGreaterThan(20_000 + 59_000);
  });

  it('lets go of who does not want to wait any more', async () => {
    const bench = new Bench();
    const given = new AbortController();
    bench.clock.after('patience', 1, () => given.abort());
    expect(await bench.get(given.signal)).toMatchObject({ error: 'ABORT_ERR', tookMs: 1 });
    expect(bench.handled).toBe(0);
    bench.network.covered = true;
    const later = new AbortController();
    bench.fault({ kind: 'drip', bytesPerSecond: 1000 });
    bench.clock.after('garage', 2000, () => {
      bench.network.covered = false;
    });
    bench.clock.after('patience', 9000, () => later.abort());
    expect(await bench.get(later.signal)).toMatchObject({ error: 'ABORT_ERR', tookMs: 9000 });
  });

  it('sends the whole request to the server', async () => {
    const bench = new Bench();
    const seen: unknown[] = [];
    Object.assign(bench.server, {
      handle: async (request: unknown) => {
        seen.push(request);
        return { status: 204, headers: {}, body: new Uint8Array() };
      },
    });
    const post = {
      method: 'POST',
      url: new URL('http://backend/report'),
      headers: { a: 'b' },
      body: asciiBytes('{}'),
    } as const;
    const response = await bench.clock.run(bench.network.open(post), 1000);
    expect(response.status).toBe(204);
    expect(seen).toEqual([post]);
  });
});

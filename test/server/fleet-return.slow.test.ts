// A fleet behind one address comes back after a restart of the server, while strangers flood it.

import { describe, expect, it } from 'vitest';
import type { CallerSources } from '../../server/platform/auth/caller-sources.ts';
import { CallerGate } from '../../server/platform/auth/callers.ts';
import { HttpProblem } from '../../server/platform/http/errors.ts';
import type { AppContext } from '../../server/platform/http/request.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { TimerHeap } from '../../src/sim/timer-heap.ts';
import { InjectedBackend } from './injected-support.ts';
import { tryLogIn } from './trust-support.ts';

const FLEET = 20_000;
const SECOND = 1000;

/** The gate in virtual time, without the rest of the server. */
class Gate {
  nowMs = 0;
  readonly gate = new CallerGate(
    {
      clock: { nowMs: () => this.nowMs },
      audit: { record: async () => {} },
    } as unknown as CallerSources,
    seededRandom('gate'),
  );

  /** Seconds to wait, undefined when the request may go on. */
  async ask(address: string, purpose: 'log-in' | 'other'): Promise<number | undefined> {
    const ctx = { state: { address } } as AppContext;
    try {
      await this.gate.anonymous(ctx, purpose);
      return undefined;
    } catch (error) {
      if (!(error instanceof HttpProblem)) throw error;
      return Number(error.headers['Retry-After']);
    }
  }
}

/** When the last vehicle was let in, in seconds. `flood`: what else asks, in each tenth of a second. */
async function comesBack(flood?: (gate: Gate) => Promise<void>): Promise<number> {
  const gate = new Gate();
  const heap = new TimerHeap();
  const random = seededRandom('fleet');
  let left = FLEET;
  const work: (() => Promise<void>)[] = [];
  const plan = (atMs: number, run: () => Promise<void>): void => {
    heap.add('ask', atMs, () => work.push(run));
  };
  const vehicle = async (): Promise<void> => {
    const wait = await gate.ask('203.0.113.7', 'log-in');
    if (wait === undefined) left--;
    else plan(gate.nowMs + wait * SECOND + random.fraction() * 100, vehicle);
  };
  for (let index = 0; index < FLEET; index++) plan(random.fraction() * 5 * SECOND, vehicle);
  const disturb = async (): Promise<void> => {
    await flood?.(gate);
    plan(gate.nowMs + 100, disturb);
  };
  if (flood !== undefined) plan(0, disturb);
  while (left > 0) {
    const next = heap.peek()!;
    heap.removeFirst();
    gate.nowMs = next.dueMs;
    next.fire!();
    for (const run of work.splice(0)) await run();
    if (gate.nowMs > 3600 * SECOND) return Number.POSITIVE_INFINITY;
  }
  return gate.nowMs / SECOND;
}

describe('a fleet of 20,000 behind one address', () => {
  it('is back within five minutes', async () => {
    expect(await comesBack()).toBeLessThan(300);
  });

  it('is back within five minutes while its own address asks for other things', async () => {
    const seconds = await comesBack(async (gate) => {
      for (let index = 0; index < 50; index++) await gate.ask('203.0.113.7', 'other');
    });
    expect(seconds).toBeLessThan(300);
  });

  it('is back within five minutes while other addresses flood the log-in', async () => {
    const seconds = await comesBack(async (gate) => {
      for (let index = 0; index < 24; index++) {
        await gate.ask(`198.51.100.${index % 2}`, 'log-in');
      }
    });
    expect(seconds).toBeLessThan(300);
  });
});

describe('a restart of the server', () => {
  it('ends no session of a device', async () => {
    const backend = await InjectedBackend.start();
    const vehicle = await backend.vehicle();
    await backend.restart();
    expect((await vehicle.get('/latest_version')).status).toBe(200);
    // Still for a quarter of an hour from the log-in on, and only for the device that is active.
    await backend.clock.advance(15 * 60 * SECOND);
    expect((await vehicle.get('/latest_version')).status).toBe(401);
    // The database holds no token.
    const rows = backend.database.prepare('select * from device_tokens').all();
    expect(JSON.stringify(rows)).not.toContain(vehicle.token);
  });

  it('lets a fleet in that logs in again, each vehicle with one question', async () => {
    const limit = { burst: 6, perSecond: 2 };
    const backend = await InjectedBackend.start({ rateLimits: { address: limit } });
    const vehicles = [];
    for (let index = 0; index < 20; index++) {
      vehicles.push(await backend.vehicle(`FLEET${index}`));
      await backend.clock.advance(3 * SECOND);
    }
    await backend.clock.advance(20 * 60 * SECOND);
    await backend.restart();
    let waiting = vehicles.map((vehicle) => ({ vehicle, atMs: backend.clock.nowMs() }));
    const startMs = backend.clock.nowMs();
    while (waiting.length > 0) {
      const next = [];
      for (const { vehicle, atMs } of waiting) {
        if (atMs > backend.clock.nowMs()) {
          next.push({ vehicle, atMs });
          continue;
        }
        const reply = await tryLogIn(backend, vehicle.primary, backend.random);
        if (reply.status === 200) vehicle.token = reply.json.token;
        else {
          // Never half way: who was asked the question may answer it.
          expect([reply.status, reply.json.serverNonce]).toEqual([429, undefined]);
          const waitMs = Number(reply.headers['retry-after']) * SECOND;
          next.push({ vehicle, atMs: backend.clock.nowMs() + waitMs });
        }
      }
      waiting = next;
      await backend.clock.advance(100);
      expect(backend.clock.nowMs() - startMs).toBeLessThan(60 * SECOND);
    }
    // 20 questions, 6 at once, 2 a second.
    expect(backend.clock.nowMs() - startMs).toBeLessThanOrEqual(9 * SECOND);
    for (const vehicle of vehicles) {
      expect((await vehicle.get('/latest_version')).status).toBe(200);
    }
  });

  it('a second answer to the same question costs what a question costs', async () => {
    const limit = { burst: 4, perSecond: 0.01 };
    const backend = await InjectedBackend.start({ rateLimits: { address: limit } });
    const vehicle = await backend.vehicle();
    await backend.clock.advance(600 * SECOND);
    const { serial, hwId } = vehicle.primary;
    const headers = { 'Content-Type': 'application/json' };
    const post = (path: string, body: unknown) =>
      backend.request(path, { method: 'POST', headers, body: JSON.stringify(body) });
    const asked = await post('/auth/challenge', {
      serial,
      hw_id: hwId,
      clientNonce: '00'.repeat(16),
    });
    const { challenge } = asked.json;
    const statuses: number[] = [];
    for (let index = 0; index < 6; index++) {
      const reply = await post('/auth/response', { challenge, clientProof: 'x' });
      statuses.push(reply.status);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 429, 429]);
    // An answer to no question of ours costs too.
    expect((await post('/auth/response', { challenge: 'x.y', clientProof: 'x' })).status).toBe(429);
    // The session of the vehicle behind the same address does not notice.
    expect((await vehicle.get('/latest_version')).status).toBe(200);
  });
});

// The factory's client of the registry: what it repeats, what it gives up, and that the real backend understands it.

import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { HttpRegistry } from '../../src/factory/registry.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { problemResponse } from '../support/problem-response.ts';

const HW_ID = '00112233445566778899aabbccddeeff';
const ROW = {
  ...{ hw_id: HW_ID, serial: 'CO-000001', status: 'factory_only' },
  ...{ vin: null, name: null, hardware_id: null, primary: false },
  ...{ signing_key: null, encryption_key: null, has_device_secret: false },
  ...{ created_at: '2026-01-01T00:00:00.000Z', updated_at: '2026-01-01T00:00:00.000Z' },
};

type Answer = () => Response | Promise<Response>;

const json = (value: unknown, status = 200, headers: Record<string, string> = {}): Answer => {
  return () => Response.json(value, { status, headers });
};

function scripted(...answers: Answer[]) {
  const clock = new VirtualClock();
  const atMs: number[] = [];
  const requests: { url: string; init: RequestInit }[] = [];
  const registry = new HttpRegistry({
    server: 'http://registry.test/ota',
    token: 'secret-token',
    clock,
    random: seededRandom(),
    fetch: (async (url: URL, init: RequestInit) => {
      atMs.push(clock.nowMs());
      requests.push({ url: String(url), init });
      return (answers.shift() ?? json(ROW))();
    }) as typeof fetch,
  });
  return { clock, registry, requests, atMs };
}

const refused: Answer = () => Promise.reject(new TypeError('ECONNREFUSED'));

describe('the registry client', () => {
  it('sends the token and only what is known', async () => {
    const { registry, requests, clock } = scripted(json(ROW, 201));
    const answer = await clock.within(1000, registry.provision({ hwId: HW_ID, name: 'EDT' }));
    expect(answer).toEqual({ ok: true, value: { serial: 'CO-000001', status: 'factory_only' } });
    const [{ url, init }] = requests as [(typeof requests)[0]];
    expect(url).toBe('http://registry.test/ota/provision');
    expect(init.headers).toMatchObject({ authorization: 'Bearer secret-token' });
    expect(JSON.parse(String(init.body))).toEqual({ hw_id: HW_ID, name: 'EDT' });
  });

  it('repeats what a network can spoil, with growing pauses, and gives up in the end', async () => {
    const { registry, clock, atMs } = scripted(refused, refused, refused, refused, refused);
    const answer = await clock.within(60_000, registry.activate(HW_ID));
    expect(answer).toMatchObject({ ok: false, code: 'UNREACHABLE' });
    expect(atMs).toHaveLength(4);
    expect(atMs[2]! - atMs[1]!).toBeGreaterThan(atMs[1]! - atMs[0]!);
  });

  it('honours Retry-After, up to a minute', async () => {
    const busy = json({ code: 'RATE_LIMITED', detail: 'wait' }, 429, { 'retry-after': '20' });
    const patient = scripted(busy);
    expect(await patient.clock.within(60_000, patient.registry.activate(HW_ID))).toMatchObject({
      ok: true,
    });
    expect(patient.atMs[1]! - patient.atMs[0]!).toBeGreaterThanOrEqual(20_000);
    const hours = scripted(() => problemResponse(503, 'XY', 'y', { 'retry-after': '7200' }));
    expect(await hours.clock.within(1000, hours.registry.activate(HW_ID))).toMatchObject({
      ok: false,
      code: 'XY',
    });
  });

  it('does not repeat what will stay wrong, and says the registry`s own words', async () => {
    const taken = () => problemResponse(409, 'DEVICE_TAKEN', 'EDT belongs to CO-000009');
    const { registry, clock, requests } = scripted(taken);
    expect(await clock.within(1000, registry.activate(HW_ID))).toEqual({
      ok: false,
      code: 'DEVICE_TAKEN',
      reason:
        'the registry refused POST /provision/activate with 409 DEVICE_TAKEN: EDT belongs to CO-000009',
    });
    expect(requests).toHaveLength(1);
  });

  it.each([
    ['another device', json({ ...ROW, hw_id: 'ff'.repeat(16) })],
    ['no row', json({ hello: 'world' })],
    ['no JSON', () => new Response('<html>')],
    ['a serial that would break a file', json({ ...ROW, serial: '../../etc' })],
  ])('does not take %s for an answer', async (_what, answer) => {
    const { registry, clock } = scripted(answer, answer, answer, answer);
    expect(await clock.within(60_000, registry.activate(HW_ID))).toMatchObject({
      ok: false,
      code: 'FOREIGN_ANSWER',
      reason: expect.stringMatching(
        /^the answer to POST \/provision\/activate is not from a can-ota/,
      ),
    });
  });

  it('does not read an answer that never ends', async () => {
    const endless: Answer = () =>
      new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65536)) }),
        { headers: { 'content-type': 'application/json' } },
      );
    const { registry, clock } = scripted(endless, endless, endless, endless);
    expect(await clock.within(60_000, registry.activate(HW_ID))).toMatchObject({
      ok: false,
      code: 'FOREIGN_ANSWER',
      reason: expect.stringContaining('it is longer than 1048576 bytes'),
    });
  });

  it('stops when it is told to', async () => {
    const { registry, clock } = scripted(refused, refused);
    const abort = new AbortController();
    const answer = registry.activate(HW_ID, abort.signal);
    await clock.advance(1);
    abort.abort();
    expect(await clock.within(1000, answer)).toMatchObject({ ok: false, code: 'INTERRUPTED' });
  });

  it('names an address that is none', () => {
    const options = { token: 't', clock: systemClock, random: seededRandom() };
    expect(() => new HttpRegistry({ ...options, server: 'localhost' })).toThrow(/no address/);
  });
});

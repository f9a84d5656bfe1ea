// `can-ota campaign cancel`: its requests to the backend, how long it waits, and its exit codes.

import { describe, expect, it } from 'vitest';
import { cancel } from '../../src/cli/campaign/campaign.ts';
import { InputError } from '../../src/core/errors.ts';
import { ExitCode } from '../../src/core/exit-code.ts';
import {
  BackendError,
  type CancelReply,
  ReleaseBackend,
} from '../../src/signing/release-backend.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { problemResponse } from '../support/problem-response.ts';

const ORDER = {
  ...{ vin: 'VIN1', campaign: 'c1', order: 'o1', by: 'tool', reason: 'why' },
  ...{ orderedAt: '2026-01-01T00:00:00.000Z', state: 'open', answer: null },
} as const satisfies CancelReply;

/** `answerAtMs`: when the backend gets the vehicle's answer. */
async function world(answer: (request: Request, nowMs: number) => Response): Promise<{
  readonly clock: VirtualClock;
  readonly asked: string[];
  readonly said: string[];
  readonly emitted: object[];
  readonly abort: AbortController;
  run(options?: { reason?: string; waitMs?: number }): Promise<ExitCode>;
}> {
  const clock = new VirtualClock();
  const abort = new AbortController();
  const asked: string[] = [];
  const said: string[] = [];
  const emitted: object[] = [];
  const backend = await ReleaseBackend.logIn(
    {
      ...{ url: 'http://backend/below', clock, signal: abort.signal },
      fetch: async (input, init) => {
        const request = new Request(input, init);
        const { method, url, headers } = request;
        const body = await request.clone().text();
        asked.push(`${method} ${new URL(url).pathname} ${body} ${headers.get('authorization')}`);
        return answer(request, clock.nowMs());
      },
    },
    { kind: 'token', token: 'cot-x' },
  );
  const context = {
    say: (text: string) => void said.push(text),
    emit: (fact: object) => void emitted.push(fact),
    signal: abort.signal,
  };
  return {
    ...{ clock, asked, said, emitted, abort },
    run: ({ reason = 'why', waitMs } = {}) =>
      cancel({ context, backend, clock }, 'VIN1', {
        reason,
        ...(waitMs === undefined ? {} : { waitMs }),
      }),
  };
}

/** The vehicle answers at 5 s. */
const vehicleAnswers = (state: 'accepted' | 'refused') => (request: Request, nowMs: number) => {
  if (request.method === 'POST') return Response.json({ ...ORDER, created: true }, { status: 202 });
  const now = nowMs < 5000 ? ORDER : { ...ORDER, state, answer: 'because' };
  return Response.json({ vin: 'VIN1', campaign: null, orders: [{ ...ORDER, order: 'o0' }, now] });
};

describe('campaign cancel', () => {
  it('gives the order and does not wait, unless told', async () => {
    const w = await world(vehicleAnswers('accepted'));
    expect(await w.run()).toBe(ExitCode.success);
    expect(w.asked).toEqual(['POST /below/vehicles/VIN1/cancel {"reason":"why"} Bearer cot-x']);
    expect(w.said).toEqual([
      expect.stringContaining('order o1: the vehicle gets the order at its next'),
    ]);
    expect(w.emitted).toEqual([ORDER]);
  });

  it.each([
    ['accepted', ExitCode.success, 'stops: because'],
    ['refused', ExitCode.preconditionFailed, 'refuses: because'],
  ] as const)('waits until the vehicle has %s', async (state, code, text) => {
    const w = await world(vehicleAnswers(state));
    expect(await w.clock.within(10_000, w.run({ waitMs: 60_000 }))).toBe(code);
    expect(w.clock.nowMs()).toBe(6000);
    expect(w.asked).toHaveLength(4);
    expect(w.said.at(-1)).toContain(text);
    expect(w.emitted).toEqual([{ ...ORDER, state, answer: 'because' }]);
  });

  it('ends with another code when the time is over, or when it is interrupted', async () => {
    const late = await world(vehicleAnswers('accepted'));
    expect(await late.clock.within(10_000, late.run({ waitMs: 3000 }))).toBe(ExitCode.deferred);
    expect(late.clock.nowMs()).toBe(3000);
    const cut = await world(vehicleAnswers('accepted'));
    const running = cut.run({ waitMs: 60_000 });
    running.catch(() => {});
    await cut.clock.advance(1000);
    cut.abort.abort(new Error('Ctrl-C'));
    await expect(running).rejects.toThrow('Ctrl-C');
  });

  it('says that nothing is under way, and refuses to be silent about why', async () => {
    const detail = 'there is nothing to cancel: VIN1 has told of no campaign';
    const w = await world(() => problemResponse(409, 'NO_CAMPAIGN', detail));
    expect(await w.run()).toBe(ExitCode.preconditionFailed);
    expect(w.said).toEqual([`VIN1: ${detail}`]);
    await expect(w.run({ reason: ' ' })).rejects.toThrow(InputError);
    expect(w.asked).toHaveLength(1);
  });

  it('tells a token that may not from an answer that is none', async () => {
    const problem = (status: number, code: string) => () => problemResponse(status, code);
    const forbidden = await world(problem(403, 'ROLE'));
    await expect(forbidden.run()).rejects.toThrow(InputError);
    const conflict = await world(problem(409, 'SOMETHING_ELSE'));
    await expect(conflict.run()).rejects.toThrow(InputError);
    const strange = await world(() => Response.json({ order: 1 }));
    await expect(strange.run()).rejects.toThrow(BackendError);
  });
});

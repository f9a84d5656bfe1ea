// The steps of the UDS client as data: what becomes of a reception that is disturbed.

import { describe, expect, test } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import type { SendResult } from '../../src/isotp/connection.ts';
import { clientDue, stepClient } from '../../src/uds/client-engine.ts';
import {
  type ClientConfig,
  type ClientEffect,
  type ClientInput,
  type ClientState,
  initialClientState,
} from '../../src/uds/client-state.ts';
import { isWanted } from '../../src/uds/client-strays.ts';

const config: ClientConfig = {
  timing: { p2Ms: 100, p2StarMs: 1000, pendingLimitMs: 9000 },
  s3Ms: 2000,
};

class Steps {
  state: ClientState = initialClientState;
  effects: ClientEffect[] = [];

  at(nowMs: number, input: ClientInput): this {
    const step = stepClient(this.state, input, nowMs, config);
    this.state = step.state;
    this.effects.push(...step.effects);
    return this;
  }

  get dueMs(): number | undefined {
    return clientDue(this.state)?.dueMs;
  }

  get reply(): unknown {
    const settled = this.effects.find((effect) => effect.kind === 'settle');
    return settled?.kind === 'settle' ? settled.reply : undefined;
  }
}

const ok: SendResult = { result: 'N_OK', atMs: 10, reason: 'sent' };
const sent: ClientInput = { kind: 'sent', id: 1, result: ok };
const firstFrame: ClientInput = { kind: 'first-frame', length: 16, atMs: 20 };
const response = (hex: string, atMs: number): ClientInput => ({
  kind: 'response',
  message: fromHex(hex),
  atMs,
});
const lost: ClientInput = { kind: 'receive-error', result: 'N_TIMEOUT_Cr', reason: 'lost' };

const asked = (): Steps =>
  new Steps().at(0, { kind: 'request', request: fromHex('22f190'), pendingLimitMs: 9000 });

describe('an answer under way', () => {
  test('has the time of the whole wait, and its loss ends the request', () => {
    const steps = asked().at(10, sent).at(20, firstFrame);
    expect(steps.dueMs).toBe(9010);
    expect(steps.at(1020, lost).reply).toMatchObject({ kind: 'transport', result: 'N_TIMEOUT_Cr' });
  });

  test('is still under way after a foreign single frame', () => {
    const steps = asked().at(10, sent).at(20, firstFrame).at(30, response('7f3e12', 30));
    expect(steps.dueMs).toBe(9010);
    expect(steps.at(1020, lost).reply).toMatchObject({ kind: 'transport' });
  });

  test('that turns out to be foreign gives ours its time again', () => {
    const other = `62f18a${'00'.repeat(13)}`;
    const steps = asked().at(10, sent).at(20, firstFrame).at(60, response(other, 60));
    expect(steps.dueMs).toBe(160);
    expect(steps.at(70, lost).reply).toBeUndefined();
    expect(steps.at(160, { kind: 'tick' }).reply).toMatchObject({ kind: 'unexpected' });
  });

  test('ends with a responsePending', () => {
    const steps = asked().at(10, sent).at(20, firstFrame);
    steps.at(30, { kind: 'receive-error', result: 'N_UNEXP_PDU', reason: 'single frame' });
    expect(steps.dueMs).toBe(130);
    steps.at(30, response('7f2278', 30)).at(50, lost);
    expect([steps.reply, steps.dueMs]).toEqual([undefined, 1030]);
  });

  test('has P2* again when another one takes its place after a responsePending', () => {
    const steps = asked().at(10, sent).at(20, response('7f2278', 20)).at(900, firstFrame);
    steps.at(950, { kind: 'receive-error', result: 'N_UNEXP_PDU', reason: 'first frame' });
    expect(steps.dueMs).toBe(1950);
  });

  test('that was lost before the request was confirmed leaves P2', () => {
    const steps = asked()
      .at(9, { ...firstFrame, atMs: 11 })
      .at(9, lost)
      .at(12, sent);
    expect(steps.dueMs).toBe(110);
  });
});

test('an answer that is too long for us ends the request at its first frame', () => {
  const steps = asked().at(10, sent);
  steps.at(20, { kind: 'receive-error', result: 'N_BUFFER_OVFLW', reason: 'too long' });
  expect(steps.reply).toMatchObject({ kind: 'transport', result: 'N_BUFFER_OVFLW' });
});

test('an error while nothing is asked is of no interest', () => {
  expect(new Steps().at(0, lost).effects).toEqual([]);
});

test.each([
  ['62f190010203', true],
  ['62f1', true], // all that a first frame with the 32 bit length holds
  ['62', true],
  ['62f2', false],
  ['62f18a010203', false],
  ['7f', true],
  ['7f2278000000', true], // of our request, with a broken form
  ['7f3178000000', false],
  ['590201020304', false],
  ['', false],
])('a message that begins with %s is wanted: %s', (start, wanted) => {
  const { state } = asked();
  expect(isWanted(state, fromHex(start), 0)).toBe(wanted);
  expect(isWanted(initialClientState, fromHex(start), 0)).toBe(false);
});

test('an answer to a request that was given up is wanted for its time, while another is open', () => {
  const late = fromHex('710302000100');
  const abandoned = [{ request: fromHex('31030200'), untilMs: 100 }];
  const open = { ...asked().state, abandoned };
  expect(isWanted(open, late, 100)).toBe(true);
  expect(isWanted(open, late, 101)).toBe(false);
  expect(isWanted(open, fromHex('710302010100'), 100)).toBe(false);
  expect(isWanted({ ...initialClientState, abandoned }, late, 100)).toBe(false);
});

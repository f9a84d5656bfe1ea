// The faults of an ECU as parts of their own: at which byte, request or moment each of them happens.

import { describe, expect, it } from 'vitest';
import { type EcuFaults, programGate, type WrongAnswer } from '../../ecus/bootloader/faults.ts';
import { FaultsOfALife } from '../../ecus/bootloader/faulty-connection.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import type { ConnectionListener, IsoTpConnection } from '../../src/isotp/connection.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

describe('programming', () => {
  it.each([
    [0, 10, 'ok'],
    [10, 10, 'failed'],
    [19, 1, 'failed'],
    [10, 9, 'ok'],
    [20, 10, 'ok'],
  ])('of the bytes from %i, %i of them, with a fault at 19: %s', (offset, length, verdict) => {
    expect(programGate({ failWriteAt: 19 })(offset, length)).toBe(verdict);
  });

  it('loses its power behind so many bytes of all downloads', () => {
    const gate = programGate({ losePowerAfter: 20 });
    expect([gate(0, 10), gate(0, 10), gate(0, 1)]).toEqual(['ok', 'ok', 'power-lost']);
    expect(programGate({})(0, 1000)).toBe('ok');
  });
});

function life(faults: EcuFaults) {
  const clock = new VirtualClock();
  const heard: string[] = [];
  const sent: string[] = [];
  let stuck = 0;
  let resets = 0;
  let inner: ConnectionListener | undefined;
  const connection: IsoTpConnection = {
    listen: (listener) => {
      inner = listener;
    },
    send: (message) => void sent.push(toHex(message)),
    close: () => void sent.push('closed'),
  };
  const lived = new FaultsOfALife({
    ...{ faults, clock, random: seededRandom(3) },
    onStuck: () => stuck++,
    reset: () => resets++,
  });
  const wrapped = lived.wrap(connection);
  wrapped.listen({
    onMessage: (message) => heard.push(toHex(message)),
    onFirstFrame: (length) => heard.push(`first frame of ${length}`),
    onReceiveError: (result) => heard.push(result),
  });
  return {
    ...{ clock, heard, sent, lived, wrapped },
    hear: (hex: string) => inner!.onMessage(fromHex(hex), 0),
    inner: () => inner!,
    stuck: () => stuck,
    resets: () => resets,
  };
}

describe('a connection', () => {
  it('hands on what it hears, says and ends', () => {
    const { hear, heard, sent, wrapped, inner } = life({});
    hear('3e00');
    inner().onFirstFrame?.(20, 0);
    inner().onReceiveError?.('N_TIMEOUT_Cr', 'lost', 0);
    wrapped.send(fromHex('7e00'));
    wrapped.close();
    expect(heard).toEqual(['3e00', 'first frame of 20', 'N_TIMEOUT_Cr']);
    expect(sent).toEqual(['7e00', 'closed']);
  });

  it('of a silent ECU hears nothing', () => {
    const { hear, heard, stuck } = life({ silent: true });
    hear('3e00');
    expect([heard, stuck()]).toEqual([[], 0]);
  });

  it.each([0, 1, 3])('hangs behind %i requests, once', (stuckAfter) => {
    const faults: EcuFaults = { stuckAfter };
    const { hear, heard, stuck } = life(faults);
    for (let count = 0; count < stuckAfter; count++) hear('3e00');
    expect([heard.length, stuck()]).toEqual([stuckAfter, 0]);
    hear('3e00');
    hear('3e00');
    expect([heard.length, stuck()]).toEqual([stuckAfter, 1]);
    expect(faults).toEqual({});
  });

  it('resets so many times, each so long after it came up', async () => {
    const resetLoop = { times: 2, everyMs: 100 };
    const first = life({ resetLoop });
    await first.clock.advance(99);
    expect(first.resets()).toBe(0);
    await first.clock.advance(1);
    await first.clock.advance(1000);
    expect([first.resets(), resetLoop.times]).toEqual([1, 1]);
    const second = life({ resetLoop });
    second.lived.close();
    await second.clock.advance(1000);
    expect(second.resets()).toBe(0);
    const third = life({ resetLoop: { times: 0, everyMs: 100 } });
    await third.clock.advance(1000);
    expect(third.resets()).toBe(0);
  });

  it('begins to reset by the next request where that is wanted later', async () => {
    const faults: EcuFaults = {};
    const { clock, hear, resets } = life(faults);
    faults.resetLoop = { times: 1, everyMs: 100 };
    await clock.advance(1000);
    expect(resets()).toBe(0);
    hear('3e00');
    await clock.advance(100);
    expect(resets()).toBe(1);
  });
});

describe('a wrong answer', () => {
  const said = (kind: WrongAnswer, hex: string, count = 1): string => {
    const { wrapped, sent } = life({ wrongAnswers: { count, kind } });
    wrapped.send(fromHex(hex));
    return sent[0]!;
  };

  it.each<[WrongAnswer, string, string]>([
    ['service', '7e00', '6200'],
    ['service', '62f19001', '7ef19001'],
    ['identifier', '62f19001', '62f19101'],
    ['identifier', '62f190', '62f191'],
    ['identifier', '7e00', '6200'],
    ['service', '7f2278', '7f2278'],
    ['service', '7f2231', '622231'],
  ])('%s to %s is %s', (kind, right, wrong) => {
    expect(said(kind, right)).toBe(wrong);
  });

  it('is never the right one by chance', () => {
    for (let first = 0; first < 256; first++) {
      const right = first.toString(16).padStart(2, '0');
      expect(said('garbage', right).slice(0, 2)).not.toBe(right);
    }
  });

  it('comes as often as was asked for; a responsePending does not count', () => {
    const faults: EcuFaults = { wrongAnswers: { count: 2, kind: 'service' } };
    const { wrapped, sent } = life(faults);
    for (const hex of ['7f2278', '7e00', '7f2278', '7e00', '7e00']) wrapped.send(fromHex(hex));
    expect(sent).toEqual(['7f2278', '6200', '7f2278', '6200', '7e00']);
    expect(faults.wrongAnswers?.count).toBe(0);
    expect(said('service', '7e00', 0)).toBe('7e00');
  });
});

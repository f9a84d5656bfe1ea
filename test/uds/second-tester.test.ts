// A client beside another tester on the same identifiers: frames on a simulated wire under virtual time.

import { beforeEach, describe, expect, test } from 'vitest';
import { type CanFrame, frameText } from '../../src/bus/can-frame.ts';
import { fromHex } from '../../src/core/bytes.ts';
import type { Logger } from '../../src/core/logger.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { normalAddress } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import { type SimulatedBus, SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { UdsClient } from '../../src/uds/client.ts';
import type { UdsReply } from '../../src/uds/reply.ts';

const address = normalAddress({ id: 0x7e0, extended: false }, { id: 0x7e8, extended: false });
const timing = { p2Ms: 200, p2StarMs: 1000, pendingLimitMs: 5000 };

let clock: VirtualClock;
let ecu: SimulatedBus;
let client: UdsClient;
/** What the client sent. */
let sent: string[];
let warnings: { readonly fields: Record<string, unknown>; readonly message: string }[];

beforeEach(() => {
  clock = new VirtualClock();
  const wire = new SimulatedWire({ clock, bitrate: 500_000 });
  ecu = wire.attach('ecu');
  sent = [];
  warnings = [];
  ecu.monitor(({ frame, direction }) => {
    if (direction === 'rx') sent.push(frameText(frame));
  });
  const logger: Logger = {
    ...silentLogger,
    warn: (fields, message) => warnings.push({ fields, message }),
  };
  client = new UdsClient({
    connection: new IsoTpChannel({ bus: wire.attach('tester'), clock, address }),
    clock,
    timing,
    logger,
  });
});

/** The ECU's frames, at times from now on. */
function frames(...timed: readonly (readonly [delayMs: number, data: string])[]): void {
  for (const [delayMs, hex] of timed) {
    const data = fromHex(hex);
    const frame: CanFrame = {
      ...{ id: 0x7e8, extended: false, data },
      ...{ fd: false, brs: false, remote: false },
    };
    clock.after('ecu', delayMs, () => ecu.send(frame, () => {}));
  }
}

function ask(request: string): Promise<UdsReply> {
  return clock.within(20_000, client.request(fromHex(request)));
}

/** The answer to 22 F190 in three frames, of which the last two need flow control. */
const LONG = ['101062F190313131', '2131313131313131', '22313131CCCCCCCC'] as const;
const LONG_ANSWER = `62f190${'31'.repeat(13)}`;
/** The first frame of an answer to somebody's 19 02. */
const FOREIGN_FIRST = '1010590201020304';
const FOREIGN_SINGLE = '0462F18601CCCCCC';
const FLOW_CONTROL = /^7E0#30/;

function flowControls(): number {
  return sent.filter((text) => FLOW_CONTROL.test(text)).length;
}

describe('while nothing is asked', () => {
  test('the client sends nothing, whatever comes', async () => {
    frames([1, FOREIGN_FIRST], [2, LONG[0]], [3, LONG[1]], [4, LONG[2]], [5, FOREIGN_SINGLE]);
    await clock.advance(5000);
    expect(sent).toEqual([]);
    expect(client.foreignAnswers).toBe(3);
  });

  test('nor after its own request was answered', async () => {
    frames([10, LONG[0]], [15, LONG[1]], [16, LONG[2]]);
    expect(await ask('22f190')).toMatchObject({ kind: 'positive', data: fromHex(LONG_ANSWER) });
    expect(flowControls()).toBe(1);
    frames([10, LONG[0]], [15, LONG[1]], [16, LONG[2]]);
    await clock.advance(2000);
    expect(flowControls()).toBe(1);
  });

  test('nor for the late answer to a request that was given up, which is not foreign', async () => {
    expect(await ask('22f190')).toMatchObject({ kind: 'silent' });
    frames([10, LONG[0]]);
    await clock.advance(100);
    expect([flowControls(), client.foreignAnswers]).toEqual([0, 0]);
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/request that was given up/),
    ]);
  });

  test('nor while the one request is not for this ECU alone, nor when closed', async () => {
    const broadcast = client.broadcast(fromHex('3e80'));
    await clock.within(1000, broadcast);
    client.close();
    frames([1, LONG[0]]);
    await clock.advance(100);
    expect(flowControls()).toBe(0);
  });
});

describe('while a request is open', () => {
  test('an answer to something else gets no flow control, and ours is taken', async () => {
    frames(
      [5, FOREIGN_FIRST],
      [6, '2105060708090A0B'],
      [30, LONG[0]],
      [35, LONG[1]],
      [36, LONG[2]],
    );
    expect(await ask('22f190')).toMatchObject({ kind: 'positive', data: fromHex(LONG_ANSWER) });
    expect(flowControls()).toBe(1);
  });

  test('foreign messages in the middle of ours do not break it', async () => {
    frames(
      [10, LONG[0]],
      [12, FOREIGN_SINGLE],
      [14, FOREIGN_FIRST],
      [16, LONG[1]],
      [17, '037F3E7FCCCCCCCC'],
      [18, LONG[2]],
    );
    expect(await ask('22f190')).toMatchObject({ kind: 'positive', data: fromHex(LONG_ANSWER) });
    expect([flowControls(), client.foreignAnswers]).toEqual([1, 3]);
  });

  test('a refusal in the middle of what was begun is the answer', async () => {
    frames([10, LONG[0]], [12, '037F2222CCCCCCCC']);
    expect(await ask('22f190')).toMatchObject({ kind: 'negative', nrc: 0x22 });
  });

  test('a long answer for another tester gives ours its time again', async () => {
    frames([190, FOREIGN_FIRST], [380, LONG[0]], [385, LONG[1]], [386, LONG[2]]);
    expect(await ask('22f190')).toMatchObject({ kind: 'positive' });
  });

  test('but not for ever', async () => {
    for (let atMs = 100; atMs < 10_000; atMs += 100) frames([atMs, FOREIGN_FIRST]);
    expect(await ask('22f190')).toMatchObject({ kind: 'unexpected' });
    // From the first of them on.
    expect(clock.nowMs()).toBeLessThan(100 + timing.p2Ms + 5);
  });

  test('the loss of an answer to an older request is not the loss of this one', async () => {
    const abort = new AbortController();
    const given = client.request(fromHex('22f190'), { signal: abort.signal });
    frames([10, LONG[0]]);
    await clock.advance(50);
    abort.abort();
    expect(await given).toMatchObject({ kind: 'transport', result: 'CLOSED' });
    await clock.advance(900); // N_Cr of the older answer runs out at about 1010 ms
    frames([150, '0462F18A07CCCCCC']);
    expect(await ask('22f18a')).toMatchObject({ kind: 'positive' });
  });
});

describe('an ECU that served another tester may have lost our request', () => {
  const block = `3624${'00'.repeat(60)}`;

  test('a block that its flow control ended for: the foreign answer is told', async () => {
    frames([1, '300400CCCCCCCCCC'], [2, FOREIGN_SINGLE]);
    const reply = await ask(block);
    expect(reply).toMatchObject({ kind: 'unexpected', data: fromHex('62f18601') });
    expect(reply).toMatchObject({ reason: expect.stringMatching(/N_Bs/) });
  });

  test('a block that was spoiled by a long answer is not waited for any longer by the next ones', async () => {
    // 10 ms between our frames: they are on the wire at 90 ms.
    frames([1, '30000ACCCCCCCCCC'], [25, FOREIGN_FIRST], [200, FOREIGN_FIRST]);
    expect(await ask(block)).toMatchObject({ kind: 'unexpected', spoiled: true });
    expect(clock.nowMs()).toBeLessThan(100 + timing.p2Ms);
  });

  test('a block that was sent to its end and stays unanswered', async () => {
    frames([1, '300000CCCCCCCCCC'], [1.5, FOREIGN_SINGLE]);
    expect(await ask(block)).toMatchObject({ kind: 'unexpected', data: fromHex('62f18601') });
  });

  test('a long foreign answer, of which only the first frame is seen', async () => {
    frames([1, '300000CCCCCCCCCC'], [1.5, FOREIGN_FIRST]);
    const reply = await ask(block);
    expect(reply).toMatchObject({ kind: 'unexpected', data: fromHex('590201020304') });
    expect(flowControls()).toBe(0);
  });

  test('without a foreign answer it is what it was: silent, or not carried', async () => {
    frames([1, '300000CCCCCCCCCC']);
    expect(await ask(block)).toMatchObject({ kind: 'silent', timer: 'P2' });
    frames([1, '300400CCCCCCCCCC']);
    expect(await ask(block)).toMatchObject({ kind: 'transport', result: 'N_TIMEOUT_Bs' });
  });

  test('the long answer to a request that was given up is received, and does not delay the next', async () => {
    const abort = new AbortController();
    const given = client.request(fromHex('310302000102030405060708'), { signal: abort.signal });
    frames([1, '300000CCCCCCCCCC'], [3, '1008710302000102'], [4, '210304CCCCCCCCCC']);
    await clock.advance(1);
    abort.abort();
    await given;
    const asked = ask('22f18a');
    frames([8, '0462F18A07CCCCCC']);
    expect(await asked).toMatchObject({ kind: 'positive', data: fromHex('62f18a07') });
    expect([flowControls(), client.foreignAnswers]).toEqual([1, 0]);
  });

  test('a late answer of our own is no sign of another tester', async () => {
    expect(await ask('22f18a')).toMatchObject({ kind: 'silent' });
    frames([1, '300000CCCCCCCCCC'], [1.5, '0462F18A07CCCCCC']);
    expect(await ask(block)).toMatchObject({ kind: 'silent' });
  });
});

describe('the log', () => {
  test('has one line on how to read it, then at most one a minute with the count', async () => {
    for (let second = 0; second < 150; second++) frames([1000 * second, FOREIGN_FIRST]);
    await clock.advance(150_000);
    expect(client.foreignAnswers).toBe(150);
    expect(warnings).toHaveLength(3);
    expect(warnings[0]).toMatchObject({
      fields: { message: '590201020304' },
      message: expect.stringMatching(/another tester/),
    });
    expect(warnings.slice(1).map(({ fields }) => fields.foreign)).toEqual([61, 121]);
    client.close();
    expect(warnings.at(-1)?.fields).toEqual({ foreign: 150, late: 0 });
    expect(warnings).toHaveLength(4);
    client.close();
    expect(warnings).toHaveLength(4);
  });

  test('says no more when there was one', async () => {
    frames([1, FOREIGN_SINGLE]);
    await clock.advance(10);
    client.close();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.fields.message).toBe('62f18601');
  });
});

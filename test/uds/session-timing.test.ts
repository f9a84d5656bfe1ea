// P2server_max and P2*server_max that an ECU declares in its answer to 10 count, where they are the longer ones.

import { beforeEach, describe, expect, test } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { UdsClient } from '../../src/uds/client.ts';
import { connectionPair } from '../support/connection-pair.ts';

const timing = { p2Ms: 100, p2StarMs: 1000, pendingLimitMs: 20_000 };
/** 1000 ms and 8000 ms. */
const SLOW = '500203e80320';

let clock: VirtualClock;
let client: UdsClient;
let script: (request: string) => readonly (readonly [number, string])[];

beforeEach(() => {
  clock = new VirtualClock();
  const { a, b } = connectionPair({ clock, msPerByte: 0 });
  script = () => [];
  b.listen({
    onMessage: (message) => {
      for (const [delayMs, answer] of script(Buffer.from(message).toString('hex'))) {
        clock.after('ecu', delayMs, () => b.send(fromHex(answer)));
      }
    },
  });
  client = new UdsClient({ connection: a, clock, timing });
});

/** How long the client waits for an ECU that says nothing, and for one that says responsePending and no more. */
async function patience(): Promise<readonly [p2Ms: number, p2StarMs: number]> {
  const waits: number[] = [];
  for (const answers of [[], [[0, '7f2278'] as const]]) {
    script = () => answers;
    const reply = await clock.within(60_000, client.request(fromHex('22f190')));
    waits.push(reply.kind === 'silent' ? Math.round(reply.waitedMs) : -1);
  }
  return [waits[0]!, waits[1]!];
}

async function ask(request: string, answer: string | undefined): Promise<void> {
  script = () => (answer === undefined ? [] : [[1, answer]]);
  await clock.within(60_000, client.request(fromHex(request)));
}

const CONFIGURED = [100, 1000] as const;
/** With 50 ms for the way there and back. */
const DECLARED = [1050, 8050] as const;

test('the longer of declared and configured counts', async () => {
  expect(await patience()).toEqual(CONFIGURED);
  await ask('1002', SLOW);
  expect(await patience()).toEqual(DECLARED);
});

test('an answer in time by the declared P2* is taken', async () => {
  await ask('1002', SLOW);
  script = () => [
    [10, '7f3178'],
    [8000, '7101ff00'],
  ];
  const reply = await clock.within(60_000, client.request(fromHex('3101ff00')));
  expect(reply.kind).toBe('positive');
});

test('pendingLimitMs still ends it', async () => {
  await ask('1002', SLOW);
  script = () => [1, 7000, 14_000, 21_000].map((atMs) => [atMs, '7f3178'] as const);
  const reply = await clock.within(60_000, client.request(fromHex('3101ff00')));
  expect(reply).toMatchObject({ kind: 'silent', timer: 'P2*', waitedMs: 20_000 });
});

describe('after a declared P2 of 1000 ms and P2* of 8000 ms', () => {
  test.each<[string, string, string | undefined, readonly [number, number]]>([
    ['the default session without times', '1001', '5001', CONFIGURED],
    ['the default session by 81, without an answer', '1081', undefined, CONFIGURED],
    ['the default session with times of its own', '1001', '500107d00000', [2050, 1000]],
    ['another session without times', '1003', '5003', DECLARED],
    ['another session by 83, without an answer', '1083', undefined, DECLARED],
    ['times of 0', '1003', '500300000000', DECLARED],
    ['shorter times', '1003', '500303200190', [850, 4050]],
    ['times below the configured ones', '1003', '500300010001', CONFIGURED],
    ['a record that is cut short', '1003', '500300', DECLARED],
    ['a refused session', '1001', '7f1022', DECLARED],
    ['a reset', '1101', '5101', CONFIGURED],
    ['a reset by 81, without an answer', '1181', undefined, CONFIGURED],
    ['a refused reset', '1101', '7f1122', DECLARED],
    ['any other request', '3e00', '7e00', DECLARED],
  ])('%s', async (_, request, answer, expected) => {
    await ask('1002', SLOW);
    await ask(request, answer);
    expect(await patience()).toEqual(expected);
  });
});

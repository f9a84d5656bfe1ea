// SecurityAccess on the server's side: seeds, keys, attempts, delays, resets.

import { beforeEach, describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import {
  SecurityAccess,
  type SecurityOptions,
  type SecurityRecord,
} from '../../src/uds/security.ts';
import { UdsServer } from '../../src/uds/server.ts';
import { connectionPair } from '../support/connection-pair.ts';

const DELAY_MS = 10_000;

let clock: VirtualClock;
let saved: SecurityRecord[];
let ask: (request: string) => Promise<string>;
let security: SecurityAccess;
let server: UdsServer;
let counter: number;

/** Seeds 11.., 12.., 13.. */
const random: Random = {
  bytes: (length) => new Uint8Array(length).fill(0x10 + ++counter),
  fraction: () => 0.5,
};

function start(options: Partial<SecurityOptions> = {}): void {
  clock = new VirtualClock();
  saved = [];
  counter = 0;
  const pair = connectionPair({ clock });
  security = new SecurityAccess(
    {
      random,
      levels: [1, 3],
      seedLength: 4,
      // The key is the seed with all bits turned round, xor the level.
      checkKey: (level, seed, key) => toHex(key) === toHex(seed.map((byte) => byte ^ 0xff ^ level)),
      delayMs: DELAY_MS,
      save: (record) => {
        saved.push(record);
      },
      ...options,
    },
    clock.nowMs(),
  );
  server = new UdsServer({ physical: pair.b, clock, security });
  let answer = '';
  pair.a.listen({
    onMessage: (message) => {
      answer = toHex(message);
    },
  });
  ask = async (request) => {
    answer = '';
    pair.a.send(fromHex(request));
    await clock.advance(20);
    return answer;
  };
}

beforeEach(async () => {
  start();
  await ask('1003');
});

test('not in the default session', async () => {
  await ask('1001');
  expect(await ask('2701')).toBe('7f277f');
});

test('seed, key, unlocked, zero seed', async () => {
  expect(await ask('2701')).toBe('670111111111');
  expect(await ask('2702efefefef')).toBe('6702');
  expect(server.securityLevel).toBe(1);
  expect(await ask('2701')).toBe('670100000000');
});

test('every seed is another one, and only the last counts', async () => {
  expect(await ask('2701')).toBe('670111111111');
  expect(await ask('2701')).toBe('670112121212');
  expect(await ask('2702efefefef')).toBe('7f2735');
});

test('a seed never looks like "unlocked"', async () => {
  start({ random: { bytes: (length) => new Uint8Array(length), fraction: () => 0 } });
  await ask('1003');
  expect(await ask('2701')).toBe('670100000001');
});

test('a key without a seed, twice, or for another level is 0x24', async () => {
  expect(await ask('2702efefefef')).toBe('7f2724');
  await ask('2701');
  expect(await ask('270400000000')).toBe('7f2724');
  expect(await ask('2702efefefef')).toBe('6702');
  expect(await ask('2702efefefef')).toBe('7f2724');
});

test('a wrong key uses the seed up', async () => {
  await ask('2701');
  expect(await ask('270200000000')).toBe('7f2735');
  expect(await ask('2702efefefef')).toBe('7f2724');
});

test('unknown levels are 0x12, a missing key 0x13, a key of the wrong length no attempt', async () => {
  expect(await ask('2705')).toBe('7f2712');
  expect(await ask('2702')).toBe('7f2713');
  start({ keyLength: 4 });
  await ask('1003');
  await ask('2701');
  expect(await ask('2702ef')).toBe('7f2713');
  expect(saved).toEqual([]);
  expect(await ask('2702efefefef')).toBe('6702');
});

test('another level replaces the first', async () => {
  await ask('2701');
  await ask('2702efefefef');
  expect(await ask('2703')).toBe('670312121212');
  expect(await ask('2704eeeeeeee')).toBe('6704');
  expect(server.securityLevel).toBe(3);
  expect(await ask('2701')).toBe('670113131313');
});

describe('locks again', () => {
  beforeEach(async () => {
    await ask('2701');
    await ask('2702efefefef');
    expect(server.securityLevel).toBe(1);
  });

  test.each(['1001', '1002', '1003'])('with %s', async (request) => {
    await ask(request);
    expect(server.securityLevel).toBe(0);
  });

  test('when S3 is over', async () => {
    await clock.advance(5100);
    expect(server.securityLevel).toBe(0);
  });

  test('with a reset', () => {
    server.reset();
    expect(server.securityLevel).toBe(0);
  });
});

test('a change of session forgets the seed', async () => {
  await ask('2701');
  await ask('1003');
  expect(await ask('2702efefefef')).toBe('7f2724');
});

/** Asks for a seed and sends a wrong key. */
async function fail(): Promise<string> {
  await ask('2701');
  return ask('270200000000');
}

describe('attempts', () => {
  test('the third wrong key is 0x36, then 0x37 until the delay is over', async () => {
    expect(await fail()).toBe('7f2735');
    expect(await fail()).toBe('7f2735');
    expect(await fail()).toBe('7f2736');
    expect(await ask('2701')).toBe('7f2737');
    for (let elapsed = 0; elapsed < DELAY_MS - 500; elapsed += 500) {
      await clock.advance(480);
      expect(await ask('2701')).toBe('7f2737');
    }
    await clock.advance(500);
    expect(await ask('2701')).toMatch(/^6701/);
  });

  test('one attempt after the delay, not three', async () => {
    for (let count = 0; count < 3; count++) await fail();
    await clock.advance(DELAY_MS);
    await ask('1003');
    expect(await fail()).toBe('7f2736');
    expect(await ask('2701')).toBe('7f2737');
  });

  test('a right key forgets the wrong ones', async () => {
    await fail();
    await fail();
    const seed = fromHex((await ask('2701')).slice(4));
    expect(await ask(`2702${toHex(seed.map((byte) => byte ^ 0xfe))}`)).toBe('6702');
    expect(saved.at(-1)).toEqual({ failedAttempts: 0 });
    await ask('1003');
    expect(await fail()).toBe('7f2735');
  });

  test('neither a change of session nor a reset gives new attempts', async () => {
    await fail();
    await ask('1003');
    await fail();
    server.reset();
    await ask('1003');
    expect(await fail()).toBe('7f2736');
    server.reset();
    await ask('1003');
    expect(await ask('2701')).toBe('7f2737');
  });

  test('a reset within the delay starts it anew', async () => {
    for (let count = 0; count < 3; count++) await fail();
    await clock.advance(DELAY_MS - 1000);
    server.reset();
    await clock.advance(2000);
    await ask('1003');
    expect(await ask('2701')).toBe('7f2737');
    await clock.advance(DELAY_MS - 2000);
    await ask('1003');
    expect(await ask('2701')).toMatch(/^6701/);
  });

  test('an ECU that is switched off and on knows them, and waits anew', async () => {
    for (let count = 0; count < 3; count++) await fail();
    const record = saved.at(-1)!;
    start({ record });
    await ask('1003');
    expect(await ask('2701')).toBe('7f2737');
    await clock.advance(DELAY_MS);
    await ask('1003');
    expect(await fail()).toBe('7f2736');
  });

  test('an attempt is counted before its key is judged, so that a power cut gains nothing', async () => {
    const order: string[] = [];
    start({
      save: async ({ failedAttempts }) => {
        await Promise.resolve();
        order.push(`saved ${failedAttempts}`);
      },
      checkKey: () => {
        order.push('checked');
        return true;
      },
    });
    await ask('1003');
    await ask('2701');
    await ask('270201');
    expect(order).toEqual(['saved 1', 'checked', 'saved 0']);
  });

  test('a record that cannot be saved unlocks nothing', async () => {
    start({
      save: () => {
        throw new Error('disk full');
      },
    });
    await ask('1003');
    await ask('2701');
    expect(await ask('2702efefefef')).toBe('7f2710');
    expect(server.securityLevel).toBe(0);
  });
});

test('a key whose check is overtaken by a reset unlocks nothing', async () => {
  let finish: (right: boolean) => void = () => {};
  start({
    checkKey: () =>
      new Promise((resolve) => {
        finish = resolve;
      }),
  });
  await ask('1003');
  await ask('2701');
  await ask('270201');
  server.reset();
  finish(true);
  await clock.advance(20);
  expect(server.securityLevel).toBe(0);
});

// The lock of a bus: who programs holds it, who comes beside is refused or told, and it ends with its holder.

import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { CanBus } from '../../src/bus/can-bus.ts';
import { type FolderLock, lockName, nameOwner } from '../../src/core/lock.ts';
import {
  BusInUseError,
  type BusLockOptions,
  lockBus,
  tellTester,
} from '../../src/onboard/bus-lock.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

/** Locks are of the whole machine: each test has a bus of its own. */
const busNamed = (kind: CanBus['kind'], name = `t${randomBytes(6).toString('hex')}`): CanBus =>
  ({ kind, name }) as CanBus;

const held: FolderLock[] = [];
const warnings: string[] = [];

afterEach(async () => {
  for (const lock of held.splice(0)) await lock.release();
  warnings.length = 0;
});

async function lock(bus: CanBus, options: Partial<BusLockOptions> = {}): Promise<FolderLock> {
  const got = await lockBus(bus, {
    ...{ command: 'flash', besideTester: 'refuse', parentPid: 1 },
    warn: (line) => warnings.push(line),
    ...options,
  });
  held.push(got);
  return got;
}

describe.each(['socketcan', 'local'] as const)('a %s bus', (kind) => {
  const spec = (bus: CanBus): string => (kind === 'local' ? `local:${bus.name}` : bus.name);

  test('has one tester that programs; a second one is refused with its name and process', async () => {
    const bus = busNamed(kind);
    await lock(bus, { command: 'tmu' });
    const second = lock(busNamed(kind, bus.name));
    await expect(second).rejects.toThrow(BusInUseError);
    await expect(second).rejects.toThrow(
      `${spec(bus)}: can-ota tmu (process ${process.pid}) is the tester on this bus`,
    );
    await expect(second).rejects.toThrow(/--beside/);
    expect(warnings).toEqual([]);
  });

  test('is free again when its tester ends', async () => {
    const bus = busNamed(kind);
    await (await lock(bus)).release();
    await lock(bus);
  });

  test('does not block another one', async () => {
    await lock(busNamed(kind));
    await lock(busNamed(kind));
  });

  test('who only reads is told, and takes nothing', async () => {
    const bus = busNamed(kind);
    await tellTester(bus, (line) => warnings.push(line));
    expect(warnings).toEqual([]);
    const tester = await lock(bus, { command: 'bench' });
    await tellTester(bus, (line) => warnings.push(line));
    expect(warnings).toEqual([expect.stringMatching(/can-ota bench \(process \d+\).*too$/)]);
    await tester.release();
    await lock(bus);
  });
});

test('an interface and a local bus of the same name are two', async () => {
  const bus = busNamed('socketcan');
  await lock(bus);
  await lock(busNamed('local', bus.name));
});

test('a process that the holder started shares the bus', async () => {
  const bus = busNamed('local');
  const bench = await lock(bus, { command: 'bench' });
  const child = await lock(bus, { command: 'tmu', parentPid: process.pid });
  await child.release();
  await expect(lock(bus)).rejects.toThrow(/can-ota bench/);
  await bench.release();
  await lock(bus);
});

describe('beside another tester', () => {
  test('a warning, and the lock as soon as it is free', async () => {
    const clock = new VirtualClock();
    const bus = busNamed('local');
    const first = await lock(bus);
    const daemon = await lock(bus, { command: 'tmu', besideTester: 'warn', clock });
    expect(warnings).toEqual([expect.stringMatching(/can-ota flash.*may disturb each other$/)]);
    await clock.advance(5000);
    await first.release();
    await expect
      .poll(async () => {
        await clock.advance(5000);
        return (await nameOwner(`bus-local-${process.getuid?.()}-${bus.name}`))?.purpose;
      })
      .toBe('tmu');
    await expect(lock(bus)).rejects.toThrow(/can-ota tmu/);
    await daemon.release();
    expect(clock.pending()).toEqual([]);
    await lock(bus);
  });

  test('who ends first leaves nothing behind', async () => {
    const clock = new VirtualClock();
    const bus = busNamed('local');
    const first = await lock(bus);
    const daemon = await lock(bus, { besideTester: 'warn', clock });
    await daemon.release();
    expect(clock.pending()).toEqual([]);
    await expect(lock(bus)).rejects.toThrow(BusInUseError);
    await first.release();
    await lock(bus);
  });
});

test('a name that cannot be locked is a warning', async () => {
  await lock(busNamed('socketcan', 'x'.repeat(200)));
  expect(warnings).toEqual([expect.stringMatching(/cannot be locked/)]);
});

test('an owner says what it is for, and may say nothing', async () => {
  const name = `test-${randomBytes(6).toString('hex')}`;
  expect(await nameOwner(name)).toBeUndefined();
  const silent = await lockName(name);
  expect(await nameOwner(name)).toEqual({ pid: process.pid, purpose: undefined });
  await silent?.release();
  const said = await lockName(name, 'flash');
  expect(await nameOwner(name)).toEqual({ pid: process.pid, purpose: 'flash' });
  await said?.release();
});

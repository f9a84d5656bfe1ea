// Ended lives of a machine keep no memory.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { type RunningProgram, SimulatedMachine } from '../../src/sim/machine.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const FOREVER: RunningProgram = { stopped: new Promise(() => {}) };

describe('a machine', () => {
  it('leaves nothing behind: ten thousand lives need no more memory than one', async () => {
    const clock = new VirtualClock();
    const wire = new SimulatedWire({ clock });
    const disk = new SimulatedDisk();
    const lives: WeakRef<object>[] = [];
    const machine = new SimulatedMachine({
      ...{ name: 'ECU', clock, disk, random: seededRandom(1) },
      program: async (life) => {
        const ballast = { bytes: new Uint8Array(10_000) };
        lives.push(new WeakRef(ballast));
        const bus = life.bus(wire.attach('ECU'));
        bus.subscribe([], () => ballast.bytes.fill(1));
        life.clock.after('trial', 600_000, () => ballast.bytes.fill(2));
        void life.storage.replace('a', ballast.bytes.subarray(0, 8)).then(() => {
          void life.storage.read('a').then(() => ballast.bytes.fill(3));
        });
        return FOREVER;
      },
    });
    for (let life = 0; life < 10_000; life++) {
      await machine.boot();
      machine.cut();
      if (life % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(machine.lives).toBe(10_000);
    expect(clock.pendingCount).toBe(0);
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(lives.filter((life) => life.deref() !== undefined).length).toBeLessThan(10);
  });
});

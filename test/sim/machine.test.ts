// A power cut ends everything of a life: no timer, frame, answer, log or memory remains.

import { setFlagsFromString } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { classicFrame } from '../../src/bus/can-frame.ts';
import { asciiBytes } from '../../src/core/bytes.ts';
import { sleep } from '../../src/core/clock.ts';
import type { HttpResponse } from '../../src/link/http-transport.ts';
import {
  type MachineEvent,
  type Program,
  type RunningProgram,
  SimulatedMachine,
} from '../../src/sim/machine.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

setFlagsFromString('--expose-gc');

const FOREVER: RunningProgram = { stopped: new Promise(() => {}) };

function machineOf(program: Program) {
  const clock = new VirtualClock();
  const disk = new SimulatedDisk();
  const events: MachineEvent[] = [];
  const machine = new SimulatedMachine({
    ...{ name: 'ECU', clock, disk, program, random: seededRandom(1) },
    onEvent: (event) => events.push(event),
  });
  return { clock, disk, events, machine };
}

describe('a machine', () => {
  it('runs its program, and another life of it after a cut', async () => {
    const ticks: string[] = [];
    const { clock, machine, events } = machineOf(async (life) => {
      const tick = (): void => {
        ticks.push(`${life.number} at ${life.clock.nowMs()}`);
        life.clock.after('tick', 10, tick);
      };
      life.clock.after('tick', 10, tick);
      return FOREVER;
    });
    await machine.boot();
    await clock.advance(25);
    machine.cut();
    await clock.advance(25);
    expect(machine.alive).toBe(false);
    await machine.boot();
    await machine.boot(); // it is on
    await clock.advance(15);
    expect(ticks).toEqual(['1 at 10', '1 at 20', '2 at 60']);
    expect(clock.pending()).toEqual(['tick']);
    expect(events.map(({ kind, life }) => `${kind} ${life}`)).toEqual([
      'power-on 1',
      'power-cut 1',
      'power-on 2',
    ]);
  });

  it('hears and says nothing any more', async () => {
    const clock = new VirtualClock();
    const wire = new SimulatedWire({ clock, bitrate: 500_000 });
    const heard: string[] = [];
    const outcomes: string[] = [];
    const disk = new SimulatedDisk();
    let ghost: (() => void) | undefined;
    const machine = new SimulatedMachine({
      ...{ name: 'ECU', clock, disk, random: seededRandom(1) },
      program: async (life) => {
        const bus = life.bus(wire.attach('ECU'));
        bus.subscribe([], ({ frame }) => heard.push(`${life.number} hears ${frame.id}`));
        bus.onState(({ state }) => heard.push(state));
        ghost ??= () => {
          bus.send(classicFrame(3, asciiBytes('ghost')), ({ kind }) => outcomes.push(kind));
          bus.subscribe([], () => heard.push('a ghost hears'));
        };
        bus.send(classicFrame(1, asciiBytes('first')), ({ kind }) => outcomes.push(kind));
        bus.send(classicFrame(2, asciiBytes('second')), ({ kind }) => outcomes.push(kind));
        return FOREVER;
      },
    });
    const other = wire.attach('other');
    const seen: number[] = [];
    other.subscribe([], ({ frame }) => seen.push(frame.id));
    await machine.boot();
    await clock.advance(0.25); // in the middle of the second frame
    machine.cut();
    ghost!();
    other.send(classicFrame(9, asciiBytes('anybody')));
    await clock.advance(10);
    expect(seen).toEqual([1]);
    expect(outcomes).toEqual(['sent']);
    expect(heard).toEqual([]);
    await machine.boot();
    await clock.advance(10);
    other.send(classicFrame(9, asciiBytes('anybody')));
    await clock.advance(10);
    expect(heard).toEqual(['2 hears 9']);
    expect(seen).toEqual([1, 1, 2]);
  });

  it('never gets to know how it ends', async () => {
    const told: string[] = [];
    let answer: ((response: HttpResponse) => void) | undefined;
    let refuse: ((error: Error) => void) | undefined;
    let ghost: (() => void) | undefined;
    const { clock, machine, disk } = machineOf(async (life) => {
      const network = life.network({
        open: ({ method }) =>
          new Promise((resolve, reject) => {
            if (method === 'GET') answer = resolve;
            else refuse = reject;
          }),
      });
      const url = new URL('http://there/');
      const tell = (what: string) => () => void told.push(what);
      for (const method of ['GET', 'POST'] as const) {
        network.open({ method, url, headers: {} }).then(tell('an answer'), tell('an error'));
      }
      void sleep(life.clock, 'nap', 1000).then(tell('woke up'));
      void (async () => {
        for (;;) {
          await life.storage.replace('a', life.random.bytes(4));
          await sleep(life.clock, 'write', 1);
        }
      })().catch(tell('the disk failed'));
      life.onEnd(tell('ended'));
      ghost = () => {
        life.clock.after('ghost', 1, tell('a ghost'));
        life.onEnd(tell('ended again'));
      };
      return FOREVER;
    });
    await machine.boot();
    await clock.advance(5.5);
    const { operations } = disk;
    expect(operations).toBe(6);
    machine.cut();
    answer!({ status: 200, headers: {}, body: (async function* () {})(), destroy: () => {} });
    refuse!(new Error('nobody is there'));
    ghost!();
    await clock.advance(5000);
    expect(told).toEqual(['ended', 'ended again']);
    expect(disk.operations).toBe(operations);
  });

  it('stops reading in the middle of an answer', async () => {
    const read: string[] = [];
    const { clock, machine } = machineOf(async (life) => {
      const network = life.network({
        open: async () => ({
          status: 200,
          headers: {},
          destroy: () => {},
          body: (async function* () {
            for (;;) {
              await sleep(clock, 'wire', 10);
              yield asciiBytes('x');
            }
          })(),
        }),
      });
      void (async () => {
        const url = new URL('http://there/');
        const { body } = await network.open({ method: 'GET', url, headers: {} });
        for await (const _chunk of body) read.push(`at ${life.clock.nowMs()}`);
        read.push('the end');
      })();
      return FOREVER;
    });
    await machine.boot();
    await clock.advance(25);
    machine.cut();
    await clock.advance(100);
    expect(read).toEqual(['at 10', 'at 20']);
  });

  it('is cut by an operation of its own disk, in the middle of it', async () => {
    const done: string[] = [];
    const { clock, machine, disk } = machineOf(async ({ storage }) => {
      await storage.replace('a', asciiBytes('1'));
      done.push('a');
      await storage.replace('b', asciiBytes('2'));
      done.push('b');
      return FOREVER;
    });
    disk.onOperation = (n, _operation, moment) => {
      if (n === 2 && moment === 'before') machine.cut();
    };
    await machine.boot(); // resolves although the program never started
    await clock.advance(1);
    expect(done).toEqual(['a']);
    expect([...disk.files().keys()]).toEqual(['a']);
    expect(machine.alive).toBe(false);
  });

  it('tells when its program throws or ends', async () => {
    const thrown = machineOf(async () => {
      throw new RangeError('no bank');
    });
    await thrown.machine.boot();
    expect(thrown.events.at(-1)).toEqual({
      kind: 'program-ended',
      life: 1,
      reason: 'RangeError: no bank',
    });
    const ended = machineOf(async ({ clock }) => ({
      stopped: sleep(clock, 'work', 50).then(() => 'failed'),
    }));
    await ended.machine.boot();
    expect(ended.machine.alive).toBe(true);
    await ended.clock.advance(60);
    expect(ended.machine.alive).toBe(false);
    expect(ended.events.at(-1)).toEqual({ kind: 'program-ended', life: 1, reason: 'failed' });
  });

  it('that is killed keeps what it has written; one that is cut may not', async () => {
    const { machine, disk } = machineOf(async ({ storage }) => {
      await (await storage.open('a')).write(0, asciiBytes('unsynced'));
      return FOREVER;
    });
    await machine.boot();
    machine.kill();
    expect(disk.contents('a')).toEqual(asciiBytes('unsynced'));
    await machine.boot();
    for (let cut = 0; cut < 20; cut++) {
      machine.cut();
      if (disk.contents('a') === undefined || disk.contents('a')!.length < 8) return;
      await machine.boot();
    }
    throw new Error('twenty cuts, and nothing was ever lost');
  });

  it('has other random numbers in each life, the same in each world', async () => {
    const draw = async (): Promise<string[]> => {
      const drawn: string[] = [];
      const { machine } = machineOf(async ({ random }) => {
        drawn.push(random.bytes(8).toString());
        return FOREVER;
      });
      for (let life = 0; life < 3; life++) {
        await machine.boot();
        machine.cut();
      }
      return drawn;
    };
    const first = await draw();
    expect(new Set(first).size).toBe(3);
    expect(await draw()).toEqual(first);
  });
});

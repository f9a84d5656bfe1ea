// Commands from the backend to the ECUs: each exactly once, in their order, whatever link, clock and ECU do.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_COMMANDS } from '../../src/services/sync.ts';
import { AWAY, type LinkFault, type RunFault, ServicesWorld } from './services-support.ts';

describe('a command', () => {
  it('is delivered, executed and completed, and the operator hears of it soon', async () => {
    const w = new ServicesWorld();
    w.backend.order('a', { action: 'setPowerLimit', arguments: { power: 60 } });
    await w.live(3000);
    expect(w.ecus.runs.get('a')).toBe(1);
    expect(w.statesOf('a')).toEqual(['delivered', 'executing', 'completed']);
    expect(w.backend.finalOf('a')).toMatchObject({
      state: 'completed',
      runs: 1,
      result: 'setPowerLimit done',
    });
    // Long before the next regular contact.
    expect(w.backend.stateOf('a')).toBe('completed');
  });

  it('runs in the order of priority, then of coming; one at a time on each ECU', async () => {
    const w = new ServicesWorld();
    for (const id of ['a', 'b']) w.backend.order(id);
    w.backend.order('urgent', { priority: 9 });
    w.backend.order('idle', { priority: 0 });
    w.backend.order('other', { ecu: 'EDT', action: 'dim', priority: 0 });
    w.ecus.runMs = 500;
    await w.live(5000);
    expect(w.ecus.order.filter((id) => id !== 'other')).toEqual(['urgent', 'a', 'b', 'idle']);
    // The other ECU did not wait for this one.
    expect(w.ecus.order.indexOf('other')).toBeLessThan(2);
  });

  it('is never begun twice, however often it is ordered', async () => {
    const w = new ServicesWorld();
    const order = w.backend.order('a');
    w.backend.spoil = (answer) => ({
      ...answer,
      commands: { ...answer.commands, orders: [order, order] },
    });
    await w.live(60_000);
    await w.live(60_000);
    expect(w.ecus.runs.get('a')).toBe(1);
  });

  it('that the ECU refuses has failed, with what the ECU said', async () => {
    const w = new ServicesWorld();
    w.backend.order('a');
    w.ecus.runFaults = [{ nrc: 0x22 }];
    await w.live(3000);
    const failed = { state: 'failed', code: 'REFUSED', nrc: 0x22, runs: 0 };
    expect(w.backend.finalOf('a')).toMatchObject(failed);
  });

  it.each([
    ['UNKNOWN_ECU', { ecu: 'BMS' }],
    ['UNKNOWN_ACTION', { action: 'explode' }],
    ['BAD_ARGUMENT', { arguments: { power: 1 } }],
    ['BAD_ARGUMENT', { action: 'blink', arguments: { colour: 'x'.repeat(5000) } }],
  ])('that this vehicle does not know has failed: %s', async (code, change) => {
    const w = new ServicesWorld();
    const ordered = w.backend.order('a', change as never);
    // As one that a backend of another version would send.
    w.backend.spoil = (answer) => ({
      ...answer,
      commands: { ...answer.commands, orders: [ordered] },
    });
    w.backend.wishes.delete('a');
    await w.live(3000);
    expect(w.backend.finalOf('a')).toMatchObject({ state: 'failed', code, runs: 0 });
    expect(w.ecus.runs.size).toBe(0);
  });

  it('beyond a limit of the configuration has failed', async () => {
    const w = new ServicesWorld();
    w.backend.want({ limits: { INV: { 'setPowerLimit.power': { min: 10, max: 60 } } } });
    for (const [id, power] of [
      ['low', 9.9],
      ['high', 60.1],
      ['least', 10],
      ['most', 60],
    ] as const) {
      w.backend.order(id, { action: 'setPowerLimit', arguments: { power } });
    }
    await w.live(5000);
    expect(w.backend.finalOf('low')).toMatchObject({ code: 'LIMIT', runs: 0 });
    expect(w.backend.finalOf('high')).toMatchObject({ code: 'LIMIT', runs: 0 });
    expect(w.ecus.order.toSorted()).toEqual(['least', 'most']);
  });

  it('that is cancelled before it begins never runs; afterwards it completes', async () => {
    const w = new ServicesWorld();
    w.ecus.runMs = 30_000;
    w.backend.order('running');
    w.backend.order('waiting');
    w.ecus.onRun = () => {
      for (const wish of w.backend.wishes.values()) wish.cancel = true;
    };
    await w.live(60_000);
    expect(w.backend.finalOf('running')).toMatchObject({ state: 'completed', runs: 1 });
    expect(w.backend.finalOf('waiting')).toMatchObject({ state: 'cancelled', runs: 0 });
    expect(w.ecus.runs.has('waiting')).toBe(false);
  });

  it('whose cancellation comes again and again is cancelled once', async () => {
    const w = new ServicesWorld();
    w.backend.order('a');
    w.ecus.probeFaults = [{ kind: 'failed', code: 'SILENT', reason: 'asleep' }];
    w.backend.spoil = (answer) => ({ ...answer, commands: { ...answer.commands, cancel: ['a'] } });
    await w.live(60_000);
    expect(w.statesOf('a').filter((state) => state === 'cancelled')).toHaveLength(1);
    expect(w.ecus.runs.size).toBe(0);
  });
});

describe('expiry', () => {
  it.each([
    ['years behind', 10 * 365 * 86_400_000],
    ['years ahead', -10 * 365 * 86_400_000],
  ])(
    'is judged by the time of the backend: the clock of the vehicle is %s',
    async (_name, aheadMs) => {
      const w = new ServicesWorld();
      w.backend.aheadMs = aheadMs;
      w.backend.order('good', { inMs: 60_000 });
      w.backend.order('late', { inMs: -1 });
      await w.live(3000);
      expect(w.backend.finalOf('good')?.state).toBe('completed');
      expect(w.backend.finalOf('late')).toMatchObject({ state: 'expired', runs: 0 });
    },
  );

  it('goes on without the backend', async () => {
    const w = new ServicesWorld();
    w.ecus.runMs = 30_000;
    w.backend.order('first');
    w.backend.order('second', { inMs: 20_000 });
    const services = await w.open();
    const abort = new AbortController();
    const running = services.run(abort.signal);
    await w.clock.advance(1000);
    w.backend.away = true;
    await w.clock.advance(60_000);
    w.backend.away = false;
    await w.clock.advance(600_000);
    abort.abort();
    await w.clock.within(1000, running);
    expect(w.backend.finalOf('second')).toMatchObject({ state: 'expired', runs: 0 });
    expect(w.ecus.runs.has('second')).toBe(false);
  });

  it('of an answer that was slow counts from the request: nothing begins too late', async () => {
    const w = new ServicesWorld();
    w.backend.latencyMs = 8000;
    w.backend.order('a', { inMs: 8500 });
    w.backend.order('b', { inMs: 30_000, ecu: 'EDT', action: 'dim' });
    await w.live(60_000);
    expect(w.backend.finalOf('a')?.state).toBe('expired');
    expect(w.backend.finalOf('b')?.state).toBe('completed');
  });

  it('is looked at again after the probe', async () => {
    const w = new ServicesWorld();
    w.backend.order('a', { inMs: 100 });
    w.ecus.probe = async () => {
      await new Promise<void>((resolve) => {
        w.clock.after('slow probe', 5000, resolve);
      });
      return { kind: 'mark', mark: '0' };
    };
    await w.live(20_000);
    expect(w.backend.finalOf('a')?.state).toBe('expired');
    expect(w.ecus.runs.size).toBe(0);
  });

  it('is unknown after a restart until the backend answers: nothing begins before that', async () => {
    const w = new ServicesWorld();
    w.backend.order('a', { inMs: 60_000 });
    w.ecus.probeFaults = [{ kind: 'failed', code: 'SILENT', reason: 'asleep' }];
    await w.live(1000);
    expect(w.backend.stateOf('a')).toBe('delivered');
    w.backend.away = true;
    await w.live(30_000);
    expect(w.ecus.runs.size).toBe(0);
    w.backend.away = false;
    await w.live(1000);
    expect(w.backend.finalOf('a')?.state).toBe('completed');
  });
});

describe('an ECU that does not answer', () => {
  it('is tried three times, with pauses', async () => {
    const w = new ServicesWorld();
    w.backend.order('a');
    w.ecus.runFaults = ['not begun', 'not begun', 'not begun', 'not begun'];
    await w.live(60_000);
    expect(w.backend.finalOf('a')).toMatchObject({ state: 'failed', code: 'SILENT', runs: 0 });
    expect(w.ecus.runFaults).toHaveLength(1);
  });

  it('that wakes up in time does it', async () => {
    const w = new ServicesWorld();
    w.backend.order('a');
    w.ecus.probeFaults = [{ kind: 'failed', code: 'SILENT', reason: 'asleep' }];
    w.ecus.runFaults = ['not begun'];
    await w.live(60_000);
    expect(w.backend.finalOf('a')).toMatchObject({ state: 'completed', runs: 1 });
    expect(w.ecus.runs.get('a')).toBe(1);
  });

  it('does not keep a more urgent command waiting behind the one that is tried again', async () => {
    const w = new ServicesWorld();
    w.backend.order('a');
    w.ecus.runFaults = ['not begun'];
    const services = await w.open({ syncIntervalMs: 1000 });
    const abort = new AbortController();
    const running = services.run(abort.signal);
    await w.clock.advance(500);
    w.backend.order('urgent', { priority: 9 });
    await w.clock.advance(30_000);
    abort.abort();
    await w.clock.within(1000, running);
    expect(w.ecus.order).toEqual(['urgent', 'a']);
  });
});

describe('an answer that was lost', () => {
  it.each(['lost after', 'throws after'] as const)(
    'by an ECU that did it (%s): completed, once',
    async (fault) => {
      const w = new ServicesWorld();
      w.backend.order('a');
      w.ecus.runFaults = [fault];
      w.ecus.unknowns = 3;
      await w.live(60_000);
      expect(w.backend.finalOf('a')).toMatchObject({ state: 'completed', runs: 1 });
      expect(w.ecus.runs.get('a')).toBe(1);
    },
  );

  it('by an ECU that did not do it: it is run now, once', async () => {
    const w = new ServicesWorld();
    w.backend.order('a');
    w.ecus.runFaults = ['lost before'];
    await w.live(60_000);
    expect(w.backend.finalOf('a')).toMatchObject({ state: 'completed', runs: 1 });
    expect(w.ecus.runs.get('a')).toBe(1);
  });

  it('by an ECU that never says whether: in doubt, and never run again', async () => {
    const w = new ServicesWorld();
    w.backend.order('a');
    w.backend.order('next');
    w.ecus.runFaults = ['lost after'];
    w.ecus.unknowns = 10;
    await w.live(600_000);
    expect(w.backend.finalOf('a')).toMatchObject({ state: 'failed', code: 'IN_DOUBT', runs: 1 });
    expect(w.ecus.runs.get('a')).toBe(1);
    // What comes next is asked about by its own mark.
    expect(w.ecus.order).toEqual(['a', 'next']);
  });

  it.each(['lost before', 'lost after'] as const)(
    'of a command without a trace (%s): in doubt at once, and never run again',
    async (fault) => {
      const w = new ServicesWorld();
      w.backend.order('a', { action: 'blink', arguments: { colour: 'red' } });
      w.ecus.runFaults = [fault];
      await w.live(60_000);
      expect(w.backend.finalOf('a')).toMatchObject({ state: 'failed', code: 'IN_DOUBT', runs: 1 });
      expect(w.ecus.runs.get('a') ?? 0).toBe(fault === 'lost after' ? 1 : 0);
    },
  );
});

describe('what is remembered', () => {
  it('is bounded: more stay with the backend, and all are done in the end', async () => {
    const w = new ServicesWorld();
    for (let n = 0; n < 100; n++) w.backend.order(`c${n}`, { inMs: 20_000_000 });
    await w.live(300_000);
    expect(w.ecus.runs.size).toBe(100);
    expect(Math.max(...w.ecus.runs.values())).toBe(1);
    expect(
      w.backend.syncs.every(({ request }) => request.commands.reports.length <= MAX_COMMANDS),
    ).toBe(true);
  });

  it('is forgotten behind its expiry only: what is ordered again then has expired', async () => {
    const w = new ServicesWorld();
    const commandLimits = { open: 16, kept: 40 };
    const orders = Array.from({ length: 60 }, (_, n) =>
      w.backend.order(`c${n}`, { inMs: 700_000 }),
    );
    await w.live(690_000, { commandLimits });
    // No room for all of them before the first can be forgotten.
    expect(w.ecus.runs.size).toBe(40);
    w.backend.spoil = (answer) => ({
      ...answer,
      // One that is new makes room for itself.
      commands: { ...answer.commands, orders: [orders[59]!, ...orders.slice(0, 15)] },
    });
    await w.live(3 * 86_400_000, { commandLimits, syncIntervalMs: 600_000 });
    expect(Math.max(...w.ecus.runs.values())).toBe(1);
    expect(w.backend.finalOf('c0')?.state).toBe('completed');
    expect(w.statesOf('c0').at(-1)).toBe('expired');
  });

  it('is found in the journal, with damage in it: nothing runs a second time', async () => {
    const w = new ServicesWorld();
    w.backend.order('a');
    w.backend.order('b');
    w.ecus.probeFaults = Array.from(
      { length: 9 },
      () => ({ kind: 'failed', code: 'SILENT', reason: 'asleep' }) as const,
    );
    await w.live(1000);
    w.storage.corrupt('commands.journal', 30);
    const damaged = w.storage.contents('commands.journal')!;
    w.ecus.probeFaults = [];
    await w.live(60_000);
    expect(w.ecus.runs.size).toBe(0);
    expect(w.backend.finalOf('b')).toMatchObject({ code: 'IN_DOUBT' });
    // Kept as it was found, for whoever wants to know what happened.
    expect(w.storage.contents('commands.damaged.journal')).toEqual(damaged);
  });
});

describe('whatever the link and the ECU do', () => {
  it('every command runs at most once, and exactly once where it is not in doubt', async () => {
    const link = fc.constantFrom<LinkFault>('away', 'lost', { ...AWAY, code: 'HTTP_503' });
    const ecu = fc.constantFrom<RunFault>(
      'lost before',
      'lost after',
      'not begun',
      'throws after',
      { nrc: 0x31 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(link, { freq: 2 }), { maxLength: 12 }),
        fc.array(fc.option(ecu, { freq: 1 }), { maxLength: 6 }),
        fc.array(fc.record({ priority: fc.nat(9), blind: fc.boolean(), cancel: fc.boolean() }), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.array(fc.nat(20_000), { maxLength: 3 }),
        fc.nat(4),
        async (links, faults, commands, lives, unknowns) => {
          const w = new ServicesWorld();
          w.backend.syncFaults = links.map((fault) => fault ?? undefined!);
          w.ecus.runFaults = faults.map((fault) => fault ?? undefined!);
          w.ecus.unknowns = unknowns;
          commands.forEach(({ priority, blind, cancel }, n) => {
            const change = blind ? { action: 'blink', arguments: { colour: 'red' } } : {};
            w.backend.order(`c${n}`, { priority, inMs: 7_200_000, ...change });
            w.backend.wishes.get(`c${n}`)!.cancel = cancel && n > 2;
          });
          for (const ms of lives) await w.live(ms);
          await w.live(3_600_000);
          for (const [id, { cancel, state }] of w.backend.wishes) {
            const runs = w.ecus.runs.get(id) ?? 0;
            expect(runs).toBeLessThanOrEqual(1);
            if (cancel && state === 'pending') continue;
            const final = w.backend.finalOf(id);
            if (final?.code === 'IN_DOUBT') continue;
            expect([id, final?.state, final?.runs]).toEqual([id, final?.state ?? 'none', runs]);
            expect(final?.state === 'completed').toBe(runs === 1);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

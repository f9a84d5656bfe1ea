// Commands from the backend to the ECUs: each exactly once, in their order, with every fault of link, clock and ECU.

import { describe, expect, it } from 'vitest';
import { ServicesWorld } from './remote-support.ts';

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
    // As a backend of another version would send it.
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
    // The next command is asked about by its own mark.
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
    // Kept unchanged for a later analysis.
    expect(w.storage.contents('commands.damaged.journal')).toEqual(damaged);
  });
});

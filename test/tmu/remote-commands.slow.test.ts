// Commands from the backend to the ECUs: large numbers of them, with every fault of the link.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_COMMANDS } from '../../src/contract/sync.ts';
import { AWAY, type LinkFault, type RunFault, ServicesWorld } from './remote-support.ts';

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
    // There is no room for all of them before the first can be forgotten.
    expect(w.ecus.runs.size).toBe(40);
    w.backend.spoil = (answer) => ({
      ...answer,
      // A new command makes room for itself.
      commands: { ...answer.commands, orders: [orders[59]!, ...orders.slice(0, 15)] },
    });
    await w.live(3 * 86_400_000, { commandLimits, syncIntervalMs: 600_000 });
    expect(Math.max(...w.ecus.runs.values())).toBe(1);
    expect(w.backend.finalOf('c0')?.state).toBe('completed');
    expect(w.statesOf('c0').at(-1)).toBe('expired');
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

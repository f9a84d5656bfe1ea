// Commands at the backend: hundreds of them, and reports in any order.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isStepForward } from '../../server/features/commands/rows.ts';
import { type CommandReport, type CommandState, isFinal } from '../../src/contract/command.ts';
import {
  ACTOR,
  order,
  reportOf,
  type Stores,
  startVehicle,
  sync,
  VIN,
} from './services-support.ts';

async function stateOf({ commands }: Stores, id: string): Promise<CommandState | undefined> {
  return (await commands.find(VIN, id))?.state;
}

describe('an order', () => {
  it('is forgotten when five hundred newer ones are over, and not while it is open', async () => {
    const vehicle = await startVehicle();
    const open = await order(vehicle);
    await sync(vehicle);
    await sync(vehicle, { reports: [reportOf(open, 'delivered')] });
    const old = await order(vehicle, { priority: 1 });
    await vehicle.commands.cancel(VIN, old, ACTOR);
    for (let number = 0; number < 501; number++) {
      await vehicle.commands.cancel(VIN, await order(vehicle), ACTOR);
    }
    await order(vehicle);
    expect(await vehicle.commands.find(VIN, old)).toBeUndefined();
    expect(await stateOf(vehicle, open)).toBe('delivered');
    // Its report comes late, counts for nothing, and is not told for ever.
    const { commands } = await sync(vehicle, { reports: [reportOf(old, 'completed')] });
    expect(commands.acknowledged).toEqual([old]);
  });
});

describe('reports', () => {
  it('in any order and however often never take a command back', async () => {
    const life: fc.Arbitrary<readonly CommandReport[]> = fc
      .constantFrom<CommandState>('completed', 'failed', 'expired', 'cancelled')
      .map((end) => [
        reportOf('', 'delivered'),
        reportOf('', 'executing'),
        reportOf('', end, { runs: end === 'completed' ? 1 : 0, reason: `it is ${end}` }),
      ]);
    // Every report of a life (and of other lives) any number of times, in any order, some contacts empty.
    const contacts = fc
      .array(life, { minLength: 1, maxLength: 3 })
      .chain((lives) =>
        fc.array(fc.array(fc.constantFrom(...lives.flat()), { maxLength: 5 }), { maxLength: 8 }),
      );
    const vehicle = await startVehicle();
    await fc.assert(
      fc.asyncProperty(contacts, async (all) => {
        const id = await order(vehicle);
        await sync(vehicle);
        let before: CommandState = 'pending';
        let first: CommandReport | undefined;
        for (const reports of all) {
          await sync(vehicle, { reports: reports.map((report) => ({ ...report, id })) });
          first ??= reports.find(({ state }) => isFinal(state));
          const now = await vehicle.commands.find(VIN, id);
          expect(now!.state === before || isStepForward(before, now!.state)).toBe(true);
          before = now!.state;
          if (first !== undefined) {
            expect(now).toMatchObject({ state: first.state, reason: first.reason });
            expect(now!.runs).toBe(first.runs);
          }
        }
        await sync(vehicle, { reports: [{ ...reportOf(id, 'cancelled') }] });
        expect(isFinal((await stateOf(vehicle, id))!)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

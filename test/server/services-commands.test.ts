// Commands at the backend: which are taken, in which order they leave, how often, and what reports may change.

import { describe, expect, it } from 'vitest';
import { isStepForward } from '../../server/features/commands/rows.ts';
import { COMMAND_STATES, type CommandState, isFinal } from '../../src/contract/command.ts';
import { MAX_COMMANDS } from '../../src/contract/sync.ts';
import {
  ACTOR,
  CATALOGUE,
  order,
  reportOf,
  request,
  type Stores,
  startVehicle,
  sync,
  VIN,
} from './services-support.ts';

const HOUR_MS = 3600_000;

async function stateOf({ commands }: Stores, id: string): Promise<CommandState | undefined> {
  return (await commands.find(VIN, id))?.state;
}

async function audited({ audit }: Stores, text: string): Promise<string[]> {
  const entries = await audit.list({ limit: 50, text });
  return entries.map(({ action, who, detail }) => `${action} ${who} ${detail}`);
}

describe('an order', () => {
  it('goes through its states as the vehicle tells, with a time for each', async () => {
    const vehicle = await startVehicle();
    const id = await order(vehicle);
    expect(await vehicle.commands.find(VIN, id)).toMatchObject({
      ...{ state: 'pending', createdBy: 'anna', arguments: { power: 60 }, runs: 0 },
      handedOutAt: undefined,
    });
    const first = await sync(vehicle);
    expect(first.commands.orders).toEqual([
      {
        ...{ id, ecu: 'INV', action: 'setPowerLimit', arguments: { power: 60 }, priority: 5 },
        expiresAt: new Date(vehicle.clock.wallMs() + HOUR_MS).toISOString(),
      },
    ]);
    // Until the vehicle has said that it has it, it goes out again.
    expect((await sync(vehicle)).commands.orders).toHaveLength(1);
    const delivered = await sync(vehicle, { reports: [reportOf(id, 'delivered')] });
    expect(delivered.commands).toMatchObject({ orders: [], acknowledged: [id] });
    await sync(vehicle, { reports: [reportOf(id, 'executing')] });
    expect(await stateOf(vehicle, id)).toBe('executing');
    const result = { runs: 1, result: 'powerLimit 60 kW', at: '2026-02-01T00:00:00Z' };
    await sync(vehicle, { reports: [reportOf(id, 'completed', result)] });
    const command = await vehicle.commands.find(VIN, id);
    expect(command).toMatchObject({
      ...{ state: 'completed', runs: 1, result: 'powerLimit 60 kW' },
      vehicleAt: '2026-02-01T00:00:00Z',
    });
    for (const at of ['handedOutAt', 'deliveredAt', 'executingAt', 'endedAt'] as const) {
      expect(command?.[at], at).toMatch(/^\d{4}-/);
    }
    expect(await audited(vehicle, 'command.')).toEqual([
      `command.reported ${VIN} ${id}, INV setPowerLimit: completed, powerLimit 60 kW`,
      expect.stringContaining(`command.ordered anna ${VIN}, ${id}: INV setPowerLimit {"power":60}`),
    ]);
  });

  it('is checked against what the vehicle said that it can do', async () => {
    const vehicle = await startVehicle();
    const refused = async (more: Partial<ReturnType<typeof request>>) => {
      const result = await vehicle.commands.order(VIN, request(more), ACTOR);
      return result.kind === 'refused' ? result.refusal.code : result.kind;
    };
    expect(await refused({ ecu: 'ABS' })).toBe('UNKNOWN_ECU');
    expect(await refused({ action: 'constructor' })).toBe('UNKNOWN_ACTION');
    expect(await refused({ arguments: { power: 121 } })).toBe('BAD_ARGUMENT');
    expect(await refused({ arguments: {} })).toBe('BAD_ARGUMENT');
    const other = await vehicle.commands.order('VIN2', request(), ACTOR);
    expect(other.kind).toBe('no-catalogue');
    expect(await vehicle.commands.list(VIN, { limit: 10 })).toEqual([]);
  });

  it('under a key is one, however often it is asked for; another one under it is refused', async () => {
    const vehicle = await startVehicle();
    const key = 'my-key-01';
    const id = await order(vehicle, { key });
    await vehicle.clock.advance(1000);
    const again = await vehicle.commands.order(VIN, request({ key }), ACTOR);
    expect(again).toMatchObject({ kind: 'known', command: { id } });
    for (const other of [{ arguments: { power: 61 } }, { priority: 6 }, { action: 'calibrate' }]) {
      const result = await vehicle.commands.order(VIN, request({ key, ...other }), ACTOR);
      expect(result).toMatchObject({ kind: 'key-reused', command: { id } });
    }
    // Also when it is over, its expiry has passed, and the vehicle has forgotten the action.
    await vehicle.clock.advance(2 * HOUR_MS);
    await sync(vehicle, { catalogue: {}, digest: 'b'.repeat(64) });
    const late = await vehicle.commands.order(VIN, request({ key }), ACTOR);
    expect(late).toMatchObject({ kind: 'known', command: { id, state: 'expired' } });
    await sync(vehicle, { vin: 'VIN2', catalogue: CATALOGUE });
    expect((await vehicle.commands.order('VIN2', request({ key }), ACTOR)).kind).toBe('ordered');
  });

  it('expires between one second and thirty days from now', async () => {
    const vehicle = await startVehicle();
    const at = (ms: number) => new Date(vehicle.clock.wallMs() + ms).toISOString();
    const kind = async (expiresAt: string) =>
      (await vehicle.commands.order(VIN, request({ expiresAt }), ACTOR)).kind;
    expect(await kind(at(0))).toBe('expiry');
    expect(await kind(at(1000))).toBe('ordered');
    expect(await kind(at(30 * 24 * HOUR_MS))).toBe('ordered');
    expect(await kind(at(30 * 24 * HOUR_MS + 1))).toBe('expiry');
  });

  it('leaves by priority, then by age, sixteen at a time', async () => {
    const vehicle = await startVehicle();
    const ids: string[] = [];
    for (let number = 0; number < 18; number++) {
      ids.push(await order(vehicle, { priority: number === 17 ? 9 : 5 }));
    }
    const expected = [ids[17], ...ids.slice(0, MAX_COMMANDS - 1)];
    const first = await sync(vehicle);
    expect(first.commands.orders.map(({ id }) => id)).toEqual(expected);
    const reports = first.commands.orders.map(({ id }) => reportOf(id, 'delivered'));
    const second = await sync(vehicle, { reports });
    expect(second.commands.orders.map(({ id }) => id)).toEqual(ids.slice(15, 17));
  });

  it('is refused when a hundred are not over yet; what was never heard of again does not count', async () => {
    const vehicle = await startVehicle();
    for (let number = 0; number < 100; number++) await order(vehicle);
    expect((await vehicle.commands.order(VIN, request(), ACTOR)).kind).toBe('too-many');
    for (let round = 0; round < 7; round++) {
      const { orders } = (await sync(vehicle)).commands;
      await sync(vehicle, { reports: orders.map(({ id }) => reportOf(id, 'delivered')) });
    }
    await vehicle.clock.advance(2 * HOUR_MS);
    expect((await vehicle.commands.order(VIN, request(), ACTOR)).kind).toBe('too-many');
    await vehicle.clock.advance(31 * 24 * HOUR_MS);
    expect((await vehicle.commands.order(VIN, request(), ACTOR)).kind).toBe('ordered');
  });
});

describe('expiry', () => {
  it('ends what never left, as soon as somebody looks', async () => {
    const vehicle = await startVehicle();
    const id = await order(vehicle);
    await vehicle.clock.advance(HOUR_MS - 1);
    expect(await stateOf(vehicle, id)).toBe('pending');
    await vehicle.clock.advance(1);
    expect(await vehicle.commands.find(VIN, id)).toMatchObject({
      ...{ state: 'expired', code: 'EXPIRED' },
    });
    expect((await sync(vehicle)).commands.orders).toEqual([]);
  });

  it('of what has left is told by the vehicle, or by the contact that shows that it never arrived', async () => {
    const vehicle = await startVehicle();
    const arrived = await order(vehicle);
    const lost = await order(vehicle);
    await sync(vehicle);
    await vehicle.clock.advance(2 * HOUR_MS);
    // It may have been done: the vehicle was not heard since.
    expect(await stateOf(vehicle, arrived)).toBe('pending');
    const full = Array.from({ length: MAX_COMMANDS }, () => reportOf('forgotten', 'completed'));
    const answer = await sync(vehicle, { reports: full });
    expect(answer.commands).toMatchObject({ orders: [], acknowledged: ['forgotten'] });
    expect(await stateOf(vehicle, lost)).toBe('pending'); // the vehicle may have more to tell
    await sync(vehicle, { reports: [reportOf(arrived, 'completed', { runs: 1 })] });
    expect(await stateOf(vehicle, arrived)).toBe('completed');
    expect(await vehicle.commands.find(VIN, lost)).toMatchObject({
      ...{ state: 'expired', reason: 'it never reached the vehicle' },
    });
  });

  it('of what the vehicle has is for the vehicle to tell', async () => {
    const vehicle = await startVehicle();
    const id = await order(vehicle);
    await sync(vehicle);
    await sync(vehicle, { reports: [reportOf(id, 'delivered')] });
    await vehicle.clock.advance(2 * HOUR_MS);
    await sync(vehicle);
    expect(await stateOf(vehicle, id)).toBe('delivered');
    await sync(vehicle, { reports: [reportOf(id, 'expired')] });
    expect(await stateOf(vehicle, id)).toBe('expired');
  });
});

describe('cancelling', () => {
  it('is done at once while the command is here, and once', async () => {
    const vehicle = await startVehicle();
    const id = await order(vehicle);
    const result = await vehicle.commands.cancel(VIN, id, ACTOR);
    expect(result).toMatchObject({
      ...{ kind: 'cancelled', command: { state: 'cancelled', cancelledBy: 'anna' } },
    });
    expect((await vehicle.commands.cancel(VIN, id, ACTOR)).kind).toBe('cancelled');
    expect((await sync(vehicle)).commands).toMatchObject({ orders: [], cancel: [] });
    expect(await audited(vehicle, 'command.cancelled')).toHaveLength(1);
    expect(await vehicle.commands.cancel('VIN2', id, ACTOR)).toEqual({ kind: 'unknown' });
  });

  it('asks the vehicle that has it, until that has answered', async () => {
    const vehicle = await startVehicle();
    const id = await order(vehicle);
    const late = await order(vehicle);
    await sync(vehicle);
    await sync(vehicle, { reports: [reportOf(id, 'delivered'), reportOf(late, 'executing')] });
    expect((await vehicle.commands.cancel(VIN, id, ACTOR)).kind).toBe('requested');
    expect((await vehicle.commands.cancel(VIN, late, ACTOR)).kind).toBe('requested');
    for (let round = 0; round < 2; round++) {
      expect((await sync(vehicle)).commands.cancel).toEqual([id, late]);
    }
    const reports = [reportOf(id, 'cancelled'), reportOf(late, 'completed', { runs: 1 })];
    expect((await sync(vehicle, { reports })).commands.cancel).toEqual([]);
    expect([await stateOf(vehicle, id), await stateOf(vehicle, late)]).toEqual([
      'cancelled',
      'completed',
    ]);
    expect((await vehicle.commands.cancel(VIN, late, ACTOR)).kind).toBe('over');
  });

  it('of one that left and never arrived ends with the next contact', async () => {
    const vehicle = await startVehicle();
    const id = await order(vehicle);
    await sync(vehicle); // the answer is lost
    expect((await vehicle.commands.cancel(VIN, id, ACTOR)).kind).toBe('requested');
    const full = Array.from({ length: MAX_COMMANDS }, () => reportOf('forgotten', 'completed'));
    const maybe = (await sync(vehicle, { reports: full })).commands;
    expect(maybe).toMatchObject({ orders: [], cancel: [id] }); // the vehicle may have it
    expect(await stateOf(vehicle, id)).toBe('pending');
    expect((await sync(vehicle)).commands).toMatchObject({ orders: [], cancel: [] });
    expect(await stateOf(vehicle, id)).toBe('cancelled');
  });
});

describe('reports', () => {
  it('on a command of another vehicle count for nothing, and are on record', async () => {
    const vehicle = await startVehicle();
    const id = await order(vehicle);
    const { commands } = await sync(vehicle, {
      ...{ vin: 'VIN2', reports: [reportOf(id, 'completed'), reportOf('nothing', 'failed')] },
    });
    expect(commands.acknowledged).toEqual([id, 'nothing']);
    expect(await stateOf(vehicle, id)).toBe('pending');
    expect(await audited(vehicle, 'command.foreign')).toEqual([
      `command.foreign VIN2 reports on commands of another vehicle: ${id}`,
    ]);
  });

  it('a contact with no news writes nothing', async () => {
    const vehicle = await startVehicle();
    const id = await order(vehicle);
    await sync(vehicle);
    const told = { reports: [reportOf(id, 'delivered')], version: 3 };
    await sync(vehicle, told);
    await order(vehicle);
    await sync(vehicle, told);
    const before = await vehicle.changes();
    await sync(vehicle, told);
    await sync(vehicle, { version: 3 });
    expect(await vehicle.changes()).toBe(before);
  });

  it('no state follows a final one, and none follows itself', () => {
    for (const from of COMMAND_STATES) {
      for (const to of COMMAND_STATES) {
        const forward = isStepForward(from, to);
        if (isFinal(from) || from === to || to === 'pending') expect(forward).toBe(false);
        else if (isFinal(to)) expect(forward).toBe(true);
        expect(forward && isStepForward(to, from)).toBe(false);
      }
    }
  });
});

// `can-ota config`, `command` and `telemetry`: longer exchanges with a backend.

import { describe, expect, it } from 'vitest';
import { cancel, list, send } from '../../src/cli/services/command.ts';
import { history, set } from '../../src/cli/services/config.ts';
import { InputError } from '../../src/core/errors.ts';
import { ExitCode } from '../../src/core/exit-code.ts';
import type { OperatorBackend } from '../../src/link/operator-backend.ts';
import { reportOf, VIN } from '../server/services-support.ts';
import { POWER, startWorld, WISH } from './services-commands-support.ts';

describe('config set', () => {
  it('merges into what is wanted, takes back, and replaces', async () => {
    const world = await startWorld();
    const wanted = async () => (await world.backend.configuration(VIN)).wanted?.parameters;
    const values = { pollInterval: 5, dids: ['INV.FD40'] };
    expect(await set(world, VIN, { ...WISH, values, comment: 'a test' })).toBe(ExitCode.success);
    expect(await set(world, VIN, { ...WISH, values: { uploadInterval: 30 } })).toBe(0);
    expect(await wanted()).toEqual({ ...values, uploadInterval: 30 });
    expect(await set(world, VIN, { ...WISH, reset: ['dids'] })).toBe(0);
    expect(await wanted()).toEqual({ pollInterval: 5, uploadInterval: 30 });
    expect(await set(world, VIN, { ...WISH, values: { pollInterval: 5 }, replace: true })).toBe(0);
    expect(await wanted()).toEqual({ pollInterval: 5 });
    expect(await set(world, VIN, { ...WISH, values: { pollInterval: 5 } })).toBe(0);
    expect(world.said.at(-1)).toBe(`${VIN}: nothing has changed, version 4 stays`);
    await history(world, VIN);
    expect(world.said.at(-1)).toMatch(/^1 .*tool +no report +a test: \{"pollInterval":5,"dids"/);
  });

  it('begins again when somebody else was faster', async () => {
    const world = await startWorld();
    let others = 1;
    const { backend } = world;
    const slow = Object.assign(Object.create(backend) as OperatorBackend, {
      configuration: async (vin: string) => {
        const seen = await backend.configuration(vin);
        if (others-- > 0)
          await set(world, vin, { ...WISH, values: { uploadInterval: 60 + others } });
        return seen;
      },
      configure: backend.configure.bind(backend),
    });
    const values = { pollInterval: 5 };
    expect(await set({ ...world, backend: slow }, VIN, { ...WISH, values })).toBe(0);
    expect((await backend.configuration(VIN)).wanted).toMatchObject({
      ...{ version: 2, parameters: { pollInterval: 5, uploadInterval: 60 } },
    });
    others = 9;
    const never = set({ ...world, backend: slow }, VIN, { ...WISH, values: { pollInterval: 6 } });
    await expect(never).rejects.toMatchObject({ code: 'CONFIGURATION_CHANGED' });
    expect(others).toBe(6);
  });
});

describe('command', () => {
  it('send orders with typed arguments, a time and a key, and does not wait unless told', async () => {
    const world = await startWorld();
    const wish = { ...POWER, priority: 7, expiresInS: 600 };
    expect(await send(world, VIN, wish)).toBe(ExitCode.success);
    const [command] = await world.backend.commands(VIN, { limit: 5 });
    expect(command).toMatchObject({ arguments: { power: 60 }, priority: 7, state: 'pending' });
    expect(Date.parse(command!.expiresAt) - Date.parse(command!.createdAt)).toBe(600_000);
    expect(command!.key).toMatch(/^[0-9a-f]{32}$/);
    expect(world.said).toEqual([
      `${VIN}, command ${command!.id}: INV setPowerLimit power=60; pending`,
    ]);
    const same = { ...POWER, key: 'same-key' };
    for (let round = 0; round < 2; round++) await send(world, VIN, same);
    await send(world, VIN, { ...POWER, action: 'setMode', given: ['mode=eco'] });
    await list(world, VIN, { limit: 20 });
    expect(world.said.slice(-3).map((line) => / (INV .*?) {2}/.exec(line)?.[1])).toEqual([
      'INV setMode mode=eco',
      'INV setPowerLimit power=60',
      'INV setPowerLimit power=60',
    ]);
  });

  it('cancel is done at once, or when the vehicle has answered, or too late', async () => {
    const world = await startWorld();
    const order = async (): Promise<string> => {
      await send(world, VIN, POWER);
      return String(world.emitted.at(-1)!.id);
    };
    expect(await cancel(world, VIN, await order(), undefined)).toBe(ExitCode.success);
    for (const state of ['cancelled', 'completed'] as const) {
      const id = await order();
      await world.contact();
      await world.contact({ reports: [reportOf(id, 'delivered')] });
      const running = cancel(world, VIN, id, 30);
      await world.clock.advance(1000);
      await world.contact({ reports: [reportOf(id, state)] });
      const code = state === 'cancelled' ? ExitCode.success : ExitCode.preconditionFailed;
      expect(await world.clock.within(3000, running)).toBe(code);
      await expect(cancel(world, VIN, 'nothing', 1)).rejects.toThrow(InputError);
    }
    expect(world.said.at(-1)).toContain('cancelled by tool, too late');
  });
});

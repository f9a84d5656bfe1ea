// A campaign of a vehicle with an OpenBLT board: an update over UDS and XCP, and its rollback.

import { expect } from 'vitest';
import { ecuSchema } from '../../../src/vehicle/schema.ts';
import { freshBus, type Run, start } from './processes.ts';
import { cycle, image, outcomeOf, TestFactory } from './vehicle.ts';

const BLT = ecuSchema.parse({
  name: 'BLT',
  hardwareId: 'BLT-HW-1',
  address: { mode: 'normal', request: 0x667, response: 0x668 },
  memory: { regions: [{ address: 0x0800_2000, size: 0x1_0000, eraseUnit: 1024 }] },
  security: { algorithm: 'arithmetic', steps: ['sub 1'], seedBytes: 1 },
  programming: { protocol: 'openblt', openblt: { alive: { id: 0x321, everyMs: 400 } } },
  // Before EDT, so that a failure of EDT comes when the board has its new image.
  order: -10,
});
export const openBoardFactory = () => TestFactory.open(['EDT'], [BLT]);

export function firmware(
  version: string,
  bytes = 3000,
): Promise<Awaited<ReturnType<typeof image>>> {
  const head = Buffer.from(`can-ota firmware BLT ${version}\n`);
  return image('BLT', bytes, version, Buffer.concat([head, Buffer.alloc(bytes - head.length, 7)]));
}

/** The version that the board's application had at its last start. */
export function runs(board: Run): unknown {
  return board.events.filter(({ kind }) => kind === 'application').at(-1)?.version;
}

/** A success, nothing to do, and a rollback because another ECU fails. */
export async function boardCampaign(bus = freshBus()): Promise<void> {
  const factory = await openBoardFactory();
  const backend = await factory.backend();
  const vehicle = await factory.vehicle({ bus });
  const state = await factory.state();
  await backend.release(await image('EDT', 4000), await firmware('2.0.0'));
  const done = await cycle({ vehicle, server: backend.url, state });
  expect(outcomeOf(done), String(done)).toMatchObject({
    outcome: 'SUCCESS',
    ecus: expect.arrayContaining([expect.objectContaining({ name: 'BLT', reported: '2.0.0' })]),
  });
  expect(runs(vehicle.ecu('BLT'))).toBe('2.0.0');
  expect(await vehicle.version('EDT')).toBe('2.0.0');
  const again = await cycle({ vehicle, server: backend.url, state });
  expect(outcomeOf(again)).toMatchObject({ outcome: 'UP_TO_DATE' });

  vehicle.ecu('EDT').kill();
  await vehicle.ecu('EDT').exited;
  const bad = start(
    [
      'ecu',
      'EDT',
      '--json',
      '--flash',
      vehicle.folder('EDT'),
      ...vehicle.shared,
      '--fault',
      'self-test',
    ],
    { supervised: true },
  );
  await bad.ready;
  await backend.release(await image('EDT', 4000, '3.0.0'), await firmware('3.0.0'));
  const back = await cycle({ vehicle, server: backend.url, state });
  expect(outcomeOf(back), String(back)).toMatchObject({ outcome: 'ROLLBACK_COMPLETED' });
  const versions = vehicle.ecu('BLT').events.filter(({ kind }) => kind === 'application');
  expect(versions.map(({ version }) => version)).toContain('3.0.0');
  expect(runs(vehicle.ecu('BLT'))).toBe('2.0.0');
  expect(await vehicle.version('EDT')).toBe('2.0.0');
}

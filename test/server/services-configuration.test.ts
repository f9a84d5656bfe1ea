// Configurations and measured data at the backend: versions and reports, numbered batches, what is kept.

import { describe, expect, it } from 'vitest';
import { configurationView, csvOf } from '../../server/features/commands/views.ts';
import { DEFAULT_CONFIGURATION } from '../../src/contract/configuration.ts';
import type { SyncRequest } from '../../src/contract/sync.ts';
import { type Batch, packBatch, type Sample, unpackBatch } from '../../src/contract/telemetry.ts';
import { ACTOR, type Stores, startVehicle, sync, VIN } from './services-support.ts';

type Report = NonNullable<SyncRequest['configuration']['report']>;
type Result = Report['results'][number];

function reported(version: number, results: Result[], inForce: object = {}): Report {
  return {
    ...{ version, at: '2026-01-01T00:00:00+01:00', results },
    inForce: { ...DEFAULT_CONFIGURATION, ...inForce } as Report['inForce'],
  };
}

function change(
  { configurations }: Stores,
  parameters: Record<string, unknown>,
  more: { comment?: string; expected?: number } = {},
) {
  return configurations.change(VIN, { parameters, ...more }, ACTOR);
}

describe('a configuration', () => {
  it('is a new version only when something is another one', async () => {
    const vehicle = await startVehicle();
    const first = await change(vehicle, { pollInterval: 5, dids: ['INV.FD40'] }, { comment: 'c' });
    expect(first).toMatchObject({
      kind: 'changed',
      configuration: { version: 1, changedBy: 'anna', comment: 'c', report: undefined },
    });
    const same = await change(vehicle, { dids: ['INV.FD40'], pollInterval: 5 });
    expect(same).toMatchObject({ kind: 'same', configuration: { version: 1 } });
    const second = await change(vehicle, { pollInterval: 6 });
    expect(second).toMatchObject({ kind: 'changed', configuration: { version: 2 } });
    expect(await vehicle.configurations.history(VIN)).toMatchObject([
      { version: 2, parameters: { pollInterval: 6 } },
      { version: 1, parameters: { pollInterval: 5, dids: ['INV.FD40'] } },
    ]);
    const log = await vehicle.audit.list({ limit: 9, text: 'config.' });
    expect(log.map(({ detail }) => detail)).toEqual([
      `${VIN}, version 2: pollInterval=6, dids left out`,
      `${VIN}, version 1: pollInterval=5, dids=["INV.FD40"]`,
    ]);
  });

  it('is not changed by somebody who looked at an older one', async () => {
    const vehicle = await startVehicle();
    expect((await change(vehicle, { a: 1 }, { expected: 0 })).kind).toBe('changed');
    expect(await change(vehicle, { a: 2 }, { expected: 0 })).toEqual({
      ...{ kind: 'other-version', version: 1 },
    });
    expect((await change(vehicle, { a: 2 }, { expected: 1 })).kind).toBe('changed');
  });

  it('goes out until the vehicle has judged it, and its report is kept and acknowledged', async () => {
    const vehicle = await startVehicle();
    expect((await sync(vehicle)).configuration).toEqual({ wanted: null, acknowledged: 0 });
    await change(vehicle, { pollInterval: 5, colour: 'red' });
    for (let round = 0; round < 2; round++) {
      expect((await sync(vehicle)).configuration.wanted).toEqual({
        ...{ version: 1, parameters: { pollInterval: 5, colour: 'red' } },
      });
    }
    const report = reported(
      1,
      [
        { parameter: 'pollInterval', status: 'accepted' },
        {
          ...{ parameter: 'colour', status: 'rejected', code: 'UNKNOWN_PARAMETER' },
          reason: 'there is no parameter colour',
        },
      ],
      { pollInterval: 5 },
    );
    const answer = await sync(vehicle, { version: 1, report });
    expect(answer.configuration).toEqual({ wanted: null, acknowledged: 1 });
    const before = await vehicle.changes();
    expect((await sync(vehicle, { version: 1, report })).configuration.acknowledged).toBe(1);
    expect(await vehicle.changes()).toBe(before);

    const view = await configurationView(vehicle.configurations, VIN);
    expect(view).toMatchObject({ pending: false, inForce: { pollInterval: 5 } });
    expect(view.parameters).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ ...{ parameter: 'pollInterval', wanted: 5, inForce: 5 } }),
        expect.objectContaining({ parameter: 'dids', wanted: undefined, state: 'default' }),
        expect.objectContaining({
          ...{ parameter: 'colour', state: 'rejected', code: 'UNKNOWN_PARAMETER' },
        }),
      ]),
    );
    // Taken by its word, and not by what it says is in force.
    const odd = reported(1, [{ parameter: 'pollInterval', status: 'accepted' }]);
    await sync(vehicle, { version: 1, report: odd });
    const doubt = await configurationView(vehicle.configurations, VIN);
    expect(doubt.parameters[0]).toMatchObject({ wanted: 5, inForce: 10, state: 'differs' });
    await sync(vehicle, { version: 1, report });
    // The next one is side by side with what is in force still.
    await change(vehicle, { uploadInterval: 30 });
    const next = await configurationView(vehicle.configurations, VIN);
    expect(next).toMatchObject({ pending: true, wanted: { version: 2 }, reported: { version: 1 } });
    const states = Object.fromEntries(
      next.parameters.map(({ parameter, state }) => [parameter, state]),
    );
    expect(states).toMatchObject({
      ...{ pollInterval: 'pending', uploadInterval: 'pending', dids: 'default' },
    });
  });

  it('has a number that no vehicle has judged before, also after the backend lost some', async () => {
    const vehicle = await startVehicle();
    await sync(vehicle, { version: 7, report: reported(7, []) });
    expect(await change(vehicle, { pollInterval: 5 })).toMatchObject({
      configuration: { version: 8 },
    });
    await sync(vehicle, { version: Number.MAX_SAFE_INTEGER });
    expect(await change(vehicle, { pollInterval: 6 })).toMatchObject({
      configuration: { version: 9 },
    });
    expect((await sync(vehicle, { version: 7 })).configuration.wanted?.version).toBe(9);
  });

  it('is forgotten after fifty newer ones', async () => {
    const vehicle = await startVehicle();
    for (let number = 1; number <= 52; number++) await change(vehicle, { pollInterval: number });
    await vehicle.configurations.change('VIN2', { parameters: {} }, ACTOR);
    const versions = (await vehicle.configurations.history(VIN)).map(({ version }) => version);
    expect([versions.length, versions[0], versions.at(-1)]).toEqual([50, 52, 3]);
    expect(await vehicle.configurations.history(VIN, 100)).toHaveLength(50);
    expect(await vehicle.configurations.history('VIN2')).toHaveLength(1);
  });
});

const SENDER = '0123456789abcdef';

function sampleAt(second: number, more: Partial<Sample> = {}): Sample {
  const at = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  return { did: 'INV.FD40', at, count: 6, mean: 1.5, min: -1, max: 4, unit: 'kW', ...more };
}

function batchOf(number: number, more: Partial<Batch> = {}): Batch {
  return { vin: VIN, number, sender: SENDER, dropped: 0, samples: [sampleAt(number)], ...more };
}

describe('measured data', () => {
  const store = ({ telemetry }: Stores, batch: Batch) => telemetry.store(batch, '127.0.0.1');

  it('is stored once, whatever came again, and gaps are counted', async () => {
    const vehicle = await startVehicle();
    expect(await store(vehicle, batchOf(1))).toBe(1);
    expect(await store(vehicle, batchOf(1))).toBe(1);
    expect(await store(vehicle, batchOf(5, { dropped: 3 }))).toBe(5);
    expect(await store(vehicle, batchOf(2))).toBe(5);
    // Another store of the same vehicle has numbers of its own.
    expect(await store(vehicle, batchOf(1, { sender: 'f'.repeat(16), samples: [] }))).toBe(1);
    expect(await vehicle.telemetry.counts(VIN)).toEqual({
      ...{ batches: 3, samples: 2, duplicates: 2, lost: 3, dropped: 3 },
    });
    expect(await vehicle.telemetry.samples(VIN, { limit: 10 })).toMatchObject([
      { at: '2026-01-01T00:00:05.000Z', mean: 1.5, min: -1, max: 4, unit: 'kW', count: 6 },
      { at: '2026-01-01T00:00:01.000Z' },
    ]);
    expect(await vehicle.telemetry.counts('VIN2')).toMatchObject({ batches: 0, lost: 0 });
    const lost = await vehicle.audit.list({ limit: 9, text: 'telemetry.lost' });
    expect(lost.map(({ detail }) => detail)).toEqual([
      `3 batches before number 5 of ${SENDER} never came`,
    ]);
  });

  it('is found by DID and time, whatever the time zone of the vehicle', async () => {
    const vehicle = await startVehicle();
    const samples = [
      sampleAt(0),
      sampleAt(0, { at: '2026-01-01T02:00:10+02:00' }),
      { did: 'BMS.FD40', at: '2026-01-01T00:00:20Z', count: 1, raw: 'beef' },
    ];
    await store(vehicle, batchOf(1, { samples }));
    const find = async (filter: { did?: string; since?: string; limit?: number }) =>
      (await vehicle.telemetry.samples(VIN, { limit: 10, ...filter })).map(({ at }) =>
        at.slice(17, 19),
      );
    expect(await find({})).toEqual(['20', '10', '00']);
    expect(await find({ did: 'INV.FD40' })).toEqual(['10', '00']);
    expect(await find({ since: '2026-01-01T00:00:10.000Z' })).toEqual(['20', '10']);
    expect(await find({ limit: 1 })).toEqual(['20']);
    expect(await vehicle.telemetry.latest(VIN)).toMatchObject([
      { did: 'BMS.FD40', raw: 'beef' },
      { did: 'INV.FD40', at: '2026-01-01T00:00:10.000Z' },
    ]);
  });

  it('as CSV is a table that a spreadsheet does not run', async () => {
    const vehicle = await startVehicle();
    await store(vehicle, batchOf(1, { samples: [sampleAt(1, { unit: '=1+1,"x"', raw: '00ff' })] }));
    const [header, line, end] = csvOf(await vehicle.telemetry.samples(VIN, { limit: 1 })).split(
      '\r\n',
    );
    expect(header).toBe('at,did,count,mean,min,max,unit,raw,receivedAt');
    expect(line).toMatch(/^2026-01-01T00:00:01.000Z,INV.FD40,6,1.5,-1,4,"'=1\+1,""x""",00ff,2/);
    expect(end).toBe('');
  });

  it('that is no batch is none', () => {
    expect(unpackBatch(packBatch(batchOf(1)))).toEqual(batchOf(1));
    expect(unpackBatch(Buffer.from('x'))).toBeUndefined();
    expect(unpackBatch(packBatch({ ...batchOf(1), number: 0 }))).toBeUndefined();
  });
});

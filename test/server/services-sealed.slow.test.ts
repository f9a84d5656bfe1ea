// The contacts of a vehicle as they come in: sealed, from its Primary, and from nobody else.

import { describe, expect, it } from 'vitest';
import type { CommandReport } from '../../src/contract/command.ts';
import { DEFAULT_CONFIGURATION } from '../../src/contract/configuration.ts';
import { telemetryUpload } from '../../src/contract/endpoints/vehicles/telemetry-upload.ts';
import type { SyncRequest } from '../../src/contract/sync.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { HttpClient } from '../../src/link/http-client.ts';
import { SealedClient } from '../../src/link/sealed-client.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { SealedBackend } from '../../src/tmu/remote/sealed-backend.ts';
import { InjectedTransport } from '../support/injected-transport.ts';
import { InjectedBackend } from './injected-support.ts';
import { CATALOGUE, DIGEST, reportOf } from './services-support.ts';
import { json, type Reply } from './support.ts';
import { bearer, type TestEcu, VIN } from './trust-support.ts';

const never = new AbortController().signal;

async function start(): Promise<{
  readonly backend: InjectedBackend;
  readonly primary: SealedBackend;
  /** As one of its ECUs. */
  readonly edt: SealedBackend;
  readonly client: SealedClient;
  operator(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<Reply>;
}> {
  const backend = await InjectedBackend.start();
  const vehicle = await backend.vehicle();
  const { clock } = backend;
  const open = ({ serial, hwId, secret }: TestEcu): Promise<SealedClient> =>
    SealedClient.open({
      client: new HttpClient({
        ...{ clock, headers: {} },
        transport: new InjectedTransport(() => backend.server.app),
      }),
      base: new URL('http://backend/'),
      device: { serial, hwId, deviceSecret: secret },
      storage: new SimulatedDisk().open(),
      clock,
      random: seededRandom(serial),
      logger: silentLogger,
    });
  const client = await open(vehicle.primary);
  const edt = vehicle.ecu('EDT');
  return {
    ...{ backend, client },
    primary: new SealedBackend(client),
    edt: new SealedBackend(await open(edt)),
    operator: (method, path, body) =>
      backend.request(path, {
        ...(body === undefined ? {} : json(body)),
        method,
        headers: {
          ...bearer(backend.operator),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
      }),
  };
}

function contact(more: Partial<SyncRequest['configuration']> = {}, reports: CommandReport[] = []) {
  return {
    vin: VIN,
    configuration: { version: 0, ...more },
    commands: { reports, catalogue: CATALOGUE, catalogueDigest: DIGEST },
  };
}

const BATCH = {
  ...{ vin: VIN, number: 1, sender: 'a'.repeat(16), dropped: 0 },
  samples: [{ did: 'INV.FD40', at: '2026-01-01T00:00:00Z', count: 2, mean: 7 }],
};

describe('a vehicle', () => {
  it('hears what operators want, and they hear what it did', async () => {
    const { primary, operator } = await start();
    expect(
      (await operator('POST', `/commands/${VIN}`, { ecu: 'INV', action: 'calibrate' })).json.code,
    ).toBe('NO_CATALOGUE');
    expect(await primary.sync(contact(), never)).toMatchObject({
      value: { configuration: { wanted: null }, commands: { orders: [], wantsCatalogue: false } },
    });
    await operator('PUT', `/config/${VIN}`, { parameters: { pollInterval: 5 } });
    const { id } = (await operator('POST', `/commands/${VIN}`, { ecu: 'INV', action: 'calibrate' }))
      .json;
    expect(await primary.sync(contact(), never)).toMatchObject({
      value: {
        configuration: { wanted: { version: 1, parameters: { pollInterval: 5 } } },
        commands: { orders: [{ id, ecu: 'INV', action: 'calibrate', arguments: {} }] },
      },
    });
    const results = [{ parameter: 'pollInterval', status: 'accepted' } as const];
    const inForce = { ...DEFAULT_CONFIGURATION, pollInterval: 5 } as never;
    const report = { version: 1, at: '2026-01-01T00:00:00Z', results, inForce };
    const done = reportOf(id, 'completed', { runs: 1, result: 'calibrated' });
    expect(await primary.sync(contact({ version: 1, report }, [done]), never)).toMatchObject({
      value: {
        configuration: { wanted: null, acknowledged: 1 },
        commands: { orders: [], acknowledged: [id] },
      },
    });
    expect((await operator('GET', `/config/${VIN}`)).json).toMatchObject({
      ...{ pending: false, inForce: { pollInterval: 5 } },
    });
    const command = (await operator('GET', `/commands/${VIN}/${id}`)).json;
    expect(command).toMatchObject({ state: 'completed', result: 'calibrated', runs: 1 });
  });

  it('sends what it measured, each batch once', async () => {
    const { primary, operator } = await start();
    for (let round = 0; round < 2; round++) {
      expect(await primary.upload(BATCH, never)).toEqual({ stored: 1 });
    }
    const { counts, samples } = (await operator('GET', `/telemetry/${VIN}`)).json;
    expect(counts).toMatchObject({ batches: 1, duplicates: 1 });
    expect(samples).toMatchObject([{ did: 'INV.FD40', mean: 7, count: 2 }]);
  });

  it('is spoken for by its Primary, and by no other device', async () => {
    const { primary, edt, operator } = await start();
    for (const failed of [
      await edt.sync(contact(), never),
      await edt.upload(BATCH, never),
      await primary.sync({ ...contact(), vin: 'OTHER' }, never),
      await primary.upload({ ...BATCH, vin: 'OTHER' }, never),
    ]) {
      expect(failed).toMatchObject({ kind: 'failed', code: 'HTTP_403', transient: false });
    }
    expect((await operator('GET', `/telemetry/${VIN}`)).json.counts.batches).toBe(0);
    expect((await operator('GET', `/commands/${VIN}/catalogue`)).status).toBe(409);
  });

  it('is refused what is no contact and no batch, and what is not sealed', async () => {
    const { backend, client, primary } = await start();
    const odd = { ...contact(), commands: { reports: [], catalogueDigest: 'x' } };
    expect(await primary.sync(odd, never)).toMatchObject({ kind: 'failed', code: 'HTTP_400' });
    const bad = await client.post(telemetryUpload.path, Buffer.from('no batch'));
    expect(bad).toMatchObject({ kind: 'failed', code: 'HTTP_400' });
    for (const path of ['/vehicle/sync', telemetryUpload.path]) {
      expect((await backend.request(path, json(contact()))).status).toBe(415);
    }
  });
});

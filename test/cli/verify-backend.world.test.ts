// `can-ota verify` against the real backend, in the name of a provisioned vehicle.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { formatIdentity } from '../../src/trust/identity-file.ts';
import { startSigned, TestVehicle } from '../server/trust-support.ts';
import { cli, temporaryFolder } from './verify-support.ts';

it('finds what the Director decided, and is answered only as a vehicle of the fleet', async () => {
  const backend = await startSigned();
  const vehicle = await TestVehicle.provisioned(backend);
  const name = await backend.publish(Buffer.from('an image of EDT'));
  expect((await vehicle.checkin()).status).toBe(200);
  const folder = await temporaryFolder();
  const identity = path.join(folder, 'identity.json');
  const write = (deviceSecret: Uint8Array) =>
    writeFile(
      identity,
      formatIdentity({
        format: 1,
        vin: vehicle.vin,
        serial: vehicle.primary.serial,
        hwId: vehicle.primary.hwId,
        deviceSecret: toHex(deviceSecret),
        signingSeed: '00'.repeat(32),
        agreementKey: '44'.repeat(32),
        ecus: {},
      }),
      { mode: 0o600 },
    );
  const args = [
    ...['--director', `${backend.url}/director/${vehicle.vin}/metadata`],
    ...['--images', `${backend.url}/metadata`, '--state', path.join(folder, 'state'), '--json'],
    ...['--ecu', vehicle.ecu('EDT').serial, '--hardware', 'EDT-HW-1'],
  ];

  const stranger = await cli(...args);
  expect(stranger.json).toMatchObject({ ok: false, attack: null, error: 'HTTP' });
  expect(stranger.json.reason).toContain('status 401');

  await write(new Uint8Array(32));
  const impostor = await cli(...args, '--identity', identity);
  expect(impostor.json).toMatchObject({ ok: false, attack: null });
  expect(impostor.json.reason).toContain('has not proven itself');

  await write(vehicle.primary.secret);
  const run = await cli(...args, '--identity', identity);
  expect(run.json).toMatchObject({
    ok: true,
    target: { name, ecu: 'EDT', version: '2.0.0' },
    director: { root: 1, targets: 1 },
    images: { root: 1, targets: 1 },
  });
  expect(run.code).toBe(0);
  const other = await cli(...args, '--identity', identity, '--vin', 'ANOTHER');
  expect(other.json).toMatchObject({ ok: false, attack: 'WRONG_VEHICLE' });

  const offline = await cli(...args, '--identity', identity, '--director', folder);
  expect(offline.code).toBe(2);
  expect(offline.stderr).toContain('a folder needs no log-in');
});

// The vehicle file that `can-ota vehicle new` prints: valid, with the VIN that was asked for, and without secrets.

import { expect, it } from 'vitest';
import { withoutShippedSecrets } from '../../src/onboard/bench-vehicle.ts';
import { newVehicleText } from '../../src/onboard/new-vehicle.ts';
import { loadVehicle } from '../../src/onboard/vehicle-file.ts';
import { parseVehicle } from '../../src/vehicle/load.ts';

it('is the bench vehicle with another VIN, and no secret that everybody has', async () => {
  const text = await newVehicleText('1CANXTATEST000001');
  const bench = withoutShippedSecrets(await loadVehicle(undefined, false));
  expect(parseVehicle(text, 'vehicle.yaml')).toEqual({ ...bench, vin: '1CANXTATEST000001' });
  expect(text).not.toMatch(/[0-9a-f]{32}/i);
});

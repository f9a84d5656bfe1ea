// Whose secrets a tester takes, and which it refuses.

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { benchVehicleFile, loadVehicle } from '../../src/onboard/vehicle-file.ts';
import {
  benchIdentity,
  checkVin,
  readIdentity,
  secretsOf,
  withSecrets,
} from '../../src/onboard/vehicle-secrets.ts';
import { benchEcuIdentity } from '../../src/trust/bench-keys.ts';
import { formatIdentity } from '../../src/trust/identity-file.ts';
import { type Vehicle, vehicleSchema } from '../../src/vehicle/schema.ts';

const vehicleWith = (secret: string | undefined, key?: string): Vehicle =>
  vehicleSchema.parse({
    vin: '1CANXTABENCH00001',
    buses: { main: {} },
    approval: { ecu: 'EDT', ...(key === undefined ? {} : { key }) },
    ecus: [
      {
        name: 'EDT',
        hardwareId: 'EDT-HW-1',
        address: { mode: 'normal', request: 1, response: 2 },
        security: { algorithm: 'hmac-sha256', ...(secret === undefined ? {} : { secret }) },
      },
    ],
  });
const secretOf = (vehicle: Vehicle): string | undefined => {
  const { security } = vehicle.ecus[0]!;
  return security.algorithm === 'hmac-sha256' ? security.secret : undefined;
};
const own = 'ab'.repeat(16);
const secrets = {
  ecus: { EDT: { serial: 'CO-000002', hardwareId: 'EDT-HW-1', securityAccessKey: own } },
  approvalKey: 'cd'.repeat(32),
  agreementKey: '44'.repeat(32),
};

describe('secrets', () => {
  it('that the vehicle file leaves out come from the identity', () => {
    const filled = withSecrets(vehicleWith(undefined), secrets, false);
    expect(secretOf(filled)).toBe(own);
    expect(filled.approval).toEqual({ ecu: 'EDT', key: 'cd'.repeat(32) });
  });

  it('of the vehicle file count as the ECU counts them: before the identity', () => {
    const given = '12'.repeat(16);
    const filled = withSecrets(vehicleWith(given, '34'.repeat(32)), secrets, false);
    expect(secretOf(filled)).toBe(given);
    expect(filled.approval?.key).toBe('34'.repeat(32));
  });

  it('that everybody has are refused outside of a bench, of the ECUs and of the approval', () => {
    const shipped = toHex(benchEcuIdentity('EDT').securityAccessKey);
    expect(() => withSecrets(vehicleWith(shipped), secrets, false)).toThrow('EDT.security.secret');
    expect(secretOf(withSecrets(vehicleWith(shipped), undefined, true))).toBe(shipped);
    const key = '6272656e6368206170707230766c206b657920666f72207468652062656e6368';
    expect(() => withSecrets(vehicleWith(undefined, key), secrets, false)).toThrow('approval.key');
  });

  it('of a bench are known to both sides', async () => {
    const vehicle = await loadVehicle(benchVehicleFile, false);
    const bench = await secretsOf({ benchKeys: true }, vehicle);
    expect(withSecrets(vehicle, bench, true).approval?.key).toBeDefined();
    const filled = withSecrets(vehicleWith(undefined), bench, true);
    expect(secretOf(filled)).toBe(toHex(benchEcuIdentity('EDT').securityAccessKey));
    formatIdentity(benchIdentity(vehicle.vin, vehicle.ecus));
  });
});

describe('identity.json', () => {
  async function identityFile(mode: number): Promise<string> {
    const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-identity-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'identity.json');
    const vehicle = vehicleWith(undefined);
    await writeFile(file, formatIdentity(benchIdentity(vehicle.vin, vehicle.ecus)));
    await chmod(file, mode);
    return file;
  }

  it('that others may read is refused with what to do', async () => {
    const file = await identityFile(0o644);
    await expect(readIdentity(file, '--identity')).rejects.toThrow(`chmod 600 ${file}`);
    expect((await readIdentity(await identityFile(0o600), '--identity')).serial).toBe('BENCH-TMU');
  });

  it('of another vehicle is refused before an ECU loses an attempt', async () => {
    const file = await identityFile(0o600);
    const other = { ...vehicleWith(undefined), vin: '1CANXTABENCH00002' };
    await expect(secretsOf({ identity: file }, other)).rejects.toThrow('1CANXTABENCH00002');
    const identity = await readIdentity(file, '--identity');
    expect(() => checkVin(identity, vehicleWith(undefined), file)).not.toThrow();
  });
});

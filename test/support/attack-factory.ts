// The vehicle that is attacked, as it leaves the factory: three ECUs with keys of their own, two Roots, and a TMU.

import type { CreateEcuOptions } from '../../ecus/create-ecu.ts';
import { asciiBytes, concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { speakerKey } from '../../src/trust/authority.ts';
import type { IdentityFile } from '../../src/trust/identity-file.ts';
import {
  ed25519PublicKey,
  type LocalSigner,
  type PublicKeyJson,
  signerFromSeed,
  x25519PublicKey,
} from '../../src/trust/signing-key.ts';
import { type Vehicle, vehicleSchema } from '../../src/vehicle/schema.ts';
import { EcuBench } from './ecu-bench.ts';
import type { FaultStorage } from './fault-storage.ts';
import { type MockRepositories, mockRepositories } from './mock-repositories.ts';

export const ECUS = ['CGW', 'EDT', 'INV'] as const;
export type EcuName = (typeof ECUS)[number];

export const VIN = '1CANXATTACK000001';
export const TMU_SERIAL = 'CO-000001';
export const SERIALS = { CGW: 'CO-000002', EDT: 'CO-000003', INV: 'CO-000004' } as const;
export const BANK_SIZE = 64 * 1024;

/** No secret stands in the file: all of them are provisioned. INV checks both repositories by itself. */
export const attackedVehicle: Vehicle = vehicleSchema.parse({
  vin: VIN,
  buses: { can: {} },
  approval: { ecu: 'CGW' },
  ecus: ECUS.map((name, index) => ({
    name,
    hardwareId: `${name}-HW-1`,
    address: { mode: 'normal', request: 0x7e0 + index, response: 0x7e8 + index },
    memory: { bankSize: BANK_SIZE },
    security: { algorithm: 'hmac-sha256' },
    verification: name === 'INV' ? 'full' : 'partial',
  })),
});

const secretOf = (ecu: EcuName, use: number): string =>
  toHex(seededRandom(use * 1000 + ecu.charCodeAt(0)).bytes(32));

/** What the factory tool leaves in the TMU. */
export const identity: IdentityFile = {
  format: 1,
  vin: VIN,
  serial: TMU_SERIAL,
  hwId: 'chip-tmu',
  deviceSecret: '7d'.repeat(32),
  signingSeed: '01'.repeat(32),
  ecus: Object.fromEntries(
    ECUS.map((name) => [
      name,
      {
        serial: SERIALS[name],
        hardwareId: `${name}-HW-1`,
        securityAccessKey: secretOf(name, 1),
      },
    ]),
  ),
  approvalKey: '5a'.repeat(32),
  agreementKey: '1a'.repeat(32),
};

/** What the factory keeps, away from every vehicle. */
export const factoryKey = fromHex('2b'.repeat(32));

/** By which the vehicle's TMU gives orders to this ECU. */
export async function testerKeyTo(name: EcuName): Promise<Uint8Array> {
  const { encryptionKey } = (await factoryVehicle())[name];
  return speakerKey('tester', fromHex(identity.agreementKey), encryptionKey)!;
}

export const tmuSigner: LocalSigner = signerFromSeed(fromHex(identity.signingSeed));

interface FactoryEcu {
  readonly storage: FaultStorage;
  /** As the registry keeps them. */
  readonly signingKey: PublicKeyJson;
  readonly encryptionKey: Uint8Array;
}

export type FactoryVehicle = Readonly<Record<EcuName, FactoryEcu>>;

let made: Promise<FactoryVehicle> | undefined;

/** Made once in a process; whoever starts an ECU takes a copy of its disk. */
export function factoryVehicle(): Promise<FactoryVehicle> {
  made ??= makeVehicle();
  return made;
}

async function makeVehicle(): Promise<FactoryVehicle> {
  const roots = mockRepositories();
  const ecus: Partial<Record<EcuName, FactoryEcu>> = {};
  for (const name of ECUS) ecus[name] = await provisioned(name, roots);
  return ecus as FactoryVehicle;
}

/** Options of a real ECU of this vehicle; `life` makes the random numbers of one start differ from those of another. */
export function ecuOptions(
  name: EcuName,
  life: number,
): Pick<CreateEcuOptions, 'vehicle' | 'benchKeys' | 'random'> {
  const random = seededRandom(name.charCodeAt(0) * 7919 + life);
  return { vehicle: attackedVehicle, benchKeys: false, random };
}

async function provisioned(name: EcuName, roots: MockRepositories): Promise<FactoryEcu> {
  const bench = await EcuBench.start({ name, options: ecuOptions(name, 0) });
  await bench.expect('1003');
  await bench.expect(concatBytes(fromHex('2EF18C'), asciiBytes(SERIALS[name])));
  await bench.expect(`2EFD13${secretOf(name, 2)}`);
  await bench.expect(`2EFD14${identity.ecus[name]!.securityAccessKey}`);
  if (name === 'CGW') await bench.expect(`2EFD15${identity.approvalKey}`);
  const tmu = x25519PublicKey(fromHex(identity.agreementKey));
  await bench.expect(concatBytes(fromHex('2EFD16'), tmu));
  await bench.expect(concatBytes(fromHex('2EFD17'), x25519PublicKey(factoryKey)));
  await bench.expect('31010220');
  await bench.sendFile('director.root.json', roots.director.anchor);
  await bench.sendFile('images.root.json', roots.images.anchor);
  const keys = fromHex((await bench.expect('22FD12')).slice(6));
  await bench.expect('31010221');
  await bench.ecu.close();
  return {
    storage: bench.storage.afterPowerCut(),
    signingKey: ed25519PublicKey(keys.subarray(0, 32)),
    encryptionKey: keys.slice(32),
  };
}

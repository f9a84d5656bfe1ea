// An ECU that is provisioned, for tests.

import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import {
  type EcuProvisions,
  Provisioner,
  type ProvisionerOptions,
} from '../../src/drivers/provisioner.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { benchWorld } from '../../src/trust/bench-keys.ts';
import { x25519PublicKey } from '../../src/trust/signing-key.ts';
import { ProvisioningState } from '../../src/uds/sid.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { type Vehicle, vehicleSchema } from '../../src/vehicle/schema.ts';
import type { FaultStorage } from '../support/fault-storage.ts';
import { EcuLink } from './ecu-link.ts';

export const VEHICLE: Vehicle = vehicleSchema.parse({
  vin: '1CANXTABENCH00001',
  buses: { main: {} },
  approval: { ecu: 'CGW' },
  ecus: ['CGW', 'EDT'].map((name, index) => ({
    name,
    hardwareId: `${name}-HW-1`,
    address: { mode: 'normal', request: 0x7e0 + index, response: 0x7e8 + index, functional: 0x7df },
    memory: { bankSize: 65536 },
    security: { algorithm: 'hmac-sha256' },
  })),
});

/** EDT writes its only bank in place. */
export const SINGLE_BANK: Vehicle = vehicleSchema.parse({
  ...VEHICLE,
  ecus: VEHICLE.ecus.map((ecu) =>
    ecu.name === 'EDT'
      ? {
          ...ecu,
          memory: { ...ecu.memory, banks: 1 },
          programming: { ...ecu.programming, activation: 'reset' },
        }
      : ecu,
  ),
});

function x25519(fill: string) {
  const privateKey = fromHex(fill.repeat(32));
  return { privateKey, publicKey: x25519PublicKey(privateKey) };
}
const TMU = x25519('44');
export const OTHER_TMU = x25519('45');
export const FACTORY = x25519('55');

export const PROVISIONS: EcuProvisions = {
  serial: 'CO-000007',
  securityAccessKey: '5e'.repeat(32),
  approvalKey: undefined,
  agreementKey: toHex(TMU.privateKey),
  testerKey: toHex(TMU.publicKey),
  factoryKey: undefined,
  directorRoot: { bytes: benchWorld().directorRoot, version: 1 },
  imagesRoot: { bytes: benchWorld().imagesRoot, version: 1 },
};

const WITHIN_MS = 60_000;

export interface Setup {
  readonly link: EcuLink;
  readonly steps: string[];
  readonly provisioner: Provisioner;
  /** Runs one method on the virtual clock. */
  within<T>(promise: Promise<T>): Promise<T>;
}

export async function setUp(
  options: {
    readonly name?: string;
    readonly storage?: FaultStorage;
    readonly random?: ProvisionerOptions['random'];
    readonly hardwareId?: string;
    readonly benchKeys?: boolean;
    readonly vehicle?: Vehicle;
    readonly faults?: EcuFaults;
  } = {},
): Promise<Setup> {
  const {
    name = 'EDT',
    storage,
    random = seededRandom(5),
    hardwareId,
    benchKeys = false,
    vehicle = VEHICLE,
    faults,
  } = options;
  const clock = new VirtualClock();
  const link = await EcuLink.start(vehicle, name, clock, {
    ...(storage && { storage }),
    ...(hardwareId !== undefined && { faults: { hardwareId } }),
    ...(faults !== undefined && { faults }),
    benchKeys,
    ...(name === 'CGW' && { approve: 'no' as const }),
  });
  const steps: string[] = [];
  const provisioner = new Provisioner({
    ecu: findEcu(vehicle, name),
    requester: link.client,
    clock,
    random,
    onStep: (step, status) => steps.push(`${step} ${status}`),
  });
  return { link, steps, provisioner, within: (promise) => clock.within(WITHIN_MS, promise) };
}

export async function ask(setup: Setup, hex: string): Promise<string> {
  const reply = await setup.within(setup.link.client.request(fromHex(hex)));
  if (reply.kind === 'negative') return `7F${toHex(Uint8Array.of(reply.sid, reply.nrc))}`;
  return reply.kind === 'positive' ? toHex(reply.data) : reply.kind;
}

/** The whole way, as a factory goes it. */
export async function provision(setup: Setup, provisions = PROVISIONS) {
  const { provisioner, within } = setup;
  const facts = await within(provisioner.inspect());
  if (!facts.ok) return facts;
  if (facts.value.state !== ProvisioningState.locked) {
    const written = await within(provisioner.write(provisions));
    if (!written.ok) return written;
    const locked = await within(provisioner.lock());
    if (!locked.ok) return locked;
  }
  return within(provisioner.verify(provisions));
}

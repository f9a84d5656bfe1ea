// An ECU of the bench vehicle behind the driver of the services, on virtual time.

import { readFileSync } from 'node:fs';
import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import type { CommandOrder } from '../../src/contract/command.ts';
import type { RunResult } from '../../src/contract/ecu-services.ts';
import { UdsEcuServices } from '../../src/drivers/ecu-services.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { parseVehicle } from '../../src/vehicle/load.ts';
import type { Vehicle } from '../../src/vehicle/schema.ts';
import { benchAuthority, EcuLink } from './ecu-link.ts';

const benchText = readFileSync('ecus/bench-vehicle.yaml', 'utf8');

/** The bench vehicle with changes in its text, and smaller banks. */
export function vehicleOf(...changes: readonly (readonly [string, string])[]): Vehicle {
  let text = benchText;
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${from} is not in the bench vehicle`);
    text = text.replace(from, to);
  }
  const vehicle = parseVehicle(text, 'bench-vehicle.yaml');
  const ecus = vehicle.ecus.map((ecu) => ({
    ...ecu,
    memory: { ...ecu.memory, bankSize: 64 * 1024 },
  }));
  return { ...vehicle, ecus };
}

export interface World {
  readonly link: EcuLink;
  readonly clock: VirtualClock;
  readonly services: UdsEcuServices;
  readonly run: (action: string, args?: CommandOrder['arguments']) => Promise<RunResult>;
  readonly within: <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>;
}
export const order = (
  action: string,
  args: CommandOrder['arguments'] = {},
  ecu = 'INV',
): CommandOrder => ({
  id: 'c1',
  ecu,
  action,
  arguments: args,
  expiresAt: '2026-03-01T00:00:00Z',
  priority: 5,
});

export async function start(
  given: { readonly ecu?: string; readonly vehicle?: Vehicle; readonly faults?: EcuFaults } = {},
): Promise<World> {
  const { ecu = 'INV', vehicle = vehicleOf(), faults } = given;
  const clock = new VirtualClock();
  const link = await EcuLink.start(vehicle, ecu, clock, {
    ...(faults && { faults }),
  });
  const services = new UdsEcuServices({
    vehicle,
    requesterFor: () => link.client,
    authorityFor: benchAuthority,
    clock,
  });
  const within = <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    clock.within(600_000, work(new AbortController().signal));
  return {
    link,
    clock,
    services,
    within,
    run: (action, args) => within((signal) => services.run(order(action, args, ecu), signal)),
  };
}

/** What is in a DID now, beside all commands. */
export async function numberIn(
  { within, services }: World,
  did: number,
): Promise<number | undefined> {
  const read = await within((signal) => services.read('INV', [did], signal));
  return read.ok ? read.readings[0]!.value : undefined;
}

// The real state of an inverter, read from the inverter itself.

import type { CanBus } from '../bus/can-bus.ts';
import { bytesToUint } from '../core/bytes.ts';
import { systemClock } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { UdsEcuServices } from '../drivers/ecu-services.ts';
import { connectTester } from '../onboard/bus.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle } from '../vehicle/schema.ts';

export interface InverterFacts {
  /** Number of calibrations during its life. */
  readonly calibrations: number;
  readonly powerLimitKw: number;
}

const INVERTER = 'INV';
const POWER_LIMIT = 0xfd50;

/** Must not run while another tester talks to the inverter. Throws Error when it does not answer. */
export async function inverterFacts(
  bus: CanBus,
  vehicle: Vehicle,
  context: Pick<Context, 'logger' | 'signal'>,
): Promise<InverterFacts> {
  const client = connectTester(bus, findEcu(vehicle, INVERTER), context);
  try {
    const services = new UdsEcuServices({
      vehicle,
      requesterFor: () => client,
      clock: systemClock,
      logger: context.logger,
    });
    const read = await services.read(INVERTER, [POWER_LIMIT], context.signal);
    if (!read.ok) throw new Error(read.reason);
    const [limit] = read.readings;
    const order = {
      ...{ id: 'bench', ecu: INVERTER, action: 'calibrate', arguments: {}, priority: 0 },
      expiresAt: new Date(0).toISOString(),
    };
    const probe = await services.probe(order, context.signal);
    if (probe.kind === 'failed') throw new Error(probe.reason);
    if (probe.kind !== 'mark') throw new Error('the inverter reports no run counter');
    return {
      // `run 3`, or a text without a number if it never ran.
      calibrations: Number(/\d+/.exec(probe.mark)?.[0] ?? 0),
      powerLimitKw: limit?.value ?? bytesToUint(limit?.raw ?? new Uint8Array()) / 10,
    };
  } finally {
    client.close();
  }
}

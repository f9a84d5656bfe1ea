// A device with a session speaks for its own vehicle and for no other.

import { HttpProblem } from '../errors.ts';
import type { AppContext } from '../http/context.ts';

/** Throws HttpProblem 403. Where nobody has to log in, nothing is known that could be compared. */
export function requireOwnVehicle(ctx: AppContext, vin: string): void {
  const { device } = ctx.state;
  if (device === undefined || device.vin === vin) return;
  throw new HttpProblem(
    403,
    'FOREIGN_VEHICLE',
    `${device.serial} belongs to ${device.vin ?? 'no vehicle'}, not to ${vin}`,
  );
}

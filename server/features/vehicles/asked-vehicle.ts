// Which vehicle a request is about.

import { latestVersion } from '../../../src/contract/endpoints/vehicles/latest-version.ts';
import { requireOwnVehicle } from '../../platform/auth/access.ts';
import { parseInput } from '../../platform/http/body.ts';
import type { AppContext } from '../../platform/http/request.ts';

// Built once: zod compiles a schema, which costs more than using it.
const vinQuery = latestVersion.request.query.pick({ vin: true });

/** What was asked for; of a device with a session always its own vehicle. */
export function vinOf(ctx: AppContext): string | undefined {
  const given = ctx.query.vin ?? ctx.headers['x-vehicle-vin'];
  const { vin } = parseInput(vinQuery, { vin: given });
  if (vin !== undefined) requireOwnVehicle(ctx, vin);
  return vin ?? ctx.state.device?.vin;
}

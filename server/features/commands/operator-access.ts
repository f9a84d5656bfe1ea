// Who may look at the services of a vehicle and who may change them: tools by token, people by session.

import { vehicleId } from '../../../src/contract/fields.ts';
import { nameOf } from '../../platform/auth/access.ts';
import { parseInput, readSmallBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { AppContext, Person } from '../../platform/http/request.ts';
import type { Services } from '../../platform/http/services.ts';
import { requireCsrf } from '../people/people.ts';

/** What an operator sent; the person where it was one. */
export interface OperatorRequest {
  readonly who: string;
  readonly address: string;
  readonly person: Person | undefined;
  readonly kind: 'json' | 'form' | 'none';
  readonly value: unknown;
}

/** Who changes something, a person by his CSRF token, and what they sent. Throws HttpProblem 400, 403, 408, 413, 415. */
export async function mayChange(ctx: AppContext, services: Services): Promise<OperatorRequest> {
  const { address, person } = ctx.state;
  const body =
    ctx.method === 'DELETE'
      ? ({ kind: 'none', value: {} } as const)
      : await readSmallBody(ctx, services.clock);
  if (person !== undefined) {
    const header = ctx.get('X-CSRF-Token');
    const field = (body.value as { _csrf?: unknown } | null)?._csrf;
    await requireCsrf(ctx, services, header === '' ? String(field ?? '') : header);
  }
  return { who: nameOf(ctx), address, person, ...body };
}

/** The VIN of the path. Throws HttpProblem 404 where no device is registered with it. */
export async function knownVehicle(ctx: AppContext, services: Services): Promise<string> {
  const vin = parseInput(vehicleId, ctx.params.vin);
  if ((await services.devices.ofVehicle(vin)).length > 0) return vin;
  throw new HttpProblem(
    404,
    'VEHICLE_UNKNOWN',
    `no device is registered with the VIN ${vin}: can-ota provision registers those of a vehicle`,
  );
}

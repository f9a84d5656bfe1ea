// Who may look at the services of a vehicle and who may change them: tools by token, people by session.

import { bearerOf } from '../auth/callers.ts';
import { requireCsrf, requirePerson } from '../auth/people.ts';
import { HttpProblem } from '../errors.ts';
import { parseInput, readSmallBody } from '../http/body.ts';
import type { AppContext, Person, Services } from '../http/context.ts';
import { vehicleId } from './input.ts';

/** What an operator sent; the person where it was one. */
export interface OperatorRequest {
  readonly who: string;
  readonly address: string;
  readonly person: Person | undefined;
  readonly kind: 'json' | 'form' | 'none';
  readonly value: unknown;
}

/** Anybody who may log in, or a token of the role `operator`. Throws HttpProblem 401, 403, 429. */
export async function mayRead(ctx: AppContext, services: Services): Promise<void> {
  if (bearerOf(ctx) === undefined) await requirePerson(ctx, services);
  else await services.gate.service(ctx, services, 'operator');
  ctx.set('Cache-Control', 'no-store');
}

/**
 * An administrator with his CSRF token, or a tool with a token of the role `operator`; with what it sent. Throws
 * HttpProblem 400, 401, 403, 408, 413, 415, 429.
 */
export async function mayChange(ctx: AppContext, services: Services): Promise<OperatorRequest> {
  const { address } = ctx.state;
  ctx.set('Cache-Control', 'no-store');
  const isTool = bearerOf(ctx) !== undefined;
  const token = isTool ? await services.gate.service(ctx, services, 'operator') : undefined;
  const person = isTool ? undefined : await requirePerson(ctx, services, 'admin');
  const body =
    ctx.method === 'DELETE'
      ? ({ kind: 'none', value: {} } as const)
      : await readSmallBody(ctx, services.clock);
  if (person !== undefined) {
    const header = ctx.get('X-CSRF-Token');
    const field = (body.value as { _csrf?: unknown } | null)?._csrf;
    await requireCsrf(ctx, services, header === '' ? String(field ?? '') : header);
  }
  return { who: token?.name ?? person?.name ?? '', address, person, ...body };
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

// Who may look at the remote features of a vehicle and who may change them: tools by token, people by session.

import { vehicleId } from '../../../src/contract/fields.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { nameOf } from '../../platform/auth/access.ts';
import type { AuditTrail } from '../../platform/auth/audit-trail.ts';
import type { Person } from '../../platform/auth/identity.ts';
import { requireCsrf } from '../../platform/auth/person-session.ts';
import { parseInput, readSmallBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { AppContext } from '../../platform/http/request.ts';
import type { DeviceStore } from '../registry/store.ts';

/** What an operator sent; the person where it was one. */
export interface OperatorRequest {
  readonly who: string;
  readonly address: string;
  readonly person: Person | undefined;
  readonly kind: 'json' | 'form' | 'none';
  readonly value: unknown;
}

export class OperatorAccess {
  readonly #audit: AuditTrail;
  readonly #clock: Clock;
  readonly #devices: DeviceStore;

  constructor(parts: {
    readonly audit: AuditTrail;
    readonly clock: Clock;
    readonly devices: DeviceStore;
  }) {
    this.#audit = parts.audit;
    this.#clock = parts.clock;
    this.#devices = parts.devices;
  }

  /** Who changes something, a person by his CSRF token, and what they sent. Throws HttpProblem 400, 403, 408, 413, 415. */
  async mayChange(ctx: AppContext): Promise<OperatorRequest> {
    const { address, person } = ctx.state;
    const body =
      ctx.method === 'DELETE'
        ? ({ kind: 'none', value: {} } as const)
        : await readSmallBody(ctx, this.#clock);
    if (person !== undefined) {
      const header = ctx.get('X-CSRF-Token');
      const field = (body.value as { _csrf?: unknown } | null)?._csrf;
      const token = header === '' ? String(field ?? '') : header;
      await requireCsrf(ctx, { audit: this.#audit }, token);
    }
    return { who: nameOf(ctx), address, person, ...body };
  }

  /** The VIN of the path. Throws HttpProblem 404 where no device is registered with it. */
  async knownVehicle(ctx: AppContext): Promise<string> {
    const vin = parseInput(vehicleId, ctx.params.vin);
    if ((await this.#devices.ofVehicle(vin)).length > 0) return vin;
    throw new HttpProblem(
      404,
      'VEHICLE_UNKNOWN',
      `no device is registered with the VIN ${vin}: can-ota provision registers those of a vehicle`,
    );
  }
}

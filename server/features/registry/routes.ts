// The factory's side of the registry: POST /provision and POST /provision/activate.

import type Router from '@koa/router';
import { activate } from '../../../src/contract/endpoints/registry/activate.ts';
import { provision } from '../../../src/contract/endpoints/registry/provision.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { defined } from '../../../src/core/optional.ts';
import { nameOf, type RouteGuard } from '../../platform/auth/access.ts';
import type { RegisteredDevice } from '../../platform/auth/identity.ts';
import { readBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { RequestState } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import type { Actor, DeviceRefusal, DeviceStore, Twin } from './store.ts';

export interface RegistryRoutesParts {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly devices: DeviceStore;
}

export function registryRoutes(parts: RegistryRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(provision, async (ctx) => {
    const body = await readBody(ctx, provision, parts.clock);
    const actor = { who: nameOf(ctx), address: ctx.state.address };
    const result = await parts.devices.provision(
      body.hw_id,
      {
        vin: body.vin,
        name: body.name,
        hardwareId: body.hardware_id,
        ...defined({ primary: body.primary }),
        signingKey: body.signing_key,
        encryptionKey: body.encryption_key,
        secretHash: body.device_secret_hash,
      },
      actor,
    );
    switch (result.kind) {
      case 'created':
      case 'changed':
      case 'same':
        ctx.status = result.kind === 'created' ? 201 : 200;
        ctx.set('Cache-Control', 'no-store');
        ctx.body = deviceJson(result.device);
        return;
      default:
        throw await refused(result, body.hw_id, actor);
    }
  });

  router.answer(activate, async (ctx) => {
    const body = await readBody(ctx, activate, parts.clock);
    const actor = { who: nameOf(ctx), address: ctx.state.address };
    const result = await parts.devices.activate(body.hw_id, actor);
    if ('kind' in result) throw await refused(result, body.hw_id, actor);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = deviceJson(result);
  });

  return router;

  async function refused(refusal: DeviceRefusal, hwId: string, actor: Actor): Promise<HttpProblem> {
    const problem = registryProblem(refusal, hwId);
    const detail = `chip ${hwId}: ${problem.code}: ${problem.message}`;
    await parts.audit.record({ action: 'device.refused', ...actor, detail });
    return problem;
  }
}

/** Everything except the hash of the secret: with that hash a client could log in as the device. */
export function deviceJson(device: RegisteredDevice): Record<string, unknown> {
  return {
    hw_id: device.hwId,
    serial: device.serial,
    status: device.status,
    vin: device.vin ?? null,
    name: device.name ?? null,
    hardware_id: device.hardwareId ?? null,
    primary: device.primary,
    signing_key: device.signingKey ?? null,
    encryption_key: device.encryptionKey ?? null,
    has_device_secret: device.secretHash !== undefined,
    created_at: device.createdAt,
    updated_at: device.updatedAt,
  };
}

function registryProblem(refusal: DeviceRefusal, hwId: string): HttpProblem {
  return new HttpProblem(
    refusal.kind === 'unknown' ? 404 : 409,
    `DEVICE_${refusal.kind.toUpperCase() as Uppercase<DeviceRefusal['kind']>}`,
    explainRefusal(refusal, hwId),
  );
}

/** For the operator: what was seen and what it means. */
export function twinText({ count, lastAt }: Twin): string {
  return (
    `TWIN: ${count} ${count === 1 ? 'time' : 'times'}, last ${lastAt}: its state directory was copied and two devices ` +
    'use it, or an old state was restored. Keep one, reopen the serial, and provision it again'
  );
}

/** Shared with the commands on the data folder. */
export function explainRefusal(refusal: DeviceRefusal, asked: string): string {
  switch (refusal.kind) {
    case 'unknown':
      return `there is no device ${asked}: "can-ota server device list" shows all of them`;
    case 'active':
      return `${refusal.device.serial} is active and has another ${refusal.field}: if this is the same chip and its flash is lost, run can-ota server device reopen ${refusal.device.serial} and provision it again; otherwise revoke it, and provision the new part`;
    case 'revoked':
      return `${refusal.device.serial} is revoked: can-ota server device activate accepts it as it was, can-ota server device reopen lets it be provisioned again; otherwise use another part`;
    case 'taken':
      return `${refusal.what} belongs to ${refusal.device.serial}, which is ${refusal.device.status}: revoke that one first, or give this one its own`;
    case 'incomplete':
      return `${refusal.device.serial} is a Primary and has no ${refusal.field} yet: send it with POST /provision first`;
    default:
      return refusal satisfies never;
  }
}

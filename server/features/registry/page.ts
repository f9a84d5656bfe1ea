// The page of the registered devices.

import type Router from '@koa/router';
import { devicesPage } from '../../../src/contract/endpoints/people/pages.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { type RequestState, requiredPerson } from '../../platform/http/request.ts';
import { type PageFrame, show } from '../../platform/http/show-page.ts';
import { deviceJson, twinText } from './routes.ts';
import type { DeviceStore } from './store.ts';

const DEVICES_SHOWN = 1000;

export function devicesRoutes(parts: {
  readonly guard: RouteGuard;
  readonly frame: PageFrame;
  readonly devices: DeviceStore;
}): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(devicesPage, async (ctx) => {
    const devices = await parts.devices.list(DEVICES_SHOWN);
    const twins = await parts.devices.twins();
    await show(ctx, parts.frame, requiredPerson(ctx), 'devices', {
      title: 'Devices',
      devices: devices.map((device) => {
        const twin = twins.get(device.serial);
        return { ...deviceJson(device), twin: twin === undefined ? null : twinText(twin) };
      }),
    });
  });

  return router;
}

// Makes the service table of a booted ECU from the rows of its services.

import { sleep } from '../../../src/core/clock.ts';
import type { ServiceHandler, ServiceHandlers } from '../../../src/uds/server-types.ts';
import { ECU_SERVICES } from './services/all.ts';
import type { EcuService, ServiceParts } from './services/ecu-service.ts';

export function serviceHandlers(parts: ServiceParts): ServiceHandlers {
  const services: readonly EcuService[] = ECU_SERVICES;
  const handlers: Record<number, ServiceHandler> = {};
  const answered: Record<number, ServiceHandler> = {};
  const securable = services.filter(({ isSecurable }) => isSecurable === true);
  const inside = { securable: new Set(securable.map(({ sid }) => sid)), handlers };
  for (const service of services) {
    const handler = service.handler(parts, () => inside);
    if (handler === undefined) continue;
    handlers[service.sid] = handler;
    answered[service.sid] = slowed(service, handler, parts);
  }
  return answered;
}

/** Delays every answer, for the fault `slowMs`. */
function slowed(
  { isNeverSlow }: EcuService,
  handler: ServiceHandler,
  { device, clock }: ServiceParts,
): ServiceHandler {
  const { slowMs } = device.faults;
  if (slowMs === undefined || isNeverSlow === true) return handler;
  return {
    ...handler,
    handle: async (request, context) => {
      await sleep(clock, 'slow', slowMs);
      return handler.handle(request, context);
    },
  };
}

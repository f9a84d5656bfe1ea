// The conversations that `can-ota monitor` follows: those of the vehicle file, and those that identifiers tell by themselves.

import { normalAddress, reverseAddress, testerAddresses } from '../../isotp/address.ts';
import type { SniffedRoute } from '../../isotp/sniffer.ts';
import type { Vehicle } from '../../vehicle/schema.ts';

/** Both directions of every ECU, and the functional requests. */
export function routesOf(vehicle: Vehicle): SniffedRoute[] {
  const routes: SniffedRoute[] = [];
  const functionalSeen = new Set<string>();
  for (const ecu of vehicle.ecus) {
    const { physical, functional } = testerAddresses(ecu.address);
    routes.push({ name: `> ${ecu.name}`, address: physical });
    routes.push({ name: `< ${ecu.name}`, address: reverseAddress(physical) });
    if (functional === undefined) continue;
    const key = `${functional.tx.id}/${functional.txAddressByte}`;
    if (!functionalSeen.has(key)) routes.push({ name: '> all', address: functional });
    functionalSeen.add(key);
  }
  // The identifiers of ISO 15765-4 for emission-related ECUs, which nearly every vehicle uses, where they are free.
  for (let offset = 0; offset < 8; offset++) {
    const request = { id: 0x7e0 + offset, extended: false };
    const response = { id: 0x7e8 + offset, extended: false };
    const known = routes.some(
      ({ address }) => address.tx.id === request.id || address.tx.id === response.id,
    );
    if (known) continue;
    const address = normalAddress(request, response);
    routes.push({ name: `> ${request.id.toString(16).toUpperCase()}`, address });
    routes.push({
      name: `< ${response.id.toString(16).toUpperCase()}`,
      address: reverseAddress(address),
    });
  }
  return routes;
}

/** Normal fixed addressing tells both ends in its identifiers: 18DA<target><source>, and 18DB for all. */
export function fixedRoute(id: number): SniffedRoute | undefined {
  const format = (id >> 16) & 0xff;
  if (id >>> 26 > 7 || (format !== 0xda && format !== 0xdb)) return undefined;
  const [target, source] = [(id >> 8) & 0xff, id & 0xff];
  const byte = (value: number): string => value.toString(16).toUpperCase().padStart(2, '0');
  const identifier = { id, extended: true };
  return {
    name: format === 0xdb ? `${byte(source)} > all` : `${byte(source)} > ${byte(target)}`,
    address: normalAddress(identifier, identifier),
  };
}

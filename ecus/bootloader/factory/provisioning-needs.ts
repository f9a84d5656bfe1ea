// What an ECU needs from the factory, by its vehicle file.

import type { EcuSecurity, Vehicle } from '../../../src/vehicle/schema.ts';

/** What this ECU cannot do without; some of it depends on the vehicle file. */
export interface ProvisioningNeeds {
  /** SecurityAccess by HMAC, and no secret of its own in the vehicle file. */
  readonly securityAccessKey: boolean;
  /** The ECU asks the driver, and the vehicle file has no key for that. */
  readonly approvalKey: boolean;
}

export function provisioningNeeds(
  ecuName: string,
  security: EcuSecurity,
  approval: Vehicle['approval'],
): ProvisioningNeeds {
  return {
    securityAccessKey: security.algorithm === 'hmac-sha256' && security.secret === undefined,
    approvalKey: approval?.ecu === ecuName && approval.key === undefined,
  };
}

// The data that an ECU needs from the factory, depending on its vehicle file.

import type { Vehicle } from '../../../src/vehicle/schema.ts';
import { type EcuSecurity, usesProvisionedKey } from '../../../src/vehicle/security/all.ts';

/** Required data that depends on the vehicle file. */
export interface ProvisioningNeeds {
  /** Whether SecurityAccess needs a provisioned key, because the vehicle file has no secret. */
  readonly securityAccessKey: boolean;
  /** Whether the ECU asks the driver and the vehicle file has no key for it. */
  readonly approvalKey: boolean;
}

export function provisioningNeeds(
  ecuName: string,
  security: EcuSecurity,
  approval: Vehicle['approval'],
): ProvisioningNeeds {
  return {
    securityAccessKey: usesProvisionedKey(security) && security.secret === undefined,
    approvalKey: approval?.ecu === ecuName && approval.key === undefined,
  };
}

// What an ECU needs from the factory, by its vehicle file.

import type { Vehicle } from '../../../src/vehicle/schema.ts';
import { type EcuSecurity, usesProvisionedKey } from '../../../src/vehicle/security/all.ts';

/** What this ECU cannot do without; some of it depends on the vehicle file. */
export interface ProvisioningNeeds {
  /** SecurityAccess with a provisioned key: the vehicle file has no secret of its own. */
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
    securityAccessKey: usesProvisionedKey(security) && security.secret === undefined,
    approvalKey: approval?.ecu === ecuName && approval.key === undefined,
  };
}

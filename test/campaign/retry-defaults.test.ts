// How often and how long each kind of failure is tried when the vehicle file says nothing.

import { expect, it } from 'vitest';
import { DEFAULT_RETRY_POLICY, retryPolicyOf } from '../../src/campaign/retry-policy.ts';

it('is what README says of it', () => {
  expect(DEFAULT_RETRY_POLICY).toEqual({
    bus: { tries: 5, seconds: 900 },
    silent: { tries: 3, seconds: 900 },
    busy: { tries: 3, seconds: 900 },
    restart: { tries: 3, seconds: 900 },
    transfer: { tries: 3, seconds: 1800 },
    refused: { tries: 3, seconds: 300 },
    trust: { tries: 3, seconds: 300 },
    activation: { tries: 3, seconds: 600 },
    network: { tries: 3, seconds: 900 },
  });
  const changed = retryPolicyOf({ bus: { tries: 1, seconds: 2 } });
  expect(changed).toEqual({ ...DEFAULT_RETRY_POLICY, bus: { tries: 1, seconds: 2 } });
});

// The limits of a campaign: the built-in ones, overridden by the vehicle file and the caller.

import { type RetryLimit, retryPolicyOf } from '../campaign/retry-policy.ts';
import { type CampaignConfig, DEFAULT_CAMPAIGN_CONFIG } from '../campaign/state.ts';
import type { Vehicle } from '../vehicle/schema.ts';

export function campaignConfigOf(
  { policy }: Vehicle,
  changes: Partial<CampaignConfig> = {},
): CampaignConfig {
  const given = Object.entries(policy.retry).filter(
    (entry): entry is [string, RetryLimit] => entry[1] !== undefined,
  );
  const retry = retryPolicyOf(Object.fromEntries(given));
  return { ...DEFAULT_CAMPAIGN_CONFIG, retry, ...changes };
}

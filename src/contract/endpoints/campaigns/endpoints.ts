// The endpoints of campaigns.

import { askAgain } from './ask-again.ts';
import { cancelCampaign } from './cancel.ts';
import { showCampaign } from './show.ts';
import { campaignStatus } from './status.ts';

export const CAMPAIGN_ENDPOINTS = [campaignStatus, showCampaign, cancelCampaign, askAgain] as const;

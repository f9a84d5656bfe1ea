// The record of DID FD25 about the last campaign of an ECU, and the commitment to its receipt.

import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { commitmentOf } from '../../../src/trust/authority.ts';
import { CAMPAIGN_BYTES, encodeCampaignRecord } from '../../../src/uds/campaign-record.ts';
import { type BankCampaign, type BootRecord, campaignOf } from './boot-record.ts';

/** The commitment to the receipt, which an ECU sends before the receipt; hexadecimal. */
export function commitment({ id, receipt }: BankCampaign): string {
  return toHex(commitmentOf(fromHex(id), fromHex(receipt)));
}

/** The value of DID FD25. */
export function campaignRecordOf(record: BootRecord): Uint8Array {
  const campaign = campaignOf(record);
  if (campaign === null) {
    const none = new Uint8Array(CAMPAIGN_BYTES);
    return encodeCampaignRecord({ state: 'none', campaign: none, commitment: none });
  }
  return encodeCampaignRecord({
    state: campaign.evidence === null ? 'open' : 'confirmed',
    campaign: fromHex(campaign.id),
    commitment: fromHex(commitment(campaign)),
  });
}

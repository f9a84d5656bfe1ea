// Campaigns and the orders of operators about them, as they are stored.

import { bit, tableRows, text, time } from '../../platform/db/row.ts';

export interface StoredCampaign {
  readonly vin: string;
  readonly campaign: string;
  /** As the vehicle called it last: `staging`, `safe-state`. */
  readonly state: string;
  readonly startedAt: string;
  readonly heardAt: string;
  /** When the vehicle reported its outcome. */
  readonly endedAt: string | undefined;
}

/** That the driver is asked again about a campaign which he has refused. */
export interface StoredAskOrder {
  readonly vin: string;
  readonly campaign: string;
  readonly by: string;
  readonly reason: string;
  readonly orderedAt: string;
}

/** That a campaign ends, and what the vehicle answered. */
export interface StoredCancelOrder extends StoredAskOrder {
  readonly order: string;
  readonly state: 'open' | 'accepted' | 'refused';
  /** Why, as the vehicle says it. */
  readonly answer: string | undefined;
  readonly answeredAt: string | undefined;
}

const campaignRows = tableRows('campaigns', {
  id: text,
  vin: text,
  campaign: text,
  state: text,
  started_at: time,
  heard_at: time,
  ended_at: time.nullable(),
});

const order = { id: text, vin: text, campaign: text, ordered_by: text, reason: text };
const askRows = tableRows('ask_orders', { ...order, ordered_at: time });
const cancelRows = tableRows('cancel_orders', {
  ...order,
  ordered_at: time,
  accepted: bit.nullable(),
  answer: text.nullable(),
  answered_at: time.nullable(),
});

export function campaignOf(row: unknown): StoredCampaign {
  const { vin, campaign, state, started_at, heard_at, ended_at } = campaignRows.read(row);
  return {
    ...{ vin, campaign, state, startedAt: started_at, heardAt: heard_at },
    endedAt: ended_at ?? undefined,
  };
}

export function askOrderOf(row: unknown): StoredAskOrder {
  const { vin, campaign, ordered_by, reason, ordered_at } = askRows.read(row);
  return { vin, campaign, by: ordered_by, reason, orderedAt: ordered_at };
}

export function cancelOrderOf(row: unknown): StoredCancelOrder {
  const read = cancelRows.read(row);
  const { id, vin, campaign, ordered_by, reason, ordered_at, accepted } = read;
  return {
    ...{ order: id, vin, campaign, by: ordered_by, reason, orderedAt: ordered_at },
    state: accepted === null ? 'open' : accepted === 1 ? 'accepted' : 'refused',
    answer: read.answer ?? undefined,
    answeredAt: read.answered_at ?? undefined,
  };
}

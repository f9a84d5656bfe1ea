// The result of a campaign, put together from what its states have gathered.

import type { CycleOutcome } from './outcome.ts';
import type { Campaign, CampaignResult, EcuOutcome, Reported, Transfer } from './state.ts';

interface Gathered {
  readonly code?: string;
  readonly reason?: string;
  readonly untilWallMs?: number;
  readonly transfers?: Readonly<Record<string, Transfer>>;
  readonly reported?: Readonly<Record<string, Reported>>;
  /** By ECU. */
  readonly errors?: Readonly<Record<string, string>>;
}

export function resultOf(
  campaign: Campaign,
  outcome: CycleOutcome,
  gathered: Gathered,
): CampaignResult {
  const { transfers = {}, reported = {}, errors = {}, ...texts } = gathered;
  const ecus = campaign.plan.items.map((item): EcuOutcome => {
    const transfer = transfers[item.ecu];
    const report = reported[item.ecu];
    const error = errors[item.ecu];
    return {
      name: item.ecu,
      hardwareId: item.hardwareId,
      from: item.from.version,
      to: item.to.version,
      reported: report?.version ?? null,
      sha256: report?.sha256 ?? null,
      bytes: transfer?.bytes ?? 0,
      seconds: transfer?.seconds ?? 0,
      ...(error === undefined ? {} : { error }),
    };
  });
  const { id, startedWallMs, plan, planDigest } = campaign;
  return { id, outcome, startedWallMs, plan, planDigest, ecus, ...texts };
}

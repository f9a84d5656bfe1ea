// Makes the result of a campaign from the data of its states.

import { defined } from '../core/optional.ts';
import type { ByEcu } from './changes.ts';
import { type Changes, changedIn } from './changes.ts';
import type { CycleOutcome } from './outcome.ts';
import type {
  Campaign,
  CampaignResult,
  CampaignState,
  EcuOutcome,
  Reported,
  RolledBack,
  Transfer,
} from './state.ts';

interface Gathered {
  readonly code?: string;
  readonly reason?: string;
  readonly untilWallMs?: number;
  readonly until?: 'ignition-off';
  readonly transfers?: ByEcu<Transfer>;
  /** What was changed; missing when no step was begun. */
  readonly changes?: Changes;
  readonly reported?: ByEcu<Reported | RolledBack>;
  readonly errors?: ByEcu<string>;
  readonly uncommitted?: readonly string[];
  readonly receipts?: readonly string[];
}

export function resultOf(
  campaign: Campaign,
  outcome: CycleOutcome,
  gathered: Gathered,
): CampaignResult {
  const { transfers = {}, changes = {}, reported = {}, errors = {} } = gathered;
  const { uncommitted = [], receipts = [], code, reason, untilWallMs, until } = gathered;
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
      unchanged:
        changedIn(changes, item.ecu) === 'no' ||
        (report !== undefined && 'unchanged' in report && report.unchanged),
      bytes: transfer?.bytes ?? 0,
      seconds: transfer?.seconds ?? 0,
      ...defined({ resumedAt: transfer?.resumedAt, error }),
    };
  });
  const { id, startedWallMs, plan, planDigest, warnings } = campaign;
  return {
    ...{ id, outcome, startedWallMs, plan, planDigest, ecus, warnings, uncommitted, receipts },
    ...defined({ code, reason, untilWallMs, until }),
  };
}

/** Ends a campaign without a rollback: either no ECU runs its software, or all do. */
export function over(campaign: Campaign, outcome: CycleOutcome, gathered: Gathered): CampaignState {
  return {
    kind: 'idle',
    finished: resultOf(campaign, outcome, gathered),
    // A success has written every lost ECU (see `offered`); after any other outcome they stay lost.
    mixed: outcome === 'SUCCESS' ? null : campaign.mixed,
  };
}

// The history of campaigns from the journal, the oldest first: time, plan, who approved it, and the result per ECU.

import { defined } from '../core/optional.ts';
import type { ApprovedBy, CampaignEvent } from './event.ts';
import type { JournalRecord } from './journal.ts';
import { mixedResult } from './mixed.ts';
import type { CycleOutcome } from './outcome.ts';
import { step } from './reducer.ts';
import { resultOf } from './result.ts';
import { type Campaign, type CampaignResult, type CampaignState, IDLE } from './state.ts';

export interface HistoryEcu {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** Version that the ECU reported last; null where it was not asked. */
  readonly reported: string | null;
  /** True when nothing was changed in the ECU. */
  readonly unchanged: boolean;
  /** Bytes carried over the bus. */
  readonly bytes: number;
  /** Duration of the transfer. */
  readonly seconds: number;
  readonly resumedAt?: number;
  readonly error?: string;
}

export interface HistoryEntry {
  readonly id: string;
  readonly startedWallMs: number;
  /** End of the campaign; null while it is under way. */
  readonly endedWallMs: number | null;
  readonly outcome: CycleOutcome | null;
  readonly code: string | null;
  readonly reason: string | null;
  readonly warnings: readonly string[];
  /** Who approved the campaign; null while it is not approved. */
  readonly approvedBy: ApprovedBy | null;
  /** Number of restarts of the process during the campaign. */
  readonly restarts: number;
  readonly ecus: readonly HistoryEcu[];
}

interface Ended {
  readonly wallMs: number;
  readonly result: CampaignResult;
}

type WithCampaign = Extract<CampaignState, { readonly campaign: Campaign }>;

interface Gathered {
  current: WithCampaign;
  approvedBy: ApprovedBy | null;
  restarts: number;
  ended: Ended | null;
}

/**
 * The campaigns in the records of one or several files, in order. A campaign that appears twice (a shortened journal)
 * gives one entry. A campaign that was dropped before anything happened (`abandoned`) gives none. Pure.
 */
export function historyOf(records: readonly JournalRecord[]): HistoryEntry[] {
  const campaigns = new Map<string, Gathered>();
  let state: CampaignState = IDLE;
  for (const { event, wallMs } of records) {
    // Files follow each other without a mark: an offer that this state cannot accept begins the next file.
    if (event.kind === 'offered' && step(state, event).state === state) state = IDLE;
    const before = state;
    state = step(before, event).state;
    if (event.kind === 'offered' && 'campaign' in state) {
      campaigns.set(event.id, { current: state, approvedBy: null, restarts: 0, ended: null });
    }
    const id = campaignOf(state) ?? campaignOf(before);
    const entry = id === undefined ? undefined : campaigns.get(id);
    if (id === undefined || entry === undefined) continue;
    if (event.kind === 'abandoned' && before !== state) campaigns.delete(id);
    if ('campaign' in state && state.campaign.id === id) entry.current = state;
    take(entry, before, state, event);
    const ended = endOf(before, state, wallMs);
    if (ended !== undefined) entry.ended = ended;
  }
  return [...campaigns.values()].map(entryOf);
}

function campaignOf(state: CampaignState): string | undefined {
  if ('campaign' in state) return state.campaign.id;
  return state.kind === 'idle' ? state.finished?.id : undefined;
}

/** Weight of an approval: the driver counts most, then a forced safety release, then the policy. */
const WEIGHT: Readonly<Record<ApprovedBy, number>> = { policy: 1, forced: 2, driver: 3 };

function take(
  entry: Gathered,
  before: CampaignState,
  after: CampaignState,
  event: CampaignEvent,
): void {
  if (before === after) return;
  if (event.kind === 'resumed' && before.kind !== 'safe-state') entry.restarts++;
  if (event.kind !== 'answered' || event.answer.kind !== 'approved') return;
  const known = entry.approvedBy === null ? 0 : WEIGHT[entry.approvedBy];
  if (WEIGHT[event.by] > known) entry.approvedBy = event.by;
}

function endOf(before: CampaignState, after: CampaignState, wallMs: number): Ended | undefined {
  if (before === after) return undefined;
  if (after.kind === 'idle' && after.finished !== null && before.kind !== 'idle') {
    return { wallMs, result: after.finished };
  }
  if (after.kind === 'safe-state' && !after.reported && before.kind === 'rolling-back') {
    return { wallMs, result: mixedResult(after) };
  }
  return undefined;
}

function entryOf({ current, approvedBy, restarts, ended }: Gathered): HistoryEntry {
  const result = ended?.result ?? soFar(current);
  return {
    id: result.id,
    startedWallMs: result.startedWallMs,
    endedWallMs: ended?.wallMs ?? null,
    outcome: ended === null ? null : result.outcome,
    code: ended === null ? null : (result.code ?? null),
    reason: ended === null ? null : (result.reason ?? null),
    warnings: result.warnings,
    approvedBy,
    restarts,
    ecus: result.ecus.map(({ hardwareId: _hardwareId, sha256: _sha256, ...ecu }) => ecu),
  };
}

/** The result so far of a campaign under way; its outcome is not shown. */
function soFar(state: WithCampaign): CampaignResult {
  const transfers =
    'transfers' in state ? state.transfers : 'staged' in state ? state.staged : undefined;
  const reported =
    'verified' in state ? state.verified : 'undone' in state ? state.undone : undefined;
  return resultOf(state.campaign, 'INTERRUPTED', {
    ...('changes' in state ? { changes: state.changes } : {}),
    ...defined({ transfers, reported }),
  });
}

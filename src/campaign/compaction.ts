// Shortens the journal of a safe state, which can last for months with one attempt to leave it at every start.

import type { JournalRecord } from './journal.ts';
import { lostOf } from './mixed.ts';
import { step } from './reducer.ts';
import { type CampaignState, IDLE } from './state.ts';

/**
 * The records that lead to the safe state in which `records` end. Attempts to leave it that brought no ECU back are
 * left out, and so is an attempt under way; their number is lost. Undefined where `records` do not end in a safe state.
 * Pure.
 */
export function compacted(records: readonly JournalRecord[]): JournalRecord[] | undefined {
  let kept: JournalRecord[] = [];
  // Safe states not left yet, the oldest first: a campaign begun in a safe state can end in a second one.
  let marks: { readonly campaign: string; readonly kept: number; readonly lost: number }[] = [];
  let state: CampaignState = IDLE;
  for (const record of records) {
    const next = step(state, record.event).state;
    if (next === state) continue;
    state = next;
    kept.push(record);
    if (state.kind === 'idle' && state.finished === null) {
      kept = [];
      marks = [];
    }
    if (state.kind !== 'safe-state' || !state.reported) continue;
    const { id } = state.campaign;
    const lost = lostOf(state).length;
    const index = marks.findIndex(({ campaign }) => campaign === id);
    const mark = marks[index];
    if (mark === undefined) {
      marks.push({ campaign: id, kept: kept.length, lost });
    } else if (lost < mark.lost) {
      marks = [...marks.slice(0, index), { campaign: id, kept: kept.length, lost }];
    } else {
      kept = kept.slice(0, mark.kept);
      marks = marks.slice(0, index + 1);
    }
  }
  if (state.kind === 'safe-state' && state.reported) return kept;
  const last = marks.at(-1);
  const isLeaving =
    state.kind === 'rolling-back' && state.attempt > 0 && state.campaign.id === last?.campaign;
  return isLeaving ? kept.slice(0, last.kept) : undefined;
}

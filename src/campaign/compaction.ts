// A safe state can last for months, with an attempt to leave it at every start: what its journal needs of all that.

import type { JournalRecord } from './journal.ts';
import { lostOf } from './mixed.ts';
import { step } from './reducer.ts';
import { type CampaignState, IDLE } from './state.ts';

/**
 * The records that lead to the safe state in which `records` end, without the attempts to leave it that brought nothing
 * back (the one under way, too); how many there were is forgotten. Undefined where they end in anything else. Pure.
 */
export function compacted(records: readonly JournalRecord[]): JournalRecord[] | undefined {
  let kept: JournalRecord[] = [];
  // Safe states that are not left yet, the outer ones first: a later campaign can end in one of its own.
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

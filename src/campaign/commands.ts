// The commands that must be under way in a state, whether the state was just entered or read from the journal.

import { assertNever } from '../core/errors.ts';
import { changedIn } from './changes.ts';
import { lastGroup, nextGroup, nextPerBus } from './group.ts';
import { mixedResult } from './mixed.ts';
import type { PlanItem } from './plan.ts';
import type { EcuStep } from './ports.ts';
import { retryPauseMs } from './retry-policy.ts';
import {
  allConfirmed,
  type CampaignCommand,
  type CampaignState,
  type Forward,
  type StateOf,
} from './state.ts';

/** Key of a command; two commands with the same key are the same work. */
export function commandKey(command: CampaignCommand): string {
  switch (command.kind) {
    case 'check':
    case 'finish':
      return command.kind;
    case 'ask':
      return `ask ${command.phase}`;
    case 'download':
      return `download ${command.item.download.sha256}`;
    case 'check-gate':
      return `check-gate ${command.gate}`;
    case 'ecu':
      return `${command.step} ${command.item.ecu} ${command.tries}`;
    default:
      return assertNever(command);
  }
}

/** All commands that must be under way in this state. After a restart they are given again. */
export function commandsOf(state: CampaignState): CampaignCommand[] {
  switch (state.kind) {
    case 'idle':
      return state.finished === null ? [] : [{ kind: 'finish', result: state.finished }];
    case 'checking':
      return [{ kind: 'check' }];
    case 'downloading': {
      const item = state.campaign.plan.items.find(
        ({ download }) => !state.done.includes(download.sha256),
      );
      return item === undefined ? [] : [{ kind: 'download', item }];
    }
    case 'awaiting-approval':
      return [{ kind: 'ask', phase: state.phase }];
    case 'staging':
      if (state.gate !== null) return [{ kind: 'check-gate', gate: state.gate }];
      return stepOf(state, 'stage', nextPerBus(state.campaign.plan, Object.keys(state.staged)));
    case 'activating':
      return stepOf(state, 'activate', nextGroup(state.campaign.plan, state.activated));
    case 'verifying':
      return stepOf(state, 'verify', nextGroup(state.campaign.plan, Object.keys(state.verified)));
    case 'committing': {
      const { plan } = state.campaign;
      return allConfirmed(state)
        ? stepOf(state, 'commit', nextGroup(plan, [...state.committed, ...state.uncommitted]))
        : stepOf(state, 'confirm', nextGroup(plan, state.confirmed));
    }
    case 'rolling-back':
      return stepOf(state, 'roll-back', lastGroup(state.campaign.plan, state.pending));
    case 'safe-state':
      return state.reported ? [] : [{ kind: 'finish', result: mixedResult(state) }];
    default:
      return assertNever(state);
  }
}

function stepOf(
  state: Forward | StateOf<'rolling-back'>,
  step: EcuStep,
  items: readonly PlanItem[],
): CampaignCommand[] {
  const { retryDelayMs } = state.campaign.limits;
  return items.map((item) => {
    const failed = state.tries[item.ecu]?.failed ?? 0;
    return {
      kind: 'ecu',
      step,
      campaign: state.campaign.id,
      item,
      tries: failed,
      delayMs: retryPauseMs(failed, retryDelayMs),
      changed: changedIn(state.changes, item.ecu),
      knownDtcs: step === 'verify' ? dtcsOf(state, item.ecu) : undefined,
      evidence: evidenceFor(state, step),
    };
  });
}

/** The evidence that an ECU needs before it confirms (commitments) and before it raises its counter (receipts). */
function evidenceFor(state: Forward | StateOf<'rolling-back'>, step: EcuStep): readonly string[] {
  if (state.kind !== 'committing') return [];
  if (step === 'commit') return Object.values(state.receipts);
  return Object.values(state.verified).flatMap(({ commitment }) => commitment ?? []);
}

function dtcsOf(
  state: Forward | StateOf<'rolling-back'>,
  ecu: string,
): readonly string[] | undefined {
  return state.kind === 'staging' ? undefined : state.transfers[ecu]?.dtcs;
}

// The campaign as a pure step: event in, next state and commands out. A restart needs nothing but the state.

import { assertNever } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import { commandKey, commandsOf } from './commands.ts';
import type { CampaignEvent, EventOf } from './event.ts';
import { changing, resumed, rolledBack, stepFailed } from './failure.ts';
import { activated, committed, confirmed, staged, verified } from './forward.ts';
import { answered, cancelled, conditionLost, gate } from './interruption.ts';
import { lostOf } from './mixed.ts';
import { over } from './result.ts';
import {
  type Campaign,
  type CampaignCommand,
  type CampaignState,
  DEFAULT_CAMPAIGN_CONFIG,
  IDLE,
  type SafeState,
} from './state.ts';

export interface CampaignStep {
  readonly state: CampaignState;
  readonly commands: readonly CampaignCommand[];
}

/**
 * One step. An event that the state does not expect (late or repeated) changes nothing, so the shell may deliver an
 * event more than once.
 */
export function step(state: CampaignState, event: CampaignEvent): CampaignStep {
  const next = reduce(state, event);
  if (next === state) return { state, commands: [] };
  const running = new Set(commandsOf(state).map(commandKey));
  return {
    state: next,
    commands: commandsOf(next).filter((command) => !running.has(commandKey(command))),
  };
}

/** The state after all records of a journal. The limits are in its events, so the configuration has no influence. */
export function replay(records: Iterable<{ readonly event: CampaignEvent }>): CampaignState {
  let state: CampaignState = IDLE;
  for (const { event } of records) state = reduce(state, event);
  return state;
}

function reduce(state: CampaignState, event: CampaignEvent): CampaignState {
  switch (event.kind) {
    case 'poll':
      if (state.kind === 'idle' && state.finished === null)
        return { kind: 'checking', mixed: null };
      return state.kind === 'safe-state' && state.reported
        ? { kind: 'checking', mixed: state }
        : state;
    case 'nothing':
      return state.kind === 'checking' ? atRest(state.mixed) : state;
    case 'offered':
      return offered(state, event);
    case 'resumed':
      return resumed(state, event);
    case 'abandoned':
      return state.kind === 'downloading' ? atRest(state.campaign.mixed) : state;
    case 'downloaded': {
      if (state.kind !== 'downloading' || state.done.includes(event.sha256)) return state;
      const { campaign } = state;
      const done = [...state.done, event.sha256];
      const all = campaign.plan.items.every(({ download }) => done.includes(download.sha256));
      if (!all) return { ...state, done };
      return {
        kind: 'awaiting-approval',
        campaign,
        phase: 'install',
        staged: {},
        changes: {},
        restarts: 0,
      };
    }
    case 'download-failed':
      return state.kind === 'downloading'
        ? over(state.campaign, event.outcome, {
            code: event.code,
            reason: event.reason,
            ...defined({ untilWallMs: event.untilWallMs }),
          })
        : state;
    case 'answered':
      return answered(state, event);
    case 'gate':
      return gate(state, event);
    case 'condition-lost':
      return conditionLost(state, event);
    case 'cancelled':
      return cancelled(state, event);
    case 'changing':
      return changing(state, event);
    case 'staged':
      return staged(state, event);
    case 'activated':
      return activated(state, event);
    case 'verified':
      return verified(state, event);
    case 'confirmed':
      return confirmed(state, event);
    case 'committed':
      return committed(state, event);
    case 'rolled-back':
      return rolledBack(state, event);
    case 'step-failed':
      return stepFailed(state, event);
    case 'closed':
      if (state.kind === 'safe-state' && !state.reported) return { ...state, reported: true };
      return state.kind === 'idle' && state.finished !== null ? atRest(state.mixed) : state;
    default:
      return assertNever(event);
  }
}

function offered(state: CampaignState, event: EventOf<'offered'>): CampaignState {
  const mixed = restingIn(state);
  if (mixed === undefined) return state;
  const { id, nonce, plan, planDigest, wallMs, asks = [] } = event;
  // Only a plan that writes every lost ECU ends a mixed state; any other plan would leave the vehicle mixed.
  const covers = (ecu: string): boolean => plan.items.some((item) => item.ecu === ecu);
  if (mixed !== null && !lostOf(mixed).every(covers)) {
    return state.kind === 'checking' ? mixed : state;
  }
  const campaign: Campaign = {
    ...{ id, nonce, plan, planDigest, asks, mixed },
    startedWallMs: wallMs,
    limits: event.limits ?? DEFAULT_CAMPAIGN_CONFIG,
    warnings: [],
  };
  return asks.includes('download')
    ? {
        kind: 'awaiting-approval',
        campaign,
        phase: 'download',
        staged: {},
        changes: {},
        restarts: 0,
      }
    : { kind: 'downloading', campaign, done: [] };
}

/**
 * The safe state in which the vehicle rests, null without one, undefined while something is under way. Polls are not
 * journaled, so in a replay an offer comes at rest.
 */
function restingIn(state: CampaignState): SafeState | null | undefined {
  if (state.kind === 'checking') return state.mixed;
  if (state.kind === 'safe-state') return state.reported ? state : undefined;
  return state.kind === 'idle' && state.finished === null ? null : undefined;
}

function atRest(mixed: SafeState | null): CampaignState {
  return mixed ?? IDLE;
}

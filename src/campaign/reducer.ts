// The campaign as a pure step: event in, next state and commands out. What a restart needs follows from the state alone.

import { assertNever } from '../core/errors.ts';
import { commandKey, commandsOf } from './commands.ts';
import type { CampaignEvent, EcuStep, EventOf } from './event.ts';
import type { CycleOutcome } from './outcome.ts';
import type { DriverErrorCode } from './ports.ts';
import { resultOf } from './result.ts';
import {
  type Campaign,
  type CampaignCommand,
  type CampaignConfig,
  type CampaignState,
  type Forward,
  IDLE,
  type StateOf,
  type Transfer,
} from './state.ts';
import { over, rollOn, undo } from './undo.ts';

export interface Step {
  readonly state: CampaignState;
  readonly commands: readonly CampaignCommand[];
}

/**
 * One step. An event that the state does not expect (a late answer, a repeated one) changes nothing, so the shell
 * may deliver every event at least once.
 */
export function step(state: CampaignState, event: CampaignEvent, config: CampaignConfig): Step {
  const next = reduce(state, event, config);
  if (next === state) return { state, commands: [] };
  const running = new Set(commandsOf(state, config).map(commandKey));
  return {
    state: next,
    commands: commandsOf(next, config).filter((command) => !running.has(commandKey(command))),
  };
}

function reduce(state: CampaignState, event: CampaignEvent, config: CampaignConfig): CampaignState {
  switch (event.kind) {
    case 'poll':
      return state.kind === 'idle' && state.finished === null ? { kind: 'checking' } : state;
    case 'nothing':
      return state.kind === 'checking' ? IDLE : state;
    case 'offered': {
      // Accepted when idle too: polls are not journaled, so a replay meets the offer first.
      if (state.kind !== 'checking' && !(state.kind === 'idle' && state.finished === null)) {
        return state;
      }
      const { id, nonce, plan, planDigest, wallMs } = event;
      return {
        kind: 'downloading',
        campaign: { id, nonce, plan, planDigest, startedWallMs: wallMs },
        done: [],
      };
    }
    case 'resumed':
      return resumed(state, event.nonce, config);
    case 'abandoned':
      return state.kind === 'downloading' ? IDLE : state;
    case 'downloaded': {
      if (state.kind !== 'downloading' || state.done.includes(event.sha256)) return state;
      const done = [...state.done, event.sha256];
      const all = state.campaign.plan.items.every(({ download }) => done.includes(download.sha256));
      return all ? { kind: 'awaiting-approval', campaign: state.campaign } : { ...state, done };
    }
    case 'download-failed':
      if (state.kind !== 'downloading') return state;
      return over(state.campaign, event.outcome, event.code, event.reason);
    case 'answered':
      return state.kind === 'awaiting-approval' ? answered(state.campaign, event.answer) : state;
    case 'gate':
      return state.kind === 'staging' && state.gate === event.gate
        ? gate(state, event, config)
        : state;
    case 'staged': {
      if (state.kind !== 'staging' || state.gate !== null || !isNew(state, event.ecu, state.staged))
        return state;
      const staged = { ...state.staged, [event.ecu]: transferOf(event) };
      const all = state.campaign.plan.items.every(({ ecu }) => staged[ecu] !== undefined);
      return {
        ...state,
        staged,
        gate: all ? 'activate' : null,
        tries: without(state.tries, event.ecu),
        restarts: 0,
      };
    }
    case 'activated': {
      if (state.kind !== 'activating' || !isTurnOf(state, event.ecu, state.activated)) return state;
      const before = state.transfers[event.ecu];
      const activated = [...state.activated, event.ecu];
      // A single-bank ECU is written by its activation: its bytes come with this event.
      const transfers =
        event.bytes > 0 || before === undefined
          ? { ...state.transfers, [event.ecu]: transferOf(event) }
          : state.transfers;
      const rest = { campaign: state.campaign, transfers, tries: {}, restarts: 0 };
      return activated.length === state.campaign.plan.items.length
        ? { kind: 'verifying', ...rest, verified: {} }
        : { kind: 'activating', ...rest, activated };
    }
    case 'verified':
      return verified(state, event, config);
    case 'confirmed': {
      if (state.kind !== 'committing' || !isTurnOf(state, event.ecu, state.confirmed)) return state;
      const confirmed = [...state.confirmed, event.ecu];
      if (confirmed.length < state.campaign.plan.items.length) {
        return { ...state, confirmed, tries: {}, restarts: 0 };
      }
      return {
        kind: 'idle',
        finished: resultOf(state.campaign, 'SUCCESS', {
          transfers: state.transfers,
          reported: state.verified,
        }),
      };
    }
    case 'rolled-back': {
      if (state.kind !== 'rolling-back' || state.pending[0] !== event.ecu) return state;
      const undone = {
        ...state.undone,
        [event.ecu]: { version: event.version, sha256: event.sha256 },
      };
      return rollOn({ ...state, undone, pending: state.pending.slice(1), tries: {} });
    }
    case 'step-failed':
      return stepFailed(state, event, config);
    case 'closed':
      return state.kind === 'idle' && state.finished !== null ? IDLE : state;
    default:
      return assertNever(event);
  }
}

function answered(campaign: Campaign, answer: EventOf<'answered'>['answer']): CampaignState {
  switch (answer.kind) {
    case 'approved':
      return { kind: 'staging', campaign, gate: 'stage', staged: {}, tries: {}, restarts: 0 };
    case 'later':
      return over(campaign, 'DEFERRED', 'LATER', 'the driver chose a later time', {
        untilWallMs: answer.untilWallMs,
      });
    case 'denied':
      return over(campaign, 'USER_REJECTED', 'DENIED', 'the driver denied the update');
    case 'withdrawn':
      return over(campaign, 'USER_REJECTED', 'WITHDRAWN', 'the driver took the approval back');
    case 'timed-out':
      // Nobody said no: the question comes again later.
      return over(campaign, 'DEFERRED', 'TIMED_OUT', 'nobody answered the question in time');
    case 'forged':
      return over(campaign, 'SECURITY_VALIDATION_FAILED', 'FORGED_APPROVAL', answer.reason);
    case 'unreachable':
      return over(campaign, 'PRECONDITION_FAILED', 'APPROVAL_UNREACHABLE', answer.reason);
    default:
      return assertNever(answer);
  }
}

function gate(
  state: StateOf<'staging'>,
  { result }: EventOf<'gate'>,
  config: CampaignConfig,
): CampaignState {
  const before = state.gate === 'stage';
  switch (result.kind) {
    case 'open':
      if (before) return { ...state, gate: null };
      return {
        kind: 'activating',
        campaign: state.campaign,
        transfers: state.staged,
        activated: [],
        tries: {},
        restarts: 0,
      };
    case 'condition':
      return undo(
        state,
        {
          outcome: 'PRECONDITION_FAILED',
          code: 'CONDITION',
          reason: result.reason,
        },
        config,
      );
    case 'withdrawn':
      return undo(
        state,
        {
          outcome: 'USER_REJECTED',
          code: 'WITHDRAWN',
          reason: 'the driver took the approval back',
        },
        config,
      );
    case 'forged':
      return undo(
        state,
        {
          outcome: 'SECURITY_VALIDATION_FAILED',
          code: 'FORGED_APPROVAL',
          reason: result.reason,
        },
        config,
      );
    default:
      return assertNever(result);
  }
}

function verified(
  state: CampaignState,
  event: EventOf<'verified'>,
  config: CampaignConfig,
): CampaignState {
  if (state.kind !== 'verifying') return state;
  if (!isTurnOf(state, event.ecu, Object.keys(state.verified))) return state;
  const { version, sha256, ecu } = event;
  const { to } = state.campaign.plan.items.find((item) => item.ecu === ecu)!;
  const done = { ...state.verified, [ecu]: { version, sha256 } };
  // What the ECU cannot say is null: the driver has decided that this kind of ECU need not say it.
  if (sha256 !== null && sha256 !== to.sha256) {
    const reason = `${ecu} runs an image with SHA-256 ${sha256} after activation, expected ${to.sha256}`;
    return undo(
      state,
      { outcome: 'ROLLBACK_COMPLETED', code: 'DIGEST_MISMATCH', reason, ecu },
      config,
    );
  }
  if (version !== null && version !== to.version) {
    const reason = `${ecu} reports version ${JSON.stringify(version)} after activation, expected ${to.version}`;
    return undo(
      state,
      { outcome: 'ROLLBACK_COMPLETED', code: 'VERSION_MISMATCH', reason, ecu },
      config,
    );
  }
  if (Object.keys(done).length < state.campaign.plan.items.length) {
    return { ...state, verified: done, tries: {}, restarts: 0 };
  }
  const { campaign, transfers } = state;
  return {
    kind: 'committing',
    campaign,
    transfers,
    verified: done,
    confirmed: [],
    tries: {},
    restarts: 0,
  };
}

const STEP_OF = {
  staging: 'stage',
  activating: 'activate',
  verifying: 'verify',
  committing: 'confirm',
  'rolling-back': 'roll-back',
} as const satisfies Record<string, EcuStep>;

function stepFailed(
  state: CampaignState,
  event: EventOf<'step-failed'>,
  config: CampaignConfig,
): CampaignState {
  if (!(state.kind in STEP_OF)) return state;
  const working = state as Forward | StateOf<'rolling-back'>;
  const expected = commandsOf(working, config).some(
    (command) =>
      command.kind === 'ecu' && command.step === event.step && command.item.ecu === event.ecu,
  );
  if (!expected) return state;
  const failed = (working.tries[event.ecu] ?? 0) + 1;
  if (event.transient && failed < config.stepTries) {
    return { ...working, tries: { ...working.tries, [event.ecu]: failed } };
  }
  if (working.kind === 'rolling-back') {
    const failure = { code: event.code, reason: event.reason };
    return rollOn({
      ...working,
      failed: { ...working.failed, [event.ecu]: failure },
      pending: working.pending.slice(1),
      tries: {},
    });
  }
  const { code, reason, ecu, attack } = event;
  const outcome = outcomeOf(working.kind, code);
  return undo(working, { outcome, code: attack ?? code, reason, ecu }, config);
}

/** Before activation some failures have an outcome of their own; nothing of the running software was touched. */
function outcomeOf(kind: Forward['kind'], code: DriverErrorCode): CycleOutcome {
  if (kind !== 'staging') return 'ROLLBACK_COMPLETED';
  switch (code) {
    case 'SECURITY':
    case 'UNTRUSTED':
      return 'SECURITY_VALIDATION_FAILED';
    case 'PRECONDITION':
    case 'WRONG_HARDWARE':
    case 'IMAGE_TOO_LARGE':
      return 'PRECONDITION_FAILED';
    default:
      return 'ROLLBACK_COMPLETED';
  }
}

function resumed(state: CampaignState, nonce: string, config: CampaignConfig): CampaignState {
  switch (state.kind) {
    // What was answered to the old question while nobody listened (a time-out) shall not count.
    case 'awaiting-approval':
      return { ...state, campaign: { ...state.campaign, nonce } };
    case 'staging':
    case 'activating':
    case 'verifying':
    case 'committing': {
      const restarts = state.restarts + 1;
      if (restarts <= config.restartLimit) return { ...state, restarts };
      return undo(
        state,
        {
          outcome: 'ROLLBACK_COMPLETED',
          code: 'INTERRUPTED',
          reason: `${restarts} restarts without progress while ${state.kind}`,
        },
        config,
      );
    }
    // After a restart every way back gets its tries again.
    case 'rolling-back':
      return Object.keys(state.tries).length === 0 ? state : { ...state, tries: {} };
    default:
      return state;
  }
}

function transferOf({ bytes, seconds }: Transfer): Transfer {
  return { bytes, seconds };
}

function isNew(
  state: StateOf<'staging'>,
  ecu: string,
  done: Readonly<Record<string, unknown>>,
): boolean {
  return done[ecu] === undefined && state.campaign.plan.items.some((item) => item.ecu === ecu);
}

function isTurnOf(
  state: { readonly campaign: Campaign },
  ecu: string,
  done: readonly string[],
): boolean {
  return state.campaign.plan.items.find((item) => !done.includes(item.ecu))?.ecu === ecu;
}

function without(
  tries: Readonly<Record<string, number>>,
  ecu: string,
): Readonly<Record<string, number>> {
  if (tries[ecu] === undefined) return tries;
  return Object.fromEntries(Object.entries(tries).filter(([name]) => name !== ecu));
}

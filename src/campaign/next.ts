// Describes the next step in one sentence. It depends on the state alone, so it is right after a kill, too.

import { assertNever } from '../core/errors.ts';
import { present } from '../core/present.ts';
import { isTouched } from './changes.ts';
import { commandsOf } from './commands.ts';
import { lostOf } from './mixed.ts';
import { allConfirmed, type Campaign, type CampaignState, type StateOf } from './state.ts';

/** The next step, one sentence without a full stop: `stages INV next (EDT is done), then activates both`. */
export function nextStep(state: CampaignState): string {
  switch (state.kind) {
    case 'idle':
      return state.finished === null
        ? 'asks the backend for news at the next poll'
        : `writes down and reports ${state.finished.outcome}, then is ready for the next update`;
    case 'checking':
      return 'verifies what the backend offers and decides whether an update begins';
    case 'awaiting-approval':
      return awaiting(state);
    case 'downloading': {
      const files = new Set(state.campaign.plan.items.map(({ download }) => download.sha256));
      return (
        `fetches ${fetching(state)} (${state.done.length} of ${files.size} images are there), ` +
        'then asks for the approval of the installation; a restart checks the offer again first'
      );
    }
    case 'staging':
      return staging(state);
    case 'activating':
      return `activates ${now(state, state.activated)}, then verifies ${both(state.campaign)}; it is finished, not stopped`;
    case 'verifying':
      return `verifies ${now(state, Object.keys(state.verified))}, then confirms ${both(state.campaign)}; what fails takes ${both(state.campaign)} back`;
    case 'committing':
      return allConfirmed(state)
        ? `raises the security counter of ${now(state, state.committed)}, then reports SUCCESS`
        : `confirms ${now(state, state.confirmed)}, then raises the security counters`;
    case 'rolling-back':
      return goingBack(state);
    case 'safe-state': {
      const lost = list(lostOf(state));
      if (!state.reported) return `reports that ${lost} could not be taken back`;
      return `tries again to take ${lost} back, at the next start or after a pause; a new release for ${lost} leads out, too`;
    }
    default:
      return assertNever(state);
  }
}

/**
 * The next step of a process that has just started: it checks the conditions again, which it could not watch meanwhile.
 */
export function nextStepAfterRestart(state: CampaignState): string {
  return nextStep(
    state.kind === 'staging' && state.gate === null ? { ...state, gate: 'stage' } : state,
  );
}

function staging(state: StateOf<'staging'>): string {
  const { campaign, gate, begun, staged } = state;
  const all = everyone(campaign);
  if (gate === 'activate') {
    return `checks the conditions and the approval for the last time, then activates ${all}: from there on it is finished`;
  }
  if (gate === 'stage' && !begun) {
    return `checks the conditions of the vehicle and the approval, then stages ${all}`;
  }
  const then = campaign.asks.includes('activate')
    ? 'asks for the approval of the activation'
    : `activates ${both(campaign)}`;
  const work = `stages ${now({ ...state, gate: null }, Object.keys(staged))}, then ${then}`;
  return gate === null
    ? work
    : `checks once more the conditions of the vehicle and the approval, then ${work}`;
}

function awaiting({ campaign, phase }: StateOf<'awaiting-approval'>): string {
  switch (phase) {
    case 'download':
      return `waits for the approval of the download, then fetches the images for ${everyone(campaign)}`;
    case 'install':
      return `waits for the approval of the installation, then stages ${everyone(campaign)}`;
    case 'activate':
      return `waits for the approval of the activation, then activates ${everyone(campaign)}`;
    default:
      return assertNever(phase);
  }
}

function fetching(state: StateOf<'downloading'>): string {
  const command = commandsOf(state)[0];
  return command?.kind === 'download' ? `the image for ${command.item.ecu}` : 'nothing more';
}

function goingBack(state: StateOf<'rolling-back'>): string {
  const { campaign, cause, attempt, pending } = state;
  const group = working(state);
  const back = group.map((ecu) => {
    const item = campaign.plan.items.find((one) => one.ecu === ecu);
    const from = present(item, `${ecu} in the plan`).from.version;
    return isTouched(state.changes, ecu)
      ? `${ecu} back to ${from}`
      : `back what is staged in ${ecu}`;
  });
  const left = pending.filter((ecu) => !group.includes(ecu));
  const rest = left.length === 0 ? '' : `, then ${list(left)}`;
  const end = attempt === 0 ? cause.outcome : 'ROLLBACK_COMPLETED';
  return `takes ${list(back)}${rest}, then reports ${end}`;
}

/** Names the ECUs that come next and those that are done. */
function now(
  state: StateOf<'staging' | 'activating' | 'verifying' | 'committing'>,
  done: readonly string[],
): string {
  const text = `${list(working(state))} next`;
  if (done.length === 0) return text;
  return `${text} (${list(done)} ${done.length === 1 ? 'is' : 'are'} done)`;
}

function working(state: CampaignState): string[] {
  return commandsOf(state).flatMap((command) => (command.kind === 'ecu' ? [command.item.ecu] : []));
}

function both({ plan }: Campaign): string {
  switch (plan.items.length) {
    case 1:
      return 'it';
    case 2:
      return 'both';
    default:
      return `all ${plan.items.length}`;
  }
}

function everyone({ plan }: Campaign): string {
  return list(plan.items.map(({ ecu }) => ecu));
}

/** Joins names: `A`, `A and B`, `A, B and C`. */
function list(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

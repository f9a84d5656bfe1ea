// The commands that belong to a state: what has to be under way, whether the state was just entered or read from the journal.

import { assertNever } from '../core/errors.ts';
import type { EcuStep } from './event.ts';
import type { PlanItem } from './plan.ts';
import type { CampaignCommand, CampaignConfig, CampaignState, Forward, StateOf } from './state.ts';

/** Two commands with one key are the same work. */
export function commandKey(command: CampaignCommand): string {
  switch (command.kind) {
    case 'check':
    case 'ask':
    case 'finish':
      return command.kind;
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

/** Everything that has to be under way in this state: what a restart gives out again. */
export function commandsOf(state: CampaignState, config: CampaignConfig): CampaignCommand[] {
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
      return [{ kind: 'ask' }];
    case 'staging':
      if (state.gate !== null) return [{ kind: 'check-gate', gate: state.gate }];
      return state.campaign.plan.items
        .filter(({ ecu }) => state.staged[ecu] === undefined)
        .slice(0, Math.max(1, config.parallel))
        .map((item) => ecuCommand('stage', item, state.tries, config));
    case 'activating':
      return nextOnly('activate', state, state.activated, config);
    case 'verifying':
      return nextOnly('verify', state, Object.keys(state.verified), config);
    case 'committing':
      return nextOnly('confirm', state, state.confirmed, config);
    case 'rolling-back': {
      const name = state.pending[0];
      const item = state.campaign.plan.items.find(({ ecu }) => ecu === name);
      if (item === undefined) return [];
      const touched = state.touched.includes(item.ecu);
      return [{ ...ecuCommand('roll-back', item, state.tries, config), touched }];
    }
    default:
      return assertNever(state);
  }
}

function nextOnly(
  stepName: EcuStep,
  state: Exclude<Forward, StateOf<'staging'>>,
  done: readonly string[],
  config: CampaignConfig,
): CampaignCommand[] {
  const item = state.campaign.plan.items.find(({ ecu }) => !done.includes(ecu));
  return item === undefined ? [] : [ecuCommand(stepName, item, state.tries, config)];
}

function ecuCommand(
  stepName: EcuStep,
  item: PlanItem,
  tries: Readonly<Record<string, number>>,
  config: CampaignConfig,
): Extract<CampaignCommand, { kind: 'ecu' }> {
  const failed = tries[item.ecu] ?? 0;
  const delayMs = failed === 0 ? 0 : config.retryDelayMs * 2 ** (failed - 1);
  return { kind: 'ecu', step: stepName, item, tries: failed, delayMs, touched: false };
}

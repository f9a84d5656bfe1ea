// A plan of three ECUs, and the events of its course.

import type { CampaignEvent, EventOf } from '../../src/campaign/event.ts';
import { type Plan, planDigest } from '../../src/campaign/plan.ts';
import { step } from '../../src/campaign/reducer.ts';
import {
  type CampaignCommand,
  type CampaignConfig,
  type CampaignState,
  DEFAULT_CAMPAIGN_CONFIG,
  IDLE,
} from '../../src/campaign/state.ts';

export const hash = (digit: string): string => digit.repeat(64);

export const NAMES = ['EDT', 'INV', 'BMS'] as const;

export const plan: Plan = {
  vin: '1CANXTABENCH00001',
  items: NAMES.map((ecu, index) => ({
    ecu,
    hardwareId: `${ecu}-HW-1`,
    from: { version: '1.0.0', sha256: hash('0') },
    to: {
      version: '2.0.0',
      sha256: hash(String(index + 1)),
      size: 1000 * (index + 1),
      releaseCounter: 2,
    },
    targetName: `${ecu}-2.0.0.bin`,
    download: {
      file: `${ecu}-2.0.0.bin`,
      size: 1000 * (index + 1),
      sha256: hash(String(index + 1)),
    },
    encryption: null,
    notes: '',
  })),
};

export const shaOf = (ecu: string): string =>
  plan.items.find((item) => item.ecu === ecu)!.to.sha256;

export const offered: EventOf<'offered'> = {
  kind: 'offered',
  id: 'a'.repeat(32),
  nonce: 'b'.repeat(32),
  wallMs: 1_767_225_600_000,
  plan,
  planDigest: planDigest(plan),
};

export const downloads: CampaignEvent[] = NAMES.map((ecu) => ({
  kind: 'downloaded',
  sha256: shaOf(ecu),
}));
export const approved: CampaignEvent = { kind: 'answered', answer: { kind: 'approved' } };
export const openGate = (gate: 'stage' | 'activate'): CampaignEvent => ({
  kind: 'gate',
  gate,
  result: { kind: 'open' },
});
export const staged = (ecu: string): CampaignEvent => ({
  kind: 'staged',
  ecu,
  bytes: 1000,
  seconds: 2,
});
export const activated = (ecu: string): CampaignEvent => ({
  kind: 'activated',
  ecu,
  bytes: 0,
  seconds: 0,
});
export const verified = (ecu: string): CampaignEvent => ({
  kind: 'verified',
  ecu,
  version: '2.0.0',
  sha256: shaOf(ecu),
});
export const confirmed = (ecu: string): CampaignEvent => ({ kind: 'confirmed', ecu });
export const rolledBack = (ecu: string): CampaignEvent => ({
  kind: 'rolled-back',
  ecu,
  version: '1.0.0',
  sha256: hash('0'),
});
export const failedStep = (
  stepName: EventOf<'step-failed'>['step'],
  ecu: string,
  code: EventOf<'step-failed'>['code'] = 'REFUSED',
  transient = false,
): CampaignEvent => ({
  kind: 'step-failed',
  step: stepName,
  ecu,
  code,
  reason: `${ecu} ${code}`,
  transient,
});

/** The whole way to SUCCESS. */
export const HAPPY: CampaignEvent[] = [
  { kind: 'poll' },
  offered,
  ...downloads,
  approved,
  openGate('stage'),
  ...NAMES.map(staged),
  openGate('activate'),
  ...NAMES.map(activated),
  ...NAMES.map(verified),
  ...NAMES.map(confirmed),
];

export const UNTIL_STAGING = HAPPY.slice(0, 7);
export const UNTIL_STAGED = HAPPY.slice(0, 10);
export const UNTIL_ACTIVATING = HAPPY.slice(0, 11);
export const UNTIL_VERIFYING = HAPPY.slice(0, 14);
export const UNTIL_COMMITTING = HAPPY.slice(0, 17);

export interface Course {
  readonly state: CampaignState;
  /** Every command that was given, as text. */
  readonly commands: readonly string[];
}

export function play(
  events: readonly CampaignEvent[],
  config: CampaignConfig = DEFAULT_CAMPAIGN_CONFIG,
): Course {
  let state: CampaignState = IDLE;
  const commands: string[] = [];
  for (const event of events) {
    const next = step(state, event, config);
    state = next.state;
    commands.push(...next.commands.map(commandText));
  }
  return { state, commands };
}

export function commandText(command: CampaignCommand): string {
  switch (command.kind) {
    case 'ecu': {
      const wait = command.delayMs > 0 ? ` after ${command.delayMs}` : '';
      return `${command.step} ${command.item.ecu}${command.touched ? ' touched' : ''}${wait}`;
    }
    case 'download':
      return `download ${command.item.ecu}`;
    case 'check-gate':
      return `gate ${command.gate}`;
    case 'finish':
      return `finish ${command.result.outcome}`;
    default:
      return command.kind;
  }
}

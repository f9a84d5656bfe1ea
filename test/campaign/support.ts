// A plan of three ECUs, and the events of its course.

import { isTouched } from '../../src/campaign/changes.ts';
import { commandsOf } from '../../src/campaign/commands.ts';
import type { CampaignEvent, EventOf } from '../../src/campaign/event.ts';
import { type Plan, planDigest } from '../../src/campaign/plan.ts';
import { step } from '../../src/campaign/reducer.ts';
import {
  type CampaignCommand,
  type CampaignResult,
  type CampaignState,
  IDLE,
} from '../../src/campaign/state.ts';

export const hash = (digit: string): string => digit.repeat(64);

export const NAMES = ['EDT', 'INV', 'BMS'] as const;

export const plan: Plan = {
  vin: '1CANXTABENCH00001',
  items: NAMES.map((ecu, index) => ({
    ecu,
    hardwareId: `${ecu}-HW-1`,
    order: index,
    bus: 'can',
    forced: false,
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
export const answered = (
  answer: EventOf<'answered'>['answer'],
  phase: EventOf<'answered'>['phase'] = 'install',
  by: EventOf<'answered'>['by'] = 'driver',
): CampaignEvent => ({ kind: 'answered', phase, by, answer });
export const approved = answered({ kind: 'approved' });
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
  changed: 'yes',
});
export const activated = (ecu: string): CampaignEvent => ({
  kind: 'activated',
  ecu,
  bytes: 0,
  seconds: 0,
  changed: 'yes',
});
export const verified = (ecu: string): CampaignEvent => ({
  kind: 'verified',
  ecu,
  version: '2.0.0',
  sha256: shaOf(ecu),
});
export const confirmed = (ecu: string): CampaignEvent => ({ kind: 'confirmed', ecu });
export const committed = (ecu: string): CampaignEvent => ({ kind: 'committed', ecu });
export const rolledBack = (ecu: string): CampaignEvent => ({
  kind: 'rolled-back',
  ecu,
  version: '1.0.0',
  sha256: hash('0'),
  unchanged: false,
});
/** Unless told otherwise it has changed its ECU; a rollback has changed nothing that runs. */
export const failedStep = (
  stepName: EventOf<'step-failed'>['step'],
  ecu: string,
  code: EventOf<'step-failed'>['code'] = 'REFUSED',
  transient = false,
  tookMs = 100,
  changed: EventOf<'step-failed'>['changed'] = stepName === 'roll-back' ? 'no' : 'yes',
): CampaignEvent => ({
  kind: 'step-failed',
  step: stepName,
  ecu,
  code,
  reason: `${ecu} ${code}`,
  transient,
  changed,
  tookMs,
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
  ...NAMES.map(committed),
];

export const UNTIL_STAGING = HAPPY.slice(0, 7);
export const UNTIL_STAGED = HAPPY.slice(0, 10);
export const UNTIL_ACTIVATING = HAPPY.slice(0, 11);
export const UNTIL_VERIFYING = HAPPY.slice(0, 14);
export const UNTIL_COMMITTING = HAPPY.slice(0, 17);
export const UNTIL_CONFIRMED = HAPPY.slice(0, 20);

/** The same campaign with other ranks (and buses), and other phases that are asked. */
export function offeredWith(changes: {
  ranks?: readonly number[];
  buses?: readonly string[];
  asks?: EventOf<'offered'>['asks'];
  id?: string;
  only?: readonly string[];
}): EventOf<'offered'> {
  const { ranks, buses, asks, id = offered.id, only = NAMES } = changes;
  const items = plan.items.map((item, index) => ({
    ...item,
    order: ranks?.[index] ?? item.order,
    bus: buses?.[index] ?? item.bus,
  }));
  const changed = { ...plan, items: items.filter(({ ecu }) => only.includes(ecu)) };
  return {
    ...offered,
    id,
    plan: changed,
    planDigest: planDigest(changed),
    ...(asks === undefined ? {} : { asks }),
  };
}

/** `events` with another offer at their beginning. */
export function under(
  offer: EventOf<'offered'>,
  events: readonly CampaignEvent[],
): CampaignEvent[] {
  return events.map((event) => (event.kind === 'offered' ? offer : event));
}

export interface Course {
  readonly state: CampaignState;
  /** Every command that was given, as text. */
  readonly commands: readonly string[];
}

export function play(events: readonly CampaignEvent[], from: CampaignState = IDLE): Course {
  let state = from;
  const commands: string[] = [];
  for (const event of events) {
    const next = step(state, event);
    state = next.state;
    commands.push(...next.commands.map(commandText));
  }
  return { state, commands };
}

/** What the campaign is about to report. */
export function resultOf(events: readonly CampaignEvent[]): CampaignResult {
  const { state } = play(events);
  const finish = commandsOf(state).find((command) => command.kind === 'finish');
  if (finish?.kind !== 'finish') throw new Error(`ended ${state.kind}`);
  return finish.result;
}

/** One ECU of three that could neither go forwards nor back; reported. */
export const SAFE: CampaignEvent[] = [
  ...UNTIL_ACTIVATING,
  activated('EDT'),
  failedStep('activate', 'INV'),
  rolledBack('BMS'),
  failedStep('roll-back', 'INV', 'SILENT'),
  rolledBack('EDT'),
  { kind: 'closed' },
];
/** The step is about to send what can change its ECU. */
export const changing = (step: 'stage' | 'activate', ecu: string): CampaignEvent => ({
  ...{ kind: 'changing', step, ecu },
});
export const resumed: CampaignEvent = { kind: 'resumed', nonce: 'c'.repeat(32) };

/** ECUs whose activation may have begun. */
export function touchedIn(state: CampaignState): string[] {
  return 'changes' in state ? NAMES.filter((ecu) => isTouched(state.changes, ecu)) : [];
}

export function commandText(command: CampaignCommand): string {
  switch (command.kind) {
    case 'ecu': {
      const wait = command.delayMs > 0 ? ` after ${command.delayMs}` : '';
      return `${command.step} ${command.item.ecu}${wait}`;
    }
    case 'download':
      return `download ${command.item.ecu}`;
    case 'ask':
      return `ask ${command.phase}`;
    case 'check-gate':
      return `gate ${command.gate}`;
    case 'finish':
      return `finish ${command.result.outcome}`;
    default:
      return command.kind;
  }
}

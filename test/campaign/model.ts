// A vehicle as a campaign sees it, with a will of its own: commands take effect although they fail, trials end by themselves.

import { commandsOf } from '../../src/campaign/commands.ts';
import type { CampaignEvent, EventOf } from '../../src/campaign/event.ts';
import type { DriverErrorCode } from '../../src/campaign/ports.ts';
import { replay, step } from '../../src/campaign/reducer.ts';
import { retryPolicyOf } from '../../src/campaign/retry-policy.ts';
import {
  type CampaignCommand,
  type CampaignConfig,
  type CampaignState,
  IDLE,
} from '../../src/campaign/state.ts';
import { hash } from './support.ts';

/** Small, so that every limit is met. */
const TIGHT: CampaignConfig = {
  retry: retryPolicyOf(
    Object.fromEntries(
      ['bus', 'silent', 'busy', 'restart', 'transfer', 'refused', 'trust', 'activation'].map(
        (kind) => [kind, { tries: 2, seconds: 60 }],
      ),
    ),
  ),
  retryDelayMs: 1000,
  restartLimit: 2,
};

/** What happens in one step of the world. Numbers pick: they are taken modulo what there is. */
export interface Turn {
  readonly kind: 'done' | 'fails' | 'killed' | 'outside' | 'fallback';
  readonly pick: number;
  readonly code: DriverErrorCode;
  readonly transient: boolean;
  /** One bit for each command under way: it takes effect, whatever becomes of its answer. */
  readonly effects: number;
}

interface ModelEcu {
  bank: 'old' | 'trial' | 'confirmed';
  counterRaised: boolean;
  /** An erase or a write of the inactive bank may have happened. */
  dirty: boolean;
}

export class Model {
  readonly offer: EventOf<'offered'>;
  readonly ecus = new Map<string, ModelEcu>();
  /** What a power cut leaves. */
  readonly journal: CampaignEvent[] = [];
  readonly finished: Extract<CampaignCommand, { kind: 'finish' }>[] = [];
  state: CampaignState = IDLE;
  events = 0;

  constructor(offer: EventOf<'offered'>) {
    this.offer = { ...offer, limits: TIGHT };
    for (const { ecu } of offer.plan.items) {
      this.ecus.set(ecu, { bank: 'old', counterRaised: false, dirty: false });
    }
    this.take({ kind: 'poll' });
    this.take(this.offer);
  }

  /** At rest: nothing to do until the next start or poll. */
  get isOver(): boolean {
    return commandsOf(this.state).length === 0;
  }

  turn({ kind, pick, code, transient, effects }: Turn): void {
    const commands = commandsOf(this.state);
    commands.forEach((command, index) => {
      if ((effects >> index) & 1) this.#effect(command);
    });
    switch (kind) {
      case 'done':
      case 'fails': {
        const command = commands[pick % commands.length];
        if (command === undefined) return;
        if (kind === 'done') this.#effect(command);

        this.take(
          kind === 'done'
            ? this.#answer(command)
            : failureOf(command, code, transient, this.#isChanged(command)),
        );
        return;
      }
      case 'killed':
        this.state = replay(this.journal.map((event) => ({ event })));
        // As the daemon does at its start.
        if (this.state.kind === 'downloading') this.take({ kind: 'abandoned', reason: 'restart' });
        else this.take({ kind: 'resumed', nonce: 'c'.repeat(32) });
        return;
      case 'outside':
        this.take(OUTSIDE[pick % OUTSIDE.length]!);
        return;
      case 'fallback': {
        const ecu = [...this.ecus.values()][pick % this.ecus.size]!;
        if (ecu.bank === 'trial') ecu.bank = 'old';
        return;
      }
    }
  }

  take(event: CampaignEvent): void {
    const next = step(this.state, event).state;
    this.events++;
    if (next === this.state) return;
    if (event.kind !== 'poll' && event.kind !== 'nothing') this.journal.push(event);
    this.state = next;
  }

  /** A driver that says `no` has seen that it is so. */
  #isChanged(command: CampaignCommand): boolean {
    if (command.kind !== 'ecu') return false;
    const { bank, dirty } = this.ecus.get(command.item.ecu)!;
    return bank !== 'old' || dirty;
  }

  #effect(command: CampaignCommand): void {
    if (command.kind === 'finish') this.finished.push(command);
    if (command.kind !== 'ecu') return;
    const ecu = this.ecus.get(command.item.ecu)!;
    switch (command.step) {
      case 'stage':
        this.take({ kind: 'changing', step: 'stage', ecu: command.item.ecu });
        ecu.dirty = true;
        return;
      case 'activate':
        this.take({ kind: 'changing', step: 'activate', ecu: command.item.ecu });
        if (ecu.bank === 'old') ecu.bank = 'trial';
        return;
      case 'confirm':
        if (ecu.bank === 'trial') ecu.bank = 'confirmed';
        return;
      case 'commit':
        if (ecu.bank === 'confirmed') ecu.counterRaised = true;
        return;
      case 'roll-back':
        // What is said not to be changed is left alone, and a raised counter is for ever.
        if (command.changed !== 'no' && !ecu.counterRaised) ecu.bank = 'old';
        ecu.dirty = false;
        return;
      case 'verify':
        return;
    }
  }

  /** An ECU tells the truth: what it does not run it does not confirm. */
  #answer(command: CampaignCommand): CampaignEvent {
    switch (command.kind) {
      case 'check':
        return { kind: 'nothing', outcome: 'UP_TO_DATE' };
      case 'download':
        return { kind: 'downloaded', sha256: command.item.download.sha256 };
      case 'ask':
        return {
          kind: 'answered',
          phase: command.phase,
          by: 'driver',
          answer: { kind: 'approved' },
        };
      case 'check-gate':
        return { kind: 'gate', gate: command.gate, result: { kind: 'open' } };
      case 'finish':
        return { kind: 'closed' };
      case 'ecu':
        break;
    }
    const { step: name, item } = command;
    const { ecu, to, from } = item;
    const { bank } = this.ecus.get(ecu)!;
    const wrong: CampaignEvent = {
      kind: 'step-failed',
      step: name,
      ecu,
      code: 'VERSION_MISMATCH',
      reason: 'not in this bank',
      transient: false,
      changed: 'unknown',
    };
    switch (name) {
      case 'stage':
        return { kind: 'staged', ecu, bytes: 10, seconds: 1, changed: 'yes' };
      case 'activate':
        return bank === 'old'
          ? wrong
          : { kind: 'activated', ecu, bytes: 0, seconds: 0, changed: 'yes' };
      case 'verify':
        return bank === 'old'
          ? { kind: 'verified', ecu, version: from.version, sha256: hash('0') }
          : { kind: 'verified', ecu, version: to.version, sha256: to.sha256 };
      case 'confirm':
        return bank === 'confirmed' ? { kind: 'confirmed', ecu } : wrong;
      case 'commit':
        return bank === 'confirmed' ? { kind: 'committed', ecu } : wrong;
      case 'roll-back':
        return bank === 'old'
          ? { kind: 'rolled-back', ecu, version: from.version, sha256: hash('0'), unchanged: false }
          : wrong;
    }
  }
}

const OUTSIDE: readonly CampaignEvent[] = [
  { kind: 'cancelled', order: 'o', by: 'eva', reason: '' },
  { kind: 'condition-lost', condition: 'standing', reason: 'it moves' },
  { kind: 'answered', phase: 'install', by: 'driver', answer: { kind: 'withdrawn' } },
];

function failureOf(
  command: CampaignCommand,
  code: DriverErrorCode,
  transient: boolean,
  isChanged: boolean,
): CampaignEvent {
  switch (command.kind) {
    case 'check':
      return { kind: 'nothing', outcome: 'BACKEND_UNAVAILABLE' };
    case 'download':
      return { kind: 'download-failed', outcome: 'BACKEND_UNAVAILABLE', code: 'X', reason: 'x' };
    case 'ask':
      return {
        kind: 'answered',
        phase: command.phase,
        by: 'driver',
        answer: { kind: 'timed-out' },
      };
    case 'check-gate':
      return { kind: 'gate', gate: command.gate, result: { kind: 'condition', reason: 'x' } };
    case 'ecu': {
      const { step: name, item } = command;
      return {
        kind: 'step-failed',
        step: name,
        ecu: item.ecu,
        code,
        reason: 'x',
        transient,
        changed: isChanged ? 'unknown' : 'no',
      };
    }
    case 'finish':
      return { kind: 'closed' };
  }
}

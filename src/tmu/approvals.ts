// Who approves what in a campaign: the driver, the policy of the vehicle file, or nobody for a forced safety release.

import type { ApprovedBy, CampaignEvent } from '../campaign/event.ts';
import type { Plan } from '../campaign/plan.ts';
import type { ApprovalPhase, ApprovalQuestion, Approver, VehicleState } from '../campaign/ports.ts';
import type { Campaign } from '../campaign/state.ts';
import type { Configuration } from '../contract/configuration.ts';
import { assertNever } from '../core/errors.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import { conditionQuery, isForced, questionOf } from './question.ts';
import type { TmuListener } from './tmu-event.ts';

export interface ApprovalsOptions {
  /** Missing: the vehicle file names nobody to ask, which is the approval of its author. */
  readonly approver: Approver | undefined;
  readonly vehicleState: VehicleState;
  readonly vehicle: Vehicle;
  readonly emit: TmuListener;
  readonly timeoutSeconds: number;
  /** Writes down what the driver was asked; durable when it resolves. */
  readonly keep?: (question: ApprovalQuestion) => Promise<void>;
  /** What the driver is asked by the remote configuration, besides what the vehicle file asks. For new campaigns. */
  readonly configured?: () => Configuration['approval'];
}

const PHASES = ['download', 'install', 'activate'] as const;

/** Whose approval has to stand at a gate: the one that was given last. That of the download was for the download. */
const PHASES_BEFORE = {
  stage: ['install'],
  activate: ['activate', 'install'],
} as const satisfies Record<string, readonly ApprovalPhase[]>;

export class Approvals {
  readonly #options: ApprovalsOptions;

  constructor(options: ApprovalsOptions) {
    this.#options = options;
  }

  /** Who answers is the policy's word; nobody is asked about a forced safety release, but the driver is told. */
  async ask(
    phase: ApprovalPhase,
    campaign: Campaign,
    signal: AbortSignal,
  ): Promise<CampaignEvent | undefined> {
    const { approver, emit } = this.#options;
    const by = this.#approvedBy(phase, campaign);
    if (by !== 'driver' || approver === undefined) {
      await this.#inform(phase, campaign, signal);
      if (signal.aborted) return undefined;
      return { kind: 'answered', phase, by, answer: { kind: 'approved' } };
    }
    const question = this.#questionOf(phase, campaign);
    emit({ kind: 'approval', status: 'asking', phase });
    const answer = await approver.ask(question, signal);
    if (answer.kind === 'interrupted') {
      // Nobody listens for the answer any more; the next start asks again.
      await approver.withdraw(question);
      return undefined;
    }
    await this.#options.keep?.(question);
    // The journal takes what it knows, and nothing beside.
    const told =
      answer.kind === 'unreachable' ? { kind: answer.kind, reason: answer.reason } : answer;
    const { kind: status, ...details } = told;
    emit({ kind: 'approval', status, phase, ...details });
    return { kind: 'answered', phase, by, answer: told };
  }

  /**
   * Phases that are a step of their own because the driver is asked in them; `install`, which always is one, where
   * only the remote configuration asks. A campaign keeps them: what is configured later is for the next one.
   */
  asks(plan: Plan): ApprovalPhase[] {
    const configured = this.#options.configured?.() ?? {};
    const wanted = PHASES.filter((phase) => configured[phase] === 'ask');
    const { approval } = this.#options.vehicle.policy;
    return PHASES.filter((phase) => phase !== 'install' || approval.install !== 'ask').filter(
      (phase) => this.#approvedBy(phase, { plan, asks: wanted }) === 'driver',
    );
  }

  #approvedBy(phase: ApprovalPhase, { plan, asks }: Pick<Campaign, 'plan' | 'asks'>): ApprovedBy {
    const { approver, vehicle } = this.#options;
    if (isForced(plan)) return 'forced';
    const isAsked = vehicle.policy.approval[phase] === 'ask' || asks.includes(phase);
    return approver !== undefined && isAsked ? 'driver' : 'policy';
  }

  /** UNECE R156 7.2.2.1: who is not asked is told. Once for a campaign; a console that is broken stops nothing. */
  async #inform(phase: ApprovalPhase, campaign: Campaign, signal: AbortSignal): Promise<void> {
    const { approver, emit } = this.#options;
    if (approver === undefined || phase !== 'install') return;
    // Who was asked for the download knows of it, and the console would forget his answer, which the gate asks for.
    if (this.#approvedBy('download', campaign) === 'driver') return;
    const told = await approver.inform(this.#questionOf(phase, campaign, true), signal);
    if (signal.aborted) return;
    if (told.kind === 'informed') emit({ kind: 'approval', status: 'informed', phase });
    else emit({ kind: 'approval', status: 'unreachable', phase, reason: told.reason });
  }

  #questionOf(phase: ApprovalPhase, campaign: Campaign, informOnly = false): ApprovalQuestion {
    const { vehicle, timeoutSeconds } = this.#options;
    return questionOf(campaign, { vehicle, phase, timeoutSeconds, informOnly });
  }

  /** The question whose answer has to stand at a gate; undefined where nobody was asked. */
  standing(gate: 'stage' | 'activate', campaign: Campaign): ApprovalQuestion | undefined {
    const phase = PHASES_BEFORE[gate].find((each) => this.#approvedBy(each, campaign) === 'driver');
    return phase === undefined ? undefined : this.#questionOf(phase, campaign);
  }

  /**
   * Asked directly before something is erased: while the console was silent, or an ECU was waited for, the driver may
   * have taken the approval back. An event ends the staging.
   */
  async stillStands(
    ecu: string,
    campaign: Campaign,
    signal: AbortSignal,
  ): Promise<'stands' | 'interrupted' | CampaignEvent> {
    const { approver, vehicle, emit } = this.#options;
    const question = this.standing('stage', campaign);
    if (approver === undefined || question === undefined) return 'stands';
    const { phase } = question;
    const answer = await approver.recheck(question, false, signal);
    switch (answer.kind) {
      case 'approved':
        return 'stands';
      case 'interrupted':
        return 'interrupted';
      case 'unreachable':
        // The ECU with the console is programmed itself, by a bootloader without a console.
        if (answer.refused === true && ecu === vehicle.approval?.ecu) return 'stands';
        break;
      case 'withdrawn':
      case 'denied':
        emit({ kind: 'approval', status: 'withdrawn', phase });
        return { kind: 'answered', phase, by: 'driver', answer: { kind: 'withdrawn' } };
      case 'forgotten':
      case 'forged':
      case 'later':
      case 'timed-out':
        break;
      default:
        return assertNever(answer);
    }
    const reason = 'reason' in answer ? answer.reason : `the driver’s answer is now ${answer.kind}`;
    const status = answer.kind === 'forged' ? 'forged' : 'unreachable';
    emit({ kind: 'approval', status, phase, reason });
    return { kind: 'condition-lost', condition: 'approval', reason };
  }

  /** The vehicle first: the approval becomes final by the second gate, so nothing may stop after it. */
  async gate(
    gate: 'stage' | 'activate',
    campaign: Campaign,
    signal: AbortSignal,
  ): Promise<CampaignEvent | undefined> {
    const { approver, vehicleState, vehicle, emit } = this.#options;
    const condition = await vehicleState.check(
      conditionQuery(campaign.plan, vehicle, gate),
      signal,
    );
    if (signal.aborted) return undefined;
    if (!condition.ok) {
      const { condition: name, reason } = condition;
      return { kind: 'gate', gate, result: { kind: 'condition', condition: name, reason } };
    }
    const question = this.standing(gate, campaign);
    if (approver === undefined || question === undefined) {
      return { kind: 'gate', gate, result: { kind: 'open' } };
    }
    const { phase } = question;
    const answer = await approver.recheck(question, gate === 'activate', signal);
    switch (answer.kind) {
      case 'interrupted':
        return undefined;
      case 'approved':
        return { kind: 'gate', gate, result: { kind: 'open' } };
      case 'forged':
        emit({ kind: 'approval', status: 'forged', phase, reason: answer.reason });
        return { kind: 'gate', gate, result: { kind: 'forged', reason: answer.reason } };
      case 'unreachable':
      case 'forgotten':
        emit({ kind: 'approval', status: 'unreachable', phase, reason: answer.reason });
        return {
          kind: 'gate',
          gate,
          result: { kind: 'condition', condition: 'approval', reason: answer.reason },
        };
      case 'withdrawn':
      case 'denied':
      case 'later':
      case 'timed-out':
        emit({ kind: 'approval', status: 'withdrawn', phase });
        return { kind: 'gate', gate, result: { kind: 'withdrawn' } };
      default:
        return assertNever(answer);
    }
  }
}

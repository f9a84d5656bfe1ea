// Who approves a phase of a campaign: the driver or the vehicle file's policy; forced safety releases need no approval.

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
  /** Missing: the vehicle file names no approver; its author has approved every campaign. */
  readonly approver: Approver | undefined;
  readonly vehicleState: VehicleState;
  readonly vehicle: Vehicle;
  readonly emit: TmuListener;
  readonly timeoutSeconds: number;
  /** Stores what the driver was asked; durable when it resolves. */
  readonly keep?: (question: ApprovalQuestion) => Promise<void>;
  /** Phases for which the remote configuration also wants the driver's approval. For new campaigns only. */
  readonly configured?: () => Configuration['approval'];
}

const PHASES = ['download', 'install', 'activate'] as const;

/** Phases whose approval counts at a gate, the latest first; approval of the download counts for nothing else. */
const PHASES_BEFORE = {
  stage: ['install'],
  activate: ['activate', 'install'],
} as const satisfies Record<string, readonly ApprovalPhase[]>;

export class Approvals {
  readonly #options: ApprovalsOptions;

  constructor(options: ApprovalsOptions) {
    this.#options = options;
  }

  /** The policy says who answers. For a forced safety release the driver is told and not asked. */
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
      // The answer is not needed any more; the next start asks again.
      await approver.withdraw(question);
      return undefined;
    }
    await this.#options.keep?.(question);
    // The journal stores these fields only.
    const told =
      answer.kind === 'unreachable' ? { kind: answer.kind, reason: answer.reason } : answer;
    const { kind: status, ...details } = told;
    emit({ kind: 'approval', status, phase, ...details });
    return { kind: 'answered', phase, by, answer: told };
  }

  /**
   * Phases that are a separate step because the driver is asked in them. `install` is always a step; it is in the
   * list only where the remote configuration alone asks. A campaign keeps its list: a later configuration applies
   * to the next campaign.
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

  /** UNECE R156 7.2.2.1: a driver who is not asked is told, once for each campaign. A broken console stops nothing. */
  async #inform(phase: ApprovalPhase, campaign: Campaign, signal: AbortSignal): Promise<void> {
    const { approver, emit } = this.#options;
    if (approver === undefined || phase !== 'install') return;
    // A driver who was asked for the download knows of the update. A message would replace the stored answer on the
    // console, which the gate needs.
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

  /** The approval request whose answer is needed at a gate; undefined where the driver was not asked. */
  standing(gate: 'stage' | 'activate', campaign: Campaign): ApprovalQuestion | undefined {
    const phase = PHASES_BEFORE[gate].find((each) => this.#approvedBy(each, campaign) === 'driver');
    return phase === undefined ? undefined : this.#questionOf(phase, campaign);
  }

  /**
   * Asked directly before something is erased: the driver may have withdrawn the approval while the console was
   * silent or the TMU waited for an ECU. An event ends the staging.
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
        // The ECU with the console is being programmed; its bootloader has no console.
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

  /**
   * Checks the vehicle conditions first: the approval becomes final at the second gate, so nothing may stop
   * the campaign after it.
   */
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

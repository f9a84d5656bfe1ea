// Runs beside a campaign until it ends: fetches the operator's orders and watches the conditions of the vehicle.

import type { CampaignEvent } from '../campaign/event.ts';
import { cancelVerdict } from '../campaign/interruption.ts';
import type {
  ApprovalQuestion,
  Approver,
  Backend,
  CampaignStatusReport,
  CancelOrder,
  ConditionQuery,
  VehicleState,
} from '../campaign/ports.ts';
import type { StateChange } from '../campaign/runner.ts';
import type { Campaign, CampaignState } from '../campaign/state.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { describeError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { present } from '../core/present.ts';
import { jitter, type Random } from '../core/random.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { Outbox } from './outbox.ts';
import { conditionQuery } from './question.ts';
import type { TmuListener } from './tmu-event.ts';

export interface CampaignWatchOptions {
  readonly backend: Pick<Backend, 'report' | 'campaign'>;
  readonly vehicleState: VehicleState;
  readonly vehicle: Vehicle;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly emit: TmuListener;
  /** Feeds the campaign's runner; durable when it resolves. */
  readonly inject: (event: CampaignEvent) => Promise<StateChange>;
  readonly approver: Approver | undefined;
  /** What the driver approved for the staging; undefined where the driver was not asked. */
  readonly approved: (campaign: Campaign) => ApprovalQuestion | undefined;
}

/** How often the backend is asked for orders while nothing changes. */
const ASK_MS = 10_000;
const ASK_JITTER = 0.2;
/** How often the approver is asked whether the driver has withdrawn the approval. */
const RECHECK_MS = 2000;

type Decision = ReturnType<typeof cancelVerdict>;

export class CampaignWatch {
  readonly #options: CampaignWatchOptions;
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** By order id: what was decided. */
  readonly #decisions = new Map<string, Decision>();
  #state: CampaignState;
  #wake = new AbortController();
  #told = '';
  #conditions:
    | { readonly gate: ConditionQuery['gate']; readonly abort: AbortController }
    | undefined;
  #lostAt = new Set<ConditionQuery['gate']>();
  #approval: AbortController | undefined;

  constructor(state: CampaignState, options: CampaignWatchOptions) {
    this.#options = options;
    this.#state = state;
    this.#start(this.#hearOrders());
    this.#watchConditions();
    this.#watchApproval();
  }

  /** The campaign has a new state. */
  changed(state: CampaignState): void {
    this.#state = state;
    this.#watchConditions();
    this.#watchApproval();
    if (keyOf(state) !== this.#told) this.#wake.abort();
  }

  /** Ends the watching; resolves when none of its work is running any more. */
  async close(): Promise<void> {
    this.#end.abort();
    this.#wake.abort();
    this.#conditions?.abort.abort();
    this.#approval?.abort();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #start(work: Promise<void>): void {
    const done = work
      .catch((error: unknown) => {
        // A full disk also stops the campaign itself, and the campaign reports it.
        this.#options.logger.error({ error: describeError(error) }, 'watching the campaign failed');
      })
      .finally(() => this.#running.delete(done));
    this.#running.add(done);
  }

  async #hearOrders(): Promise<void> {
    const { backend, clock, random, outbox, logger } = this.#options;
    const { signal } = this.#end;
    while (!signal.aborted) {
      const state = this.#state;
      const campaign = campaignOf(state);
      this.#wake = new AbortController();
      this.#told = keyOf(state);
      if (campaign !== undefined) {
        await outbox.flushAnswers(backend, logger, signal);
        const answer = await backend.campaign(this.#statusOf(campaign, state), signal);
        if (signal.aborted) return;
        if (answer.kind === 'orders') {
          if (answer.cancel !== null) await this.#obey(campaign, answer.cancel);
        } else {
          logger.debug({ reason: answer.reason }, 'the backend was not asked for orders');
        }
      }
      const inMs = jitter(random, ASK_MS, ASK_JITTER);
      // `close` aborts this signal, too: a signal combined from both would stay in memory.
      await sleep(clock, 'campaign-orders', inMs, this.#wake.signal);
    }
  }

  async #obey(campaign: Campaign, { order, by, reason }: CancelOrder): Promise<void> {
    const { inject, outbox, backend, logger, emit } = this.#options;
    let decision = this.#decisions.get(order);
    if (decision === undefined) {
      const { before } = await inject({ kind: 'cancelled', order, by, reason });
      decision = cancelVerdict(before);
      this.#decisions.set(order, decision);
      emit({ kind: 'cancel', order, by, ...decision });
    }
    const answer = { order, ...decision };
    await outbox.putAnswer({ ...this.#statusOf(campaign, this.#state), answer });
    if (!this.#end.signal.aborted) {
      await outbox.flushAnswers(backend, logger, this.#end.signal);
    }
  }

  #statusOf(campaign: Campaign, state: CampaignState): CampaignStatusReport {
    return { vin: this.#options.vehicle.vin, campaign: campaign.id, state: state.kind };
  }

  /** Active from the first byte to an ECU until the new software is proven. */
  #watchConditions(): void {
    const gate = gateOf(this.#state, this.#options.vehicle);
    if (gate === this.#conditions?.gate) return;
    this.#conditions?.abort.abort();
    this.#conditions = undefined;
    const campaign = campaignOf(this.#state);
    if (gate === undefined || campaign === undefined || this.#end.signal.aborted) return;
    if (this.#lostAt.has(gate)) return;
    const abort = new AbortController();
    this.#conditions = { gate, abort };
    const { vehicleState, vehicle, inject } = this.#options;
    const query = conditionQuery(campaign.plan, vehicle, gate);
    this.#start(
      (async () => {
        const lost = await vehicleState.watch(query, abort.signal);
        if (lost === undefined || abort.signal.aborted) return;
        // Reported once: after the point of no return a lost condition is only a warning, and repeating it adds nothing.
        this.#lostAt.add(gate);
        const { condition, reason } = lost;
        await inject({ kind: 'condition-lost', condition, reason });
      })(),
    );
  }

  /** A driver who withdraws the approval need not wait for the last byte; the gate checks once more. */
  #watchApproval(): void {
    const { approver, approved, clock, inject } = this.#options;
    if (!isStaging(this.#state)) {
      this.#approval?.abort();
      this.#approval = undefined;
      return;
    }
    const campaign = present(campaignOf(this.#state), 'the campaign that is staged');
    const question = approved(campaign);
    if (this.#approval !== undefined || approver === undefined) return;
    if (question === undefined || this.#end.signal.aborted) return;
    const abort = new AbortController();
    this.#approval = abort;
    const { signal } = abort;
    this.#start(
      (async () => {
        while ((await sleep(clock, 'approval-recheck', RECHECK_MS, signal)) === 'elapsed') {
          const answer = await approver.recheck(question, false, signal);
          if (signal.aborted) return;
          if (answer.kind === 'forgotten') {
            // A withdrawal made since is lost, too: nothing more is done without a valid approval.
            const { reason } = answer;
            await inject({ kind: 'condition-lost', condition: 'approval', reason });
            return;
          }
          if (answer.kind !== 'withdrawn' && answer.kind !== 'denied') continue;
          const { phase } = question;
          await inject({ kind: 'answered', phase, by: 'driver', answer: { kind: 'withdrawn' } });
          return;
        }
      })(),
    );
  }
}

function isStaging(state: CampaignState): boolean {
  return state.kind === 'staging' && state.gate === null;
}

function campaignOf(state: CampaignState): Campaign | undefined {
  return 'campaign' in state && state.kind !== 'safe-state' ? state.campaign : undefined;
}

/** Identifies what the backend is told of a state; equal keys need no new message. */
function keyOf(state: CampaignState): string {
  return `${campaignOf(state)?.id} ${state.kind}`;
}

/** The gate whose conditions have to hold in this state; undefined: none are watched. */
function gateOf(state: CampaignState, vehicle: Vehicle): ConditionQuery['gate'] | undefined {
  switch (state.kind) {
    case 'staging':
      // Nothing has begun before the first gate, and the gate checks its conditions itself.
      return state.gate === 'stage' ? undefined : 'stage';
    case 'awaiting-approval':
      return state.phase === 'activate' ? 'stage' : undefined;
    case 'activating':
    case 'verifying': {
      // An ECU that restarts cannot report its signals; that says nothing about the vehicle.
      const sources = new Set(Object.values(vehicle.signals).map(({ ecu }) => ecu));
      const restarts = state.campaign.plan.items.some(({ ecu }) => sources.has(ecu));
      return restarts ? undefined : 'activate';
    }
    default:
      return undefined;
  }
}

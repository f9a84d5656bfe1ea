// The states of a campaign. Each carries exactly its own data, and a restart needs nothing else.

import type { z } from 'zod';
import type { ByEcu, Changes } from './changes.ts';
import type { limitsSchema } from './event.ts';
import type { CycleOutcome } from './outcome.ts';
import type { Plan, PlanItem } from './plan.ts';
import type { ApprovalPhase, Changed, DriverErrorCode, EcuStep } from './ports.ts';
import { DEFAULT_RETRY_POLICY, type Tries } from './retry-policy.ts';

export type CampaignConfig = Readonly<z.infer<typeof limitsSchema>>;

export const DEFAULT_CAMPAIGN_CONFIG: CampaignConfig = {
  retry: DEFAULT_RETRY_POLICY,
  retryDelayMs: 2000,
  restartLimit: 20,
};

export interface Campaign {
  /** Id of the campaign, 16 bytes, hexadecimal. */
  readonly id: string;
  /** Nonce of the approval request, 16 bytes, hexadecimal. */
  readonly nonce: string;
  readonly plan: Plan;
  readonly planDigest: string;
  readonly startedWallMs: number;
  /** Phases besides `install` that need a separate approval. */
  readonly asks: readonly ApprovalPhase[];
  readonly limits: CampaignConfig;
  /** Events that came too late to stop the campaign, and commits that are still owed. */
  readonly warnings: readonly string[];
  /** The mixed state in which the campaign began; the vehicle returns to it unless the campaign succeeds. */
  readonly mixed: SafeState | null;
}

/** The result of one ECU in this campaign. */
export interface EcuOutcome {
  readonly name: string;
  readonly hardwareId: string;
  readonly from: string;
  readonly to: string;
  /** Version that the ECU reported last; null when it was not asked or did not say. */
  readonly reported: string | null;
  /** SHA-256 that the ECU computed over its active bank; null when it was not asked or did not say. */
  readonly sha256: string | null;
  /** True when nothing was changed: the ECU runs its old software without an interruption. */
  readonly unchanged: boolean;
  /** Bytes carried over the bus. */
  readonly bytes: number;
  /** Time from the first RequestDownload to the last RequestTransferExit. */
  readonly seconds: number;
  /** Bytes that the ECU already held when the transfer was resumed. */
  readonly resumedAt?: number;
  readonly error?: string;
}

export interface CampaignResult {
  readonly id: string;
  readonly outcome: CycleOutcome;
  readonly code?: string;
  readonly reason?: string;
  /** With DEFERRED: the time before which the driver is not asked. */
  readonly untilWallMs?: number;
  /** With DEFERRED: the driver is not asked before the ignition was off. */
  readonly until?: 'ignition-off';
  readonly startedWallMs: number;
  readonly plan: Plan;
  readonly planDigest: string;
  readonly ecus: readonly EcuOutcome[];
  /** Facts that the outcome does not show: a condition lost too late, a commit that is owed. */
  readonly warnings: readonly string[];
  /** With SUCCESS: ECUs whose security counter could not be raised yet, and the receipts that will raise it. */
  readonly uncommitted: readonly string[];
  readonly receipts: readonly string[];
}

export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
  readonly resumedAt?: number;
  /** Trouble codes of the ECU, read before anything was changed. */
  readonly dtcs?: readonly string[];
}
export interface Reported {
  readonly version: string | null;
  readonly sha256: string | null;
}
export interface RolledBack extends Reported {
  readonly unchanged: boolean;
}

/** A verified ECU, with the commitment by which it will prove its confirmation. */
interface Verified extends Reported {
  readonly commitment?: string;
}

/** Why a campaign is undone, and its outcome when the rollback succeeds. */
export interface Cause {
  readonly outcome: CycleOutcome;
  readonly code: string;
  readonly reason: string;
  readonly ecu?: string;
}

/** The common data of the states in which steps of ECUs can fail. */
interface Working {
  readonly campaign: Campaign;
  /** Changes that the drivers have reported so far. */
  readonly changes: Changes;
  /** Failed tries of the steps under way. */
  readonly tries: ByEcu<Tries>;
  /** Restarts of the process since the last progress. */
  readonly restarts: number;
}

/** The data at the end of a rollback. */
interface WayBack {
  readonly campaign: Campaign;
  readonly cause: Cause;
  readonly transfers: ByEcu<Transfer>;
  readonly changes: Changes;
  readonly undone: ByEcu<RolledBack>;
  readonly failed: ByEcu<{ readonly code: DriverErrorCode; readonly reason: string }>;
}

/**
 * Some ECUs could not be rolled back. The state is reported per ECU, and the rollback is tried again from time to time.
 */
export interface SafeState extends WayBack {
  readonly kind: 'safe-state';
  /** Whether the mixed state was stored and reported. */
  readonly reported: boolean;
  /** Number of later rollbacks that also failed. */
  readonly attempts: number;
}

export type CampaignState =
  | {
      readonly kind: 'idle';
      readonly finished: CampaignResult | null;
      /** The safe state to which the vehicle returns when the result is closed. */
      readonly mixed: SafeState | null;
    }
  | { readonly kind: 'checking'; readonly mixed: SafeState | null }
  | {
      readonly kind: 'awaiting-approval';
      readonly campaign: Campaign;
      readonly phase: ApprovalPhase;
      /** In the phase `activate`: all ECUs; otherwise none. */
      readonly staged: ByEcu<Transfer>;
      readonly changes: Changes;
      readonly restarts: number;
    }
  | { readonly kind: 'downloading'; readonly campaign: Campaign; readonly done: readonly string[] }
  | ({
      readonly kind: 'staging';
      /** The condition that is checked before going on; null while ECUs are staged. */
      readonly gate: 'stage' | 'activate' | null;
      /**
       * Whether the first gate was open before. If so, an ECU may be half staged while the gate is checked after a
       * restart.
       */
      readonly begun: boolean;
      readonly staged: ByEcu<Transfer>;
    } & Working)
  | ({
      readonly kind: 'activating';
      readonly transfers: ByEcu<Transfer>;
      readonly activated: readonly string[];
    } & Working)
  | ({
      readonly kind: 'verifying';
      readonly transfers: ByEcu<Transfer>;
      readonly verified: ByEcu<Verified>;
    } & Working)
  /** All ECUs are confirmed first, then the counters of all are raised. */
  | ({
      readonly kind: 'committing';
      readonly transfers: ByEcu<Transfer>;
      readonly verified: ByEcu<Verified>;
      readonly confirmed: readonly string[];
      /** Receipts of the confirmed ECUs that prove their confirmation. */
      readonly receipts: ByEcu<string>;
      readonly committed: readonly string[];
      readonly uncommitted: readonly string[];
    } & Working)
  | ({
      readonly kind: 'rolling-back';
      /** ECUs still to roll back, in this order. */
      readonly pending: readonly string[];
      /** 0: the first rollback. n: the n-th attempt to leave the safe state. */
      readonly attempt: number;
      /** Number of lost ECUs when this attempt began; 0 in the first rollback. */
      readonly lost: number;
    } & WayBack &
      Working)
  | SafeState;

export type StateOf<K extends CampaignState['kind']> = Extract<CampaignState, { kind: K }>;
/** States in which ECUs are being updated and a rollback is possible. */
export type Forward =
  | StateOf<'staging'>
  | StateOf<'activating'>
  | StateOf<'verifying'>
  | StateOf<'committing'>;

/** The commands for the shell. A command may be given again after a restart, so all are idempotent. */
export type CampaignCommand =
  | { readonly kind: 'check' }
  | { readonly kind: 'download'; readonly item: PlanItem }
  | { readonly kind: 'ask'; readonly phase: ApprovalPhase }
  | { readonly kind: 'check-gate'; readonly gate: 'stage' | 'activate' }
  | {
      readonly kind: 'ecu';
      readonly step: EcuStep;
      readonly campaign: string;
      readonly item: PlanItem;
      /** Number of failed tries before this one. */
      readonly tries: number;
      /** Pause before this try. */
      readonly delayMs: number;
      /** With `roll-back`: whether there is something to roll back, as far as the campaign knows. */
      readonly changed: Changed;
      /** With `verify`: trouble codes from before the update; undefined where they are not known. */
      readonly knownDtcs: readonly string[] | undefined;
      /** With `confirm`: the commitments of all ECUs. With `commit`: their receipts. Empty otherwise. */
      readonly evidence: readonly string[];
    }
  /** Store and report the result. With the outcome ROLLBACK_FAILED the safe state follows. */
  | { readonly kind: 'finish'; readonly result: CampaignResult };

export const IDLE: CampaignState = { kind: 'idle', finished: null, mixed: null };

/** Whether the campaign has passed its point of no return, after which it is safer to finish than to stop. */
export function isPastNoReturn(
  state: CampaignState,
): state is StateOf<'activating' | 'verifying' | 'committing'> {
  return state.kind === 'activating' || state.kind === 'verifying' || state.kind === 'committing';
}

/** Whether the second half of `committing` has begun, in which the counters are raised. */
export function allConfirmed({ confirmed, campaign }: StateOf<'committing'>): boolean {
  return confirmed.length === campaign.plan.items.length;
}

export function isCommitting(state: CampaignState): state is StateOf<'committing'> {
  return state.kind === 'committing' && allConfirmed(state);
}

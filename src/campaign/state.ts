// The states of a campaign. Each carries exactly its own data; together they are what a restart needs to know.

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
  /** 16 bytes, hexadecimal. */
  readonly id: string;
  /** Of the approval; 16 bytes, hexadecimal. */
  readonly nonce: string;
  readonly plan: Plan;
  readonly planDigest: string;
  readonly startedWallMs: number;
  /** Phases whose approval is a step of its own, besides `install`. */
  readonly asks: readonly ApprovalPhase[];
  readonly limits: CampaignConfig;
  /** What came too late to stop it, or is still owed. */
  readonly warnings: readonly string[];
  /** The declared mixed state in which it began, and to which it returns when it does not succeed. */
  readonly mixed: SafeState | null;
}

/** What one ECU did in this campaign. */
export interface EcuOutcome {
  readonly name: string;
  readonly hardwareId: string;
  readonly from: string;
  readonly to: string;
  /** Version that the ECU reported last; null when it was not asked or did not say. */
  readonly reported: string | null;
  /** SHA-256 that the ECU computed over its active bank; null likewise. */
  readonly sha256: string | null;
  /** Nothing was changed in it: it runs what it ran before, without a break. */
  readonly unchanged: boolean;
  /** Carried over the bus. */
  readonly bytes: number;
  /** From the first RequestDownload to the last RequestTransferExit. */
  readonly seconds: number;
  /** bytes that the ECU already held when the transfer went on. */
  readonly resumedAt?: number;
  readonly error?: string;
}

export interface CampaignResult {
  readonly id: string;
  readonly outcome: CycleOutcome;
  readonly code?: string;
  readonly reason?: string;
  /** With DEFERRED: do not ask before. */
  readonly untilWallMs?: number;
  /** With DEFERRED: do not ask before the ignition was off. */
  readonly until?: 'ignition-off';
  readonly startedWallMs: number;
  readonly plan: Plan;
  readonly planDigest: string;
  readonly ecus: readonly EcuOutcome[];
  /** What the outcome does not say: a condition lost too late, a commit that is owed. */
  readonly warnings: readonly string[];
  /** With SUCCESS: ECUs whose security counter could not be raised yet, and the receipts that will raise it. */
  readonly uncommitted: readonly string[];
  readonly receipts: readonly string[];
}

export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
  readonly resumedAt?: number;
  /** Trouble codes of the ECU from before anything was touched. */
  readonly dtcs?: readonly string[];
}
export interface Reported {
  readonly version: string | null;
  readonly sha256: string | null;
}
export interface RolledBack extends Reported {
  readonly unchanged: boolean;
}

/** With the commitment of an ECU that will prove its confirmation. */
interface Verified extends Reported {
  readonly commitment?: string;
}

/** Why a campaign is undone, and what its outcome will be when the way back succeeds. */
export interface Cause {
  readonly outcome: CycleOutcome;
  readonly code: string;
  readonly reason: string;
  readonly ecu?: string;
}

/** What every state has in which steps of ECUs can fail. */
interface Working {
  readonly campaign: Campaign;
  /** What the drivers have told so far. */
  readonly changes: Changes;
  /** Failed tries of the steps under way. */
  readonly tries: ByEcu<Tries>;
  /** Restarts of the process since the last progress. */
  readonly restarts: number;
}

/** What is known when the way back has come to its end. */
interface WayBack {
  readonly campaign: Campaign;
  readonly cause: Cause;
  readonly transfers: ByEcu<Transfer>;
  readonly changes: Changes;
  readonly undone: ByEcu<RolledBack>;
  readonly failed: ByEcu<{ readonly code: DriverErrorCode; readonly reason: string }>;
}

/** Some ECUs could not be taken back: declared, spelled out, and tried again from time to time. */
export interface SafeState extends WayBack {
  readonly kind: 'safe-state';
  /** The mixed state was written down and reported. */
  readonly reported: boolean;
  /** Later ways back that failed, too. */
  readonly attempts: number;
}

export type CampaignState =
  | {
      readonly kind: 'idle';
      readonly finished: CampaignResult | null;
      /** What the vehicle returns to when the result is closed. */
      readonly mixed: SafeState | null;
    }
  | { readonly kind: 'checking'; readonly mixed: SafeState | null }
  | {
      readonly kind: 'awaiting-approval';
      readonly campaign: Campaign;
      readonly phase: ApprovalPhase;
      /** With `activate`: all ECUs; otherwise none. */
      readonly staged: ByEcu<Transfer>;
      readonly changes: Changes;
      readonly restarts: number;
    }
  | { readonly kind: 'downloading'; readonly campaign: Campaign; readonly done: readonly string[] }
  | ({
      readonly kind: 'staging';
      /** The condition that is checked before going on; null while ECUs are staged. */
      readonly gate: 'stage' | 'activate' | null;
      /** The first gate was open once: also while it is looked at again after a restart, an ECU may have been begun. */
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
  /** First all are confirmed, then the counters of all are raised. */
  | ({
      readonly kind: 'committing';
      readonly transfers: ByEcu<Transfer>;
      readonly verified: ByEcu<Verified>;
      readonly confirmed: readonly string[];
      /** Of the confirmed ECUs that prove it. */
      readonly receipts: ByEcu<string>;
      readonly committed: readonly string[];
      readonly uncommitted: readonly string[];
    } & Working)
  | ({
      readonly kind: 'rolling-back';
      /** In the order in which they go back. */
      readonly pending: readonly string[];
      /** 0: the first way back. n: the n-th attempt to leave the safe state. */
      readonly attempt: number;
      /** How many ECUs were lost when this attempt began; none before the first. */
      readonly lost: number;
    } & WayBack &
      Working)
  | SafeState;

export type StateOf<K extends CampaignState['kind']> = Extract<CampaignState, { kind: K }>;
/** States in which ECUs are worked on and the way back is open. */
export type Forward =
  | StateOf<'staging'>
  | StateOf<'activating'>
  | StateOf<'verifying'>
  | StateOf<'committing'>;

/** What the shell shall do. Every command may be given again after a restart: all are idempotent. */
export type CampaignCommand =
  | { readonly kind: 'check' }
  | { readonly kind: 'download'; readonly item: PlanItem }
  | { readonly kind: 'ask'; readonly phase: ApprovalPhase }
  | { readonly kind: 'check-gate'; readonly gate: 'stage' | 'activate' }
  | {
      readonly kind: 'ecu';
      readonly step: EcuStep;
      /** Id of the campaign. */
      readonly campaign: string;
      readonly item: PlanItem;
      /** Failed tries before this one. */
      readonly tries: number;
      /** Wait before it. */
      readonly delayMs: number;
      /** With `roll-back`: whether there is something to take back, as far as the campaign knows. */
      readonly changed: Changed;
      /** With `verify`: trouble codes from before the update; undefined where they are not known. */
      readonly knownDtcs: readonly string[] | undefined;
      /** With `confirm`: the commitments of all ECUs. With `commit`: their receipts. Empty otherwise. */
      readonly evidence: readonly string[];
    }
  /** Write down and report the result. With the outcome ROLLBACK_FAILED the safe state follows. */
  | { readonly kind: 'finish'; readonly result: CampaignResult };

export const IDLE: CampaignState = { kind: 'idle', finished: null, mixed: null };

/** The campaign has passed its point of no return: it is finished, which is the safer way. */
export function isPastNoReturn(
  state: CampaignState,
): state is StateOf<'activating' | 'verifying' | 'committing'> {
  return state.kind === 'activating' || state.kind === 'verifying' || state.kind === 'committing';
}

/** The second half of `committing`: from here on counters rise. */
export function allConfirmed({ confirmed, campaign }: StateOf<'committing'>): boolean {
  return confirmed.length === campaign.plan.items.length;
}

export function isCommitting(state: CampaignState): state is StateOf<'committing'> {
  return state.kind === 'committing' && allConfirmed(state);
}

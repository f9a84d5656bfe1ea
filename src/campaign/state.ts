// The states of a campaign. Each carries exactly its own data; together they are what a restart needs to know.

import type { EcuStep } from './event.ts';
import type { CycleOutcome } from './outcome.ts';
import type { Plan, PlanItem } from './plan.ts';
import type { DriverErrorCode } from './ports.ts';

export interface Campaign {
  /** 16 bytes, hexadecimal. */
  readonly id: string;
  /** Of the approval; 16 bytes, hexadecimal. */
  readonly nonce: string;
  readonly plan: Plan;
  readonly planDigest: string;
  readonly startedWallMs: number;
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
  /** Carried over the bus. */
  readonly bytes: number;
  /** From the first RequestDownload to the last RequestTransferExit. */
  readonly seconds: number;
  readonly error?: string;
}

export interface CampaignResult {
  readonly id: string;
  readonly outcome: CycleOutcome;
  readonly code?: string;
  readonly reason?: string;
  /** With DEFERRED: do not ask before. */
  readonly untilWallMs?: number;
  readonly startedWallMs: number;
  readonly plan: Plan;
  readonly planDigest: string;
  readonly ecus: readonly EcuOutcome[];
}

export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
}
export interface Reported {
  readonly version: string | null;
  readonly sha256: string | null;
}

/** Why a campaign is undone, and what its outcome will be when the way back succeeds. */
export interface Cause {
  readonly outcome: CycleOutcome;
  readonly code: string;
  readonly reason: string;
  readonly ecu?: string;
}

type ByEcu<T> = Readonly<Record<string, T>>;
/** Failed tries of the step under way, by ECU. */
type Tries = ByEcu<number>;

export type CampaignState =
  | { readonly kind: 'idle'; readonly finished: CampaignResult | null }
  | { readonly kind: 'checking' }
  | { readonly kind: 'downloading'; readonly campaign: Campaign; readonly done: readonly string[] }
  | { readonly kind: 'awaiting-approval'; readonly campaign: Campaign }
  | {
      readonly kind: 'staging';
      readonly campaign: Campaign;
      /** The condition that is checked before going on; null while ECUs are staged. */
      readonly gate: 'stage' | 'activate' | null;
      readonly staged: ByEcu<Transfer>;
      readonly tries: Tries;
      readonly restarts: number;
    }
  | {
      readonly kind: 'activating';
      readonly campaign: Campaign;
      readonly transfers: ByEcu<Transfer>;
      readonly activated: readonly string[];
      readonly tries: Tries;
      readonly restarts: number;
    }
  | {
      readonly kind: 'verifying';
      readonly campaign: Campaign;
      readonly transfers: ByEcu<Transfer>;
      readonly verified: ByEcu<Reported>;
      readonly tries: Tries;
      readonly restarts: number;
    }
  | {
      readonly kind: 'committing';
      readonly campaign: Campaign;
      readonly transfers: ByEcu<Transfer>;
      readonly verified: ByEcu<Reported>;
      readonly confirmed: readonly string[];
      readonly tries: Tries;
      readonly restarts: number;
    }
  | {
      readonly kind: 'rolling-back';
      readonly campaign: Campaign;
      readonly cause: Cause;
      readonly transfers: ByEcu<Transfer>;
      /** ECUs whose activation may have begun. */
      readonly touched: readonly string[];
      /** In the order in which they go back. */
      readonly pending: readonly string[];
      readonly undone: ByEcu<Reported>;
      readonly failed: ByEcu<{ readonly code: DriverErrorCode; readonly reason: string }>;
      readonly tries: Tries;
    };

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
  | { readonly kind: 'ask' }
  | { readonly kind: 'check-gate'; readonly gate: 'stage' | 'activate' }
  | {
      readonly kind: 'ecu';
      readonly step: EcuStep;
      readonly item: PlanItem;
      /** Failed tries before this one. */
      readonly tries: number;
      /** Wait before it. */
      readonly delayMs: number;
      /** With `roll-back`: activation may have begun. */
      readonly touched: boolean;
    }
  | { readonly kind: 'finish'; readonly result: CampaignResult };

export interface CampaignConfig {
  /** Tries of one step of one ECU when the failure is transient. */
  readonly stepTries: number;
  /** Wait before the second try; it doubles. */
  readonly retryDelayMs: number;
  /** ECUs staged at the same time. More than one helps only when they are on several buses. */
  readonly parallel: number;
  /** Restarts of the process without any progress before the campaign is undone. */
  readonly restartLimit: number;
}

export const DEFAULT_CAMPAIGN_CONFIG: CampaignConfig = {
  stepTries: 3,
  retryDelayMs: 2000,
  parallel: 1,
  restartLimit: 20,
};

export const IDLE: CampaignState = { kind: 'idle', finished: null };

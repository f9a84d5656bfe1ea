// Events of the daemon for its listeners. All are JSON-serialisable: `can-ota tmu --json` prints them as lines.

import type { CycleOutcome } from '../campaign/outcome.ts';
import type { ApprovalPhase, EcuStep } from '../campaign/ports.ts';
import type { CampaignState, EcuOutcome } from '../campaign/state.ts';
import type { CommandState } from '../contract/command.ts';
import type { ParameterResult } from '../contract/configuration.ts';
import type { AttackCode } from '../trust/attack.ts';
import type { RoleVersions } from '../trust/repository.ts';

/** The end of one cycle. */
export interface CycleResult {
  readonly outcome: CycleOutcome;
  /** More exact than the outcome: `DENIED`, `SILENT`, `HTTP_503`, `DIGEST_MISMATCH`, or the code of an attack. */
  readonly code?: string;
  readonly reason?: string;
  /** Campaign id, where a campaign began. */
  readonly campaign?: string;
  /** Nothing was tried: an earlier cycle ended like this, and nothing has changed since. */
  readonly remembered?: true;
  /** Earliest next try. */
  readonly untilWallMs?: number;
  /** The next try waits until the ignition was off. */
  readonly until?: 'ignition-off';
  /** What the outcome does not say: a condition lost too late, a counter that is still to be raised. */
  readonly warnings?: readonly string[];
  readonly ecus: readonly EcuOutcome[];
  readonly seconds: number;
}

export type TmuEvent =
  /** The campaign has a new state. */
  | { readonly kind: 'state'; readonly state: CampaignState['kind']; readonly campaign?: string }
  | {
      readonly kind: 'plan';
      readonly campaign: string;
      readonly digest: string;
      readonly ecus: readonly {
        readonly name: string;
        readonly from: string;
        readonly to: string;
        readonly bytes: number;
        readonly sha256: string;
      }[];
    }
  | {
      readonly kind: 'download-progress';
      readonly ecu: string;
      readonly file: string;
      readonly received: number;
      readonly total: number;
    }
  | {
      readonly kind: 'ecu-progress';
      readonly ecu: string;
      readonly sent: number;
      readonly total: number;
    }
  /** One step of one ECU has begun, ended, or failed. Steps in which an ECU is asked nothing are left out. */
  | {
      readonly kind: 'ecu-step';
      readonly ecu: string;
      readonly step: 'identify' | EcuStep;
      readonly status: 'begun' | 'done' | 'failed';
      readonly reason?: string;
      /** The ECU has one bank: it is only checked when others are staged, and programmed when others are activated. */
      readonly oneBank?: true;
      /** With a verification that is done: what the ECU told and what was compared. */
      readonly compared?: readonly ('version' | 'digest')[];
    }
  | {
      readonly kind: 'approval';
      readonly status:
        | 'asking'
        /** The driver was told, not asked: the policy or a forced safety release approves. */
        | 'informed'
        | 'approved'
        | 'later'
        | 'denied'
        | 'timed-out'
        | 'withdrawn'
        | 'forged'
        | 'unreachable';
      readonly phase: ApprovalPhase;
      readonly untilWallMs?: number;
      readonly until?: 'ignition-off';
      readonly reason?: string;
    }
  /** The operator wanted the campaign to end. */
  | {
      readonly kind: 'cancel';
      readonly order: string;
      readonly by: string;
      readonly accepted: boolean;
      readonly reason: string;
    }
  /** A request is repeated after a pause. */
  | {
      readonly kind: 'retry';
      readonly doing: string;
      readonly retry: number;
      readonly of: number;
      readonly delayMs: number;
      readonly reason: string;
    }
  /** Both repositories were verified; the versions of their roles. */
  | {
      readonly kind: 'verified';
      readonly director: RoleVersions;
      readonly images: RoleVersions;
    }
  /** Something was rejected that an attacker could have sent. */
  | {
      readonly kind: 'attack';
      readonly code: AttackCode;
      readonly where: string;
      readonly reason: string;
    }
  /** A configuration from the backend was checked; the accepted values are in force. */
  | {
      readonly kind: 'configuration';
      readonly version: number;
      readonly results: readonly ParameterResult[];
    }
  /** A command has a new state; `code` and `reason` of a failure. */
  | {
      readonly kind: 'command';
      readonly id: string;
      readonly ecu: string;
      readonly action: string;
      readonly state: CommandState;
      readonly code?: string;
      readonly reason?: string;
    }
  /** Samples were stored, uploaded or lost; `waiting` uploads are left. */
  | {
      readonly kind: 'telemetry';
      readonly status: 'stored' | 'uploaded' | 'dropped';
      readonly samples: number;
      /** Number of an upload. */
      readonly number?: number;
      readonly waiting: number;
    }
  /** The backend answers the remote features of this vehicle again, or no longer. */
  | { readonly kind: 'contact'; readonly status: 'found' | 'lost'; readonly reason?: string }
  | { readonly kind: 'warning'; readonly ecu?: string; readonly text: string }
  | ({ readonly kind: 'outcome' } & CycleResult)
  | { readonly kind: 'next-poll'; readonly inMs: number };

export type TmuListener = (event: TmuEvent) => void;

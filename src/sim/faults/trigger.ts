// When a fault begins, counted from the start of its campaign.

import { assertNever } from '../../core/errors.ts';
import type { MachineName } from '../machine-names.ts';

export type Trigger =
  | { readonly on: 'time'; readonly ms: number }
  /** Before the nth operation that changes the disk of this machine. */
  | { readonly on: 'write'; readonly machine: MachineName; readonly n: number }
  /** At the end of the nth frame on the wire. */
  | { readonly on: 'frame'; readonly n: number }
  /** When the TMU's campaign enters this state. */
  | { readonly on: 'state'; readonly state: CampaignPhase; readonly delayMs: number };

/** States of a campaign at which faults are drawn. */
export const CAMPAIGN_PHASES = [
  'downloading',
  'awaiting-approval',
  'staging',
  'activating',
  'verifying',
  'committing',
  'rolling-back',
] as const;
type CampaignPhase = (typeof CAMPAIGN_PHASES)[number];

export function triggerText(trigger: Trigger): string {
  switch (trigger.on) {
    case 'time':
      return `${trigger.ms} ms`;
    case 'write':
      return `write ${trigger.n} of ${trigger.machine}`;
    case 'frame':
      return `frame ${trigger.n}`;
    case 'state':
      return `${trigger.delayMs} ms of ${trigger.state}`;
    default:
      return assertNever(trigger);
  }
}

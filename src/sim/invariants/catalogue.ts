// All invariants. A new one needs a row here and a module beside it. The set is closed: the names are in JSON output and
// replay files.

import { present } from '../../core/present.ts';
import { acknowledged } from './acknowledged.ts';
import { claim } from './claim.ts';
import { command } from './command.ts';
import { configuration } from './configuration.ts';
import { counter } from './counter.ts';
import { crash } from './crash.ts';
import { dead } from './dead.ts';
import { earlyConfirm } from './early-confirm.ts';
import { earlyCounter } from './early-counter.ts';
import { mixedStateReport } from './mixed-state-report.ts';
import { mixture } from './mixture.ts';
import { outcome } from './outcome.ts';
import { patience } from './patience.ts';
import { proof } from './proof.ts';
import { recovery } from './recovery.ts';
import { report } from './report.ts';
import { smallDevice } from './small-device.ts';
import { stuck } from './stuck.ts';
import { telemetry } from './telemetry.ts';
import { traffic } from './traffic.ts';
import { unapprovedErase } from './unapproved-erase.ts';
import { unhealthyConfirm } from './unhealthy-confirm.ts';
import { unsettled } from './unsettled.ts';
import { untouched } from './untouched.ts';
import { unverifiedBoot } from './unverified-boot.ts';

/** Violations of the same moment are reported in this order. */
export const INVARIANTS = [
  mixture,
  mixedStateReport,
  unverifiedBoot,
  counter,
  earlyCounter,
  earlyConfirm,
  unhealthyConfirm,
  unapprovedErase,
  report,
  outcome,
  claim,
  untouched,
  patience,
  smallDevice,
  acknowledged,
  unsettled,
  recovery,
  traffic,
  dead,
  stuck,
  command,
  configuration,
  telemetry,
  proof,
  crash,
] as const;
export type InvariantName = (typeof INVARIANTS)[number]['name'];

/** What the invariant demands, in words. */
export function invariantText(name: InvariantName): string {
  return present(
    INVARIANTS.find((one) => one.name === name),
    name,
  ).says;
}

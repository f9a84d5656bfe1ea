// Explains refusals of an ECU of ours that was never provisioned: it answers NRC 22, or answers without a MAC.

import { Nrc } from '../uds/nrc.ts';
import { Did, ProvisioningState } from '../uds/sid.ts';
import { isOurs } from './activation.ts';
import type { Exchange, Refusal } from './exchange.ts';
import { readDid } from './identification.ts';

/**
 * Rewords the refusal where the ECU reports (DID FD11) that it is not locked yet. Any node on the bus can send that, so
 * code and repetition stay unchanged.
 */
export async function namingUnprovisioned(exchange: Exchange, refused: Refusal): Promise<Refusal> {
  const isCandidate =
    refused.nrc === Nrc.conditionsNotCorrect ||
    refused.code === 'UNEXPECTED' ||
    refused.code === 'SECURITY';
  if (!isCandidate || !isOurs(exchange.ecu)) return refused;
  const state = await readDid(exchange, Did.provisioningState, 'reading its state (FD11)');
  const told = state.ok ? state.value?.[0] : undefined;
  if (told !== ProvisioningState.virgin && told !== ProvisioningState.open) return refused;
  const how =
    told === ProvisioningState.virgin
      ? 'is not provisioned: run "can-ota provision", or start it with --bench-keys on a bench'
      : 'is not provisioned completely: run "can-ota provision" again';
  const reason = `${exchange.peer} ${how} (${refused.reason.replace(CONDITION, '')})`;
  return { ...refused, reason };
}

/** The exchange's advice for NRC 22, which is removed because no vehicle condition helps here. */
const CONDITION = '; bring the vehicle into the condition for programming and try again';

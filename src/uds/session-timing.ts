// The times that an ECU declares: P2server_max and P2*server_max of its answer to 10, ISO 14229-1 10.2.

import { isMalformed } from './codec.ts';
import type { UdsReply } from './reply.ts';
import { Sid } from './services/all.ts';
import * as diagnosticSessionControl from './services/diagnostic-session-control.ts';
import { SUPPRESS_POSITIVE_RESPONSE } from './sid.ts';

/** Times as the tester uses them; a missing one was not declared. */
export interface ToldTiming {
  readonly p2Ms?: number;
  readonly p2StarMs?: number;
}

/** ISO 14229-2 6.2: delta P2, the time of a request and its answer on the bus, gateways included. */
const WAY_MS = 50;
const DEFAULT_SESSION = 0x01;

/**
 * The times that are valid after `request` ended with `reply`. A new session has the times of its answer; times that are
 * missing there or 0 do not change. They are forgotten in the default session and after a reset of the ECU.
 */
export function toldAfter(told: ToldTiming, request: Uint8Array, reply: UdsReply): ToldTiming {
  if (reply.kind !== 'positive' && reply.kind !== 'suppressed') return told;
  if (request[0] === Sid.ecuReset) return {};
  if (request[0] !== Sid.diagnosticSessionControl) return told;
  const session = (request[1] ?? 0) & ~SUPPRESS_POSITIVE_RESPONSE;
  const before = session === DEFAULT_SESSION ? {} : told;
  if (reply.kind === 'suppressed') return before;
  const response = diagnosticSessionControl.decodeResponse(reply.data);
  if (isMalformed(response) || response.timing === undefined) return before;
  const { p2Ms, p2StarMs } = response.timing;
  return {
    ...before,
    ...(p2Ms > 0 ? { p2Ms: p2Ms + WAY_MS } : {}),
    ...(p2StarMs > 0 ? { p2StarMs: p2StarMs + WAY_MS } : {}),
  };
}

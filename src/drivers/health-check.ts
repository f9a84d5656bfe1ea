// Health checks of new software before it is confirmed: no new trouble codes, and a heartbeat without a gap.

import { hexNumber } from '../core/bytes.ts';
import { sleep } from '../core/clock.ts';
import * as readDtcInformation from '../uds/services/read-dtc-information.ts';
import { Did, Session } from '../uds/sid.ts';
import { type Exchange, type Exchanged, failure, isNotKnown, wasLost } from './exchange.ts';
import { readBootState, readDid } from './identification.ts';
import { enterSession } from './unlock.ts';

/** Status bits of a failing code (ISO 14229-1 annex D.2). Pending codes and tests that have not run do not count. */
const FAILING = readDtcInformation.DtcStatus.testFailed | readDtcInformation.DtcStatus.confirmedDtc;

/** Interval at which the ECU is polled. */
const LOOK_MS = 500;

/** Polls in a row without an answer that fail the check; one alone may be a lost frame. */
const SILENCES = 2;
/** Options of one poll, which is not repeated because the next poll follows. */
const ONE_LOOK = { once: true, patienceMs: 750 } as const;

/** Failing or confirmed codes (6 hex digits, upper case, sorted); undefined: the ECU does not know 19 02. */
export async function readTroubleCodes(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<readonly string[] | undefined>> {
  const request = readDtcInformation.encodeRequest({
    report: 'reportDtcByStatusMask',
    statusMask: FAILING,
  });
  const doing = 'reading its trouble codes';
  const answer = await exchange.askFor(request, doing, readDtcInformation.decodeResponse, signal);
  if (!answer.ok) return isNotKnown(answer) ? { ok: true, value: undefined } : answer;
  if (answer.value.report !== 'reportDtcByStatusMask') {
    return exchange.malformed(request, doing, `report ${answer.value.report}`);
  }
  // An ECU may send more codes than requested; its availability mask says which status bits are valid.
  const mask = FAILING & answer.value.availabilityMask;
  const failing = answer.value.dtcs.filter(({ status }) => (status & mask) !== 0);
  return { ok: true, value: failing.map(({ dtc }) => hexNumber(dtc, 6).slice(2)).sort() };
}

/** Fails with DIAGNOSTICS when a code that is not in `known` fails now. */
export async function checkTroubleCodes(
  exchange: Exchange,
  known: readonly string[],
  warnings: string[],
  signal?: AbortSignal,
): Promise<Exchanged<void>> {
  const now = await readTroubleCodes(exchange, signal);
  if (!now.ok) return now;
  if (now.value === undefined) {
    warnings.push(`${exchange.ecu.name}: it does not tell trouble codes, none were compared`);
    return { ok: true, value: undefined };
  }
  const before = new Set(known);
  const fresh = now.value.filter((code) => !before.has(code));
  if (fresh.length === 0) return { ok: true, value: undefined };
  return failure(
    'DIAGNOSTICS',
    `${exchange.peer} reports trouble codes that were not there before the update: ${fresh.join(', ')}; ` +
      'read them with a diagnostic tester',
  );
}

/**
 * Watches the ECU for `heartbeatMs`. Fails with HEARTBEAT when it was silent twice in a row or has restarted: it lost
 * the session that the polls keep open, or used up a trial boot.
 */
export async function watchHeartbeat(
  exchange: Exchange,
  heartbeatMs: number,
  warnings: string[],
  signal?: AbortSignal,
): Promise<Exchanged<void>> {
  if (heartbeatMs <= 0) return { ok: true, value: undefined };
  // In the default session a restart of a single-bank ECU could not be seen.
  const entered = await enterSession(exchange, Session.extended, signal);
  if (!entered.ok) return entered;
  try {
    // Each poll keeps the session open: LOOK_MS is far below S3.
    return await look(exchange, heartbeatMs, warnings, signal);
  } finally {
    // S3 ends the session in an ECU that does not answer here.
    await exchange.ask(Uint8Array.of(0x10, Session.default), 'leaving the extended session');
  }
}

async function look(
  exchange: Exchange,
  heartbeatMs: number,
  warnings: string[],
  signal: AbortSignal | undefined,
): Promise<Exchanged<void>> {
  const { clock } = exchange;
  const endMs = clock.nowMs() + heartbeatMs;
  let first: Sign | undefined;
  let silences = 0;
  for (;;) {
    // A silence at the very end gets a second poll too.
    const waitMs = silences > 0 ? LOOK_MS : Math.min(LOOK_MS, Math.max(0, endMs - clock.nowMs()));
    if ((await sleep(clock, 'heartbeat', waitMs, signal)) === 'aborted') {
      return failure(
        'INTERRUPTED',
        `${exchange.peer}: stopped while its heartbeat was watched`,
        true,
      );
    }
    const sign = await signOfLife(exchange, signal);
    if (sign.ok) {
      silences = 0;
      if (first === undefined && sign.value.session === undefined) {
        warnings.push(
          `${exchange.ecu.name}: it does not tell its session, a restart may go unseen`,
        );
      }
      first ??= sign.value;
      const restarted = restartOf(first, sign.value);
      if (restarted !== undefined) {
        return failure(
          'HEARTBEAT',
          `${exchange.peer} restarted while its new software was watched: ${restarted}`,
        );
      }
    } else if (wasLost(sign)) {
      if (++silences >= SILENCES) {
        return failure(
          'HEARTBEAT',
          `${exchange.peer} fell silent while its new software was watched: ${sign.reason}`,
        );
      }
    } else return sign;
    if (clock.nowMs() >= endMs && silences === 0) return { ok: true, value: undefined };
  }
}

interface Sign {
  /** Active session; undefined where the ECU does not report it. */
  readonly session: number | undefined;
  readonly trialBootsLeft: number | undefined;
}

async function signOfLife(exchange: Exchange, signal?: AbortSignal): Promise<Exchanged<Sign>> {
  const doing = 'watching its heartbeat';
  const session = await readDid(exchange, Did.activeDiagnosticSession, doing, signal, ONE_LOOK);
  if (!session.ok) return session;
  if (exchange.ecu.programming.activation !== 'bank') {
    return { ok: true, value: { session: session.value?.[0], trialBootsLeft: undefined } };
  }
  const boot = await readBootState(exchange, signal, ONE_LOOK);
  if (!boot.ok) return boot;
  return {
    ok: true,
    value: { session: session.value?.[0], trialBootsLeft: boot.value?.trialBootsLeft },
  };
}

function restartOf(first: Sign, now: Sign): string | undefined {
  if (now.trialBootsLeft !== first.trialBootsLeft) {
    return `it had ${first.trialBootsLeft} trial boots left, now ${now.trialBootsLeft}`;
  }
  return now.session === undefined || now.session === Session.extended
    ? undefined
    : `it is in session ${hexNumber(now.session, 2)}, not in the extended one any more`;
}

// Waits for an ECU after its reset. A single answer is no proof, because the old software may still give it.

import type { EcuReport } from '../campaign/ports.ts';
import { hexNumber } from '../core/bytes.ts';
import { sleep } from '../core/clock.ts';
import { Did, Session } from '../uds/sid.ts';
import { authentic, type Banks, readBanks } from './activation.ts';
import { type Exchange, type Exchanged, failure, wasLost } from './exchange.ts';
import { readDid, readDigest, readVersion } from './identification.ts';

/** Interval at which a restarting ECU is polled. */
const POLL_MS = 100;
/** Options of one poll, which is not repeated because the next poll follows. */
const POLL = { once: true, patienceMs: 0 } as const;
/** Time after which an ECU that reports nothing counts as restarted; one silence also counts. */
const SETTLE_MS = 1000;

/** What a single-bank ECU reports about itself. */
interface Told extends EcuReport {
  readonly session: number | undefined;
}

/** The software that the ECU must run. */
export interface Awaited extends EcuReport {
  /** The report before the update; the new report must have the same parts. */
  readonly tells: EcuReport;
  /** The report while the reset has not happened yet. */
  readonly stale: EcuReport;
}

/** `unseen`: the ECU answers again, but reports nothing that shows which software it runs. */
export type Arrival = 'there' | 'unseen';

type Look =
  | { readonly kind: 'there' }
  | { readonly kind: 'unseen' }
  | { readonly kind: 'not-yet'; readonly late: Exclude<Exchanged<never>, { ok: true }> };

/**
 * Waits until a single-bank ECU runs the expected software; `timing.resetMs` of the vehicle file is the limit. A
 * failure says what the ECU reported last.
 */
export async function awaitSoftware(
  exchange: Exchange,
  awaited: Awaited,
  signal?: AbortSignal,
): Promise<Exchanged<Arrival>> {
  return untilThere(exchange, signal, async () => {
    const told = await askWhatRuns(exchange, signal);
    return told.ok ? { ok: true, value: judge(exchange, told.value, awaited) } : told;
  });
}

/** Waits until a two-bank ECU holds the expected images. `late` gives the failure after the time limit. */
export async function awaitBanks(
  exchange: Exchange,
  isThere: (banks: Banks) => boolean,
  late: (banks: Banks) => Exclude<Exchanged<never>, { ok: true }>,
  signal?: AbortSignal,
): Promise<Exchanged<Arrival>> {
  return untilThere(exchange, signal, async () => {
    const banks = await readBanks(exchange, signal, POLL);
    if (!banks.ok) return banks;
    return {
      ok: true,
      value: isThere(banks.value)
        ? { kind: 'there' }
        : { kind: 'not-yet', late: late(banks.value) },
    };
  });
}

async function untilThere(
  exchange: Exchange,
  signal: AbortSignal | undefined,
  look: () => Promise<Exchanged<Look>>,
): Promise<Exchanged<Arrival>> {
  const { clock, peer } = exchange;
  const { resetMs } = exchange.ecu.timing;
  const beganMs = clock.nowMs();
  let wasSilent = false;
  for (;;) {
    if ((await sleep(clock, 'reset-poll', POLL_MS, signal)) === 'aborted') {
      return failure('INTERRUPTED', `${peer}: stopped while waiting for its restart`, true);
    }
    const seen = await look();
    const spentMs = clock.nowMs() - beganMs;
    if (!seen.ok && (seen.code === 'INTERRUPTED' || seen.code === 'BUS')) return seen;
    wasSilent ||= !seen.ok && wasLost(seen);
    if (seen.ok && seen.value.kind === 'there') return { ok: true, value: 'there' };
    if (seen.ok && seen.value.kind === 'unseen' && (wasSilent || spentMs >= SETTLE_MS)) {
      return { ok: true, value: 'unseen' };
    }
    if (spentMs < resetMs) continue;
    if (seen.ok && seen.value.kind === 'not-yet') return seen.value.late;
    return failure(
      'SILENT',
      `${peer} did not come back within ${resetMs} ms after its reset (${exchange.field('timing.resetMs')}): ` +
        `${exchange.advise('restart')}${seen.ok ? '' : ` (${seen.reason})`}`,
      true,
    );
  }
}

/** Reads session, version and digest, as far as the ECU reports them. */
async function askWhatRuns(exchange: Exchange, signal?: AbortSignal): Promise<Exchanged<Told>> {
  const doing = 'waiting for its restart';
  const asked = authentic(exchange);
  const session = await readDid(asked, Did.activeDiagnosticSession, doing, signal, POLL);
  if (!session.ok) return session;
  const told = { session: session.value?.[0], version: undefined, sha256: undefined };
  if (exchange.ecu.programming.identify === 'skip') return { ok: true, value: told };
  const version = await readVersion(asked, signal, POLL);
  if (!version.ok) return version;
  const sha256 = await readDigest(asked, Did.activeBankDigest, signal, POLL);
  if (!sha256.ok) return sha256;
  return { ok: true, value: { ...told, version: version.value, sha256: sha256.value } };
}

function judge(exchange: Exchange, told: Told, awaited: Awaited): Look {
  const notYet = (code: 'SELF_TEST' | 'DIGEST_MISMATCH' | 'VERSION_MISMATCH', expected: string) => {
    const { resetMs } = exchange.ecu.timing;
    const reason = `${exchange.peer}: ${resetMs} ms after its reset (${exchange.field('timing.resetMs')}) it tells ${toldText(told)}, expected ${expected}`;
    return { kind: 'not-yet', late: failure(code, reason) } as const;
  };
  const { tells, stale } = awaited;
  if (told.session !== undefined && told.session !== Session.default) {
    return notYet('SELF_TEST', 'the default session: the software does not start');
  }
  if (awaited.sha256 !== undefined && told.sha256 !== undefined) {
    return told.sha256 === awaited.sha256
      ? { kind: 'there' }
      : notYet('DIGEST_MISMATCH', `SHA-256 ${awaited.sha256}`);
  }
  if (tells.sha256 !== undefined && told.sha256 === undefined) {
    return notYet('DIGEST_MISMATCH', 'the digest of its image, which it told before');
  }
  if (tells.version !== undefined && told.version === undefined) {
    return notYet('VERSION_MISMATCH', 'a version, which it told before');
  }
  if (awaited.version !== undefined && told.version !== undefined) {
    if (told.version !== awaited.version) {
      return notYet('VERSION_MISMATCH', `version ${JSON.stringify(awaited.version)}`);
    }
    // The same version before and after does not show whether the reset has happened.
    return stale.version === awaited.version ? { kind: 'unseen' } : { kind: 'there' };
  }
  const isOther =
    told.version !== undefined && stale.version !== undefined && told.version !== stale.version;
  return { kind: isOther ? 'there' : 'unseen' };
}

function toldText({ session, version, sha256 }: Told): string {
  return [
    version === undefined ? 'no version' : `version ${JSON.stringify(version)}`,
    ...(sha256 === undefined ? [] : [`SHA-256 ${sha256}`]),
    ...(session === undefined ? [] : [`session ${hexNumber(session, 2)}`]),
  ].join(', ');
}

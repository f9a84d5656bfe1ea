// Enters a session and unlocks SecurityAccess, which every change of an ECU needs.

import { fromHex } from '../core/bytes.ts';
import { sleep } from '../core/clock.ts';
import { Nrc } from '../uds/nrc.ts';
import * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
import * as securityAccess from '../uds/services/security-access.ts';
import type { Session } from '../uds/sid.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import { keyFromSeed, type SeedKeySecurity } from '../vehicle/security/all.ts';
import { type Exchange, type Exchanged, failure, wasLost } from './exchange.ts';

/** Interval at which a seed is requested during the delay of annex I (usually 10 s) after too many wrong keys. */
const DELAY_POLL_MS = 1000;
/** How many seeds are requested when the answer to a key is lost. */
const KEY_TRIES = 3;

export async function enterSession(
  exchange: Exchange,
  session: Session,
  signal?: AbortSignal,
): Promise<Exchanged<void>> {
  const name = session === 0x02 ? 'programming' : session === 0x03 ? 'extended' : 'default';
  const entered = await exchange.askFor(
    diagnosticSessionControl.encodeRequest(session),
    `entering the ${name} session`,
    diagnosticSessionControl.decodeResponse,
    signal,
  );
  return entered.ok ? { ok: true, value: undefined } : entered;
}

/** Unlocks with the security profile of the vehicle file; does nothing without one. `doing` completes "while ...". */
export async function unlock(
  exchange: Exchange,
  runCommand: KeyCommand | undefined,
  signal?: AbortSignal,
  doing = 'unlocking for programming',
): Promise<Exchanged<void>> {
  const { security } = exchange.ecu;
  if (security.algorithm === 'none') return { ok: true, value: undefined };
  const { level } = security;
  for (let tries = 1; ; tries++) {
    const seed = await askSeed(exchange, security, doing, signal);
    if (!seed.ok) return seed;
    if (securityAccess.isUnlockedSeed(seed.value)) return { ok: true, value: undefined };
    const made = await keyFromSeed(security, seed.value, { runCommand });
    if (made.key === undefined) {
      const why = made.reason ?? exchange.advise('no-key');
      return failure('SECURITY', `${exchange.peer}: no key for its seed: ${why}`);
    }
    const sent = await exchange.askFor(
      securityAccess.encodeRequest('sendKey', level, made.key),
      doing,
      securityAccess.decodeResponse,
      signal,
    );
    if (sent.ok) return { ok: true, value: undefined };
    // A seed of zeros means that the key was accepted; any other seed needs a new key.
    if (!wasLost(sent) || tries >= KEY_TRIES) return sent;
  }
}

/** Requests a seed until the delay of the ECU is over (NRC 37), for at most `timing.securityDelayLimitMs`. */
async function askSeed(
  exchange: Exchange,
  { level, dataRecord }: Pick<SeedKeySecurity, 'level' | 'dataRecord'>,
  doing: string,
  signal: AbortSignal | undefined,
): Promise<Exchanged<Uint8Array>> {
  const { clock } = exchange;
  const { securityDelayLimitMs } = exchange.ecu.timing;
  const request = securityAccess.encodeRequest('requestSeed', level, fromHex(dataRecord ?? ''));
  const beganMs = clock.nowMs();
  for (;;) {
    const seed = await exchange.askFor(request, doing, securityAccess.decodeResponse, signal);
    if (seed.ok) {
      return seed.value.kind === 'requestSeed'
        ? { ok: true, value: seed.value.seed }
        : exchange.malformed(request, doing, 'it is no seed');
    }
    if (seed.nrc !== Nrc.requiredTimeDelayNotExpired) return seed;
    const spentMs = clock.nowMs() - beganMs;
    if (spentMs >= securityDelayLimitMs) {
      const reason = `${seed.reason} (asked again for ${Math.round(spentMs)} ms, ${exchange.field('timing.securityDelayLimitMs')})`;
      return { ...seed, reason };
    }
    const pauseMs = Math.min(DELAY_POLL_MS, securityDelayLimitMs - spentMs);
    if ((await sleep(clock, 'security-delay', pauseMs, signal)) === 'aborted') {
      return failure(
        'INTERRUPTED',
        `${exchange.peer}: stopped while its delay was waited for`,
        true,
      );
    }
  }
}

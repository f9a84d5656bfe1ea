// Into a session and through SecurityAccess, as every change in an ECU needs it.

import { sleep } from '../core/clock.ts';
import { Nrc } from '../uds/nrc.ts';
import * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
import * as securityAccess from '../uds/services/security-access.ts';
import type { Session } from '../uds/sid.ts';
import { type Exchange, type Exchanged, failure } from './exchange.ts';
import { type KeyCommand, keyFor } from './security-key.ts';

/** Annex I: an ECU whose attempts are used up refuses for a while, usually 10 s. Waited for once. */
const DELAY_WAIT_MS = 10_500;

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

/** SecurityAccess with the profile of the vehicle file; nothing to do for an ECU without. `doing` completes "while ...". */
export async function unlock(
  exchange: Exchange,
  runCommand: KeyCommand | undefined,
  signal?: AbortSignal,
  doing = 'unlocking for programming',
): Promise<Exchanged<void>> {
  const { security } = exchange.ecu;
  if (security.algorithm === 'none') return { ok: true, value: undefined };
  const { level } = security;
  const seedRequest = securityAccess.encodeRequest('requestSeed', level);
  const askSeed = () => exchange.askFor(seedRequest, doing, securityAccess.decodeResponse, signal);
  let seed = await askSeed();
  if (!seed.ok && seed.nrc === Nrc.requiredTimeDelayNotExpired) {
    await sleep(exchange.clock, 'security-delay', DELAY_WAIT_MS, signal);
    seed = await askSeed();
  }
  if (!seed.ok) return seed;
  if (seed.value.kind !== 'requestSeed') {
    return exchange.malformed(seedRequest, doing, 'it is no seed');
  }
  if (securityAccess.isUnlockedSeed(seed.value.seed)) return { ok: true, value: undefined };
  const made = await keyFor(security, seed.value.seed, runCommand);
  if (!('key' in made)) {
    const why = made.reason ?? exchange.advise('no-key');
    return failure('SECURITY', `${exchange.peer}: no key for its seed: ${why}`);
  }
  const sent = await exchange.askFor(
    securityAccess.encodeRequest('sendKey', level, made.key),
    doing,
    securityAccess.decodeResponse,
    signal,
  );
  return sent.ok ? { ok: true, value: undefined } : sent;
}

// When the tokens of tools end, and what people are told about it: 30, 7 and 1 days before, and after.

import { type ExpiryStage, expiryStage, expiryWords } from '../../../src/trust/expiry-stage.ts';
import type { ServiceToken, TokenRole } from '../../platform/auth/identity.ts';

const DAY_MS = 86_400_000;
/** A token that no tool has shown for this long is not missed by anyone when it ends. */
const DORMANT_AFTER_MS = 90 * DAY_MS;

/** A token that ends. */
export interface TokenExpiry {
  readonly name: string;
  readonly role: TokenRole;
  /** ISO 8601. */
  readonly expires: string;
  readonly expiresMs: number;
  /** Whole days, negative when it is over. */
  readonly daysLeft: number;
  readonly stage: ExpiryStage;
  /** Not used for 90 days: the log names it once for each step, and pages and status leave it out. */
  readonly dormant: boolean;
  /** For people: what happens and what to do. Undefined while nothing has to be done. */
  readonly notice: string | undefined;
  /** The same without the name of the token, for pages without a log-in. */
  readonly publicNotice: string | undefined;
}

/** Undefined for a token that does not expire. */
export function tokenExpiryOf(token: ServiceToken, nowMs: number): TokenExpiry | undefined {
  const { name, role, createdAt, expiresAt, usedAt } = token;
  if (expiresAt === undefined) return undefined;
  const expiresMs = Date.parse(expiresAt);
  const stage = expiryStage(expiresMs, nowMs);
  const dormant = nowMs - Date.parse(usedAt ?? createdAt) > DORMANT_AFTER_MS;
  const isDue = stage !== 'valid';
  const over = stage === 'expired';
  const when = `${expiryWords(expiresMs, nowMs)} (${expiresAt})`;
  const use = dormant ? ` It is not in use (${usedAt ?? 'never used'}).` : '';
  const next = `can-ota server token ${name} --remove, then can-ota server token ${name} --role ${role}`;
  const refused = over ? 'its tool is refused' : 'its tool is then refused';
  return {
    name,
    role,
    expires: expiresAt,
    expiresMs,
    daysLeft: Math.floor((expiresMs - nowMs) / DAY_MS),
    stage,
    dormant,
    notice: isDue
      ? `the ${role} token ${name} ${when}: ${refused} (TOKEN_EXPIRED).${use} Make the next one: ${next}`
      : undefined,
    publicNotice: isDue
      ? `a token of the role ${role} ${when}: ${refused} (TOKEN_EXPIRED). can-ota server token --list names it`
      : undefined,
  };
}

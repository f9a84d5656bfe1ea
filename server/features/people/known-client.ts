// Browsers that have logged in before: a cookie that proves it, so that wrong passwords of others do not shut them out.

import { createHmac } from 'node:crypto';
import { constantTimeEqual, toHex } from '../../../src/core/bytes.ts';
import type { Random } from '../../../src/core/random.ts';
import type { AppContext } from '../../platform/http/request.ts';

const COOKIE = 'can-ota-client';
const LIFE_MS = 180 * 86_400_000;

/** The part of a user that the proof is made of: a new password ends all proofs. */
interface KnownUser {
  readonly name: string;
  readonly passwordHash: string;
}

/** Gives the browser its proof. It opens nothing: the password is still asked for. */
export function rememberClient(ctx: AppContext, random: Random, user: KnownUser): void {
  const id = clientOf(ctx, user) ?? toHex(random.bytes(16));
  ctx.cookies.set(COOKIE, `${id}.${proofOf(id, user)}`, {
    maxAge: LIFE_MS,
    httpOnly: true,
    sameSite: 'strict',
    path: `${ctx.state.base}/login`,
    signed: false,
  });
}

/** The browser that has logged in as this user before; undefined without a proof. */
export function clientOf(ctx: AppContext, user: KnownUser | undefined): string | undefined {
  const [id = '', proof = ''] = (ctx.cookies.get(COOKIE) ?? '').split('.');
  if (user === undefined || !/^[0-9a-f]{32}$/.test(id)) return undefined;
  const isRight = constantTimeEqual(Buffer.from(proofOf(id, user)), Buffer.from(proof));
  return isRight ? id : undefined;
}

function proofOf(id: string, { name, passwordHash }: KnownUser): string {
  return createHmac('sha256', passwordHash).update(`known client|${name}|${id}`).digest('hex');
}

// What a sealed request has to be: of a session that lasts, as the device sent it, for the first time, and of a device that is active.

import type { ProblemCode } from '../../../src/contract/problem.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { Logger } from '../../../src/core/logger.ts';
import {
  encrypts,
  type MessageHead,
  openMessage,
  readHead,
  type SealedSession,
} from '../../../src/trust/sealed-session.ts';
import { HttpProblem } from '../http/errors.ts';
import type { AppContext } from '../http/request.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { CallerSources } from './caller-sources.ts';
import type { CallerGate } from './callers.ts';
import type { RegisteredDevice } from './identity.ts';

/** What it takes to open the messages of devices. */
export interface SealedGuard {
  readonly sealedSessions: {
    /** One that has not expired. */
    find(id: string): Promise<SealedSession | undefined>;
    /** Durably takes a sequence number; false when it, or a higher one, was taken before. */
    take(id: string, sequence: number): Promise<boolean>;
    end(serial: string): Promise<void>;
  };
  readonly devices: Pick<CallerSources['devices'], 'bySerial'>;
  readonly gate: CallerGate;
  readonly audit: AuditTrail;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Sessions without encryption (suite `hmac`) are refused. */
  readonly encryptedOnly: boolean;
}

export interface ReceivedMessage {
  readonly session: SealedSession;
  readonly device: RegisteredDevice;
  readonly sequence: number;
  readonly body: Uint8Array;
}

/**
 * Opens the message of a request. Its number is taken durably before anything is done: what comes again is refused, also after a
 * restart. Throws HttpProblem 400 `MESSAGE_MALFORMED`; 401 `SESSION_UNKNOWN` (also: over, ended), `MESSAGE_FORGED`, `MESSAGE_REPLAYED`,
 * `DEVICE_REFUSED`; 429. All of it is on record. `uncounted`: the caller counts the request, when it knows what it asks for.
 */
export async function receiveMessage(
  ctx: AppContext,
  guard: SealedGuard,
  message: Uint8Array,
  options: { readonly uncounted?: boolean } = {},
): Promise<ReceivedMessage> {
  const { sealedSessions, devices, gate } = guard;
  const head = readHead(message);
  if (head === undefined) {
    throw await refusal(ctx, guard, 'MESSAGE_MALFORMED', undefined, 'the body is no message');
  }
  const found = await sealedSessions.find(head.session);
  // Opened before this server took no such sessions: the device opens another one, and is told why not.
  const isRefused = found !== undefined && guard.encryptedOnly && !encrypts(found.suite);
  const session = isRefused ? undefined : found;
  if (session === undefined) {
    throw await refusal(
      ctx,
      guard,
      'SESSION_UNKNOWN',
      undefined,
      'there is no such session (any more): POST /auth/challenge and /auth/response with "sealed" open one',
    );
  }
  const { serial } = session;
  const { sequence } = head;
  const opened = openMessage(session, contextOf(ctx, head), message);
  if (!opened.ok) {
    throw await refusal(
      ctx,
      guard,
      'MESSAGE_FORGED',
      serial,
      'it is not what the device sent to this path',
    );
  }
  if (!(await sealedSessions.take(session.id, sequence))) {
    throw await refusal(
      ctx,
      guard,
      'MESSAGE_REPLAYED',
      serial,
      `number ${sequence}, or a later one, was taken before`,
    );
  }
  if (options.uncounted !== true) await gate.known(ctx, serial);
  const device = await devices.bySerial(serial);
  if (device?.status !== 'active') {
    await sealedSessions.end(serial);
    throw await refusal(ctx, guard, 'DEVICE_REFUSED', serial, 'the device is not active');
  }
  await gate.certificate(ctx, device);
  return { session, device, sequence, body: opened.body };
}

function contextOf(ctx: AppContext, { sequence }: MessageHead) {
  return { from: 'device', path: ctx.path, sequence, status: 0 } as const;
}

async function refusal(
  ctx: AppContext,
  guard: SealedGuard,
  code: Extract<ProblemCode, `MESSAGE_${string}` | 'SESSION_UNKNOWN' | 'DEVICE_REFUSED'>,
  serial: string | undefined,
  text: string,
): Promise<HttpProblem> {
  await guard.gate.anonymous(ctx);
  await guard.audit.record({
    action: 'refused.message',
    who: serial ?? '',
    address: ctx.state.address,
    detail: `${code} on ${ctx.path}`,
  });
  guard.logger.warn({ code, path: ctx.path, serial: serial ?? null }, 'a message is refused');
  return new HttpProblem(code === 'MESSAGE_MALFORMED' ? 400 : 401, code, text);
}

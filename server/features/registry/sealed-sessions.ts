// What a sealed request has to be: of a session that lasts, as the device sent it, for the first time, and of a device that is active.

import type { ProblemCode } from '../../../src/contract/problem.ts';
import {
  encrypts,
  type MessageHead,
  openMessage,
  readHead,
  type SealedSession,
} from '../../../src/trust/sealed-session.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { AppContext } from '../../platform/http/request.ts';
import type { Services } from '../../platform/http/services.ts';
import type { RegisteredDevice } from './store.ts';

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
  services: Services,
  message: Uint8Array,
  options: { readonly uncounted?: boolean } = {},
): Promise<ReceivedMessage> {
  const { sealedSessions, devices } = services;
  const head = readHead(message);
  if (head === undefined) {
    throw await refusal(ctx, services, 'MESSAGE_MALFORMED', undefined, 'the body is no message');
  }
  const found = await sealedSessions.find(head.session);
  // Opened before this server took no such sessions: the device opens another one, and is told why not.
  const isRefused = found !== undefined && services.encryptedOnly && !encrypts(found.suite);
  const session = isRefused ? undefined : found;
  if (session === undefined) {
    throw await refusal(
      ctx,
      services,
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
      services,
      'MESSAGE_FORGED',
      serial,
      'it is not what the device sent to this path',
    );
  }
  if (!(await sealedSessions.take(session.id, sequence))) {
    throw await refusal(
      ctx,
      services,
      'MESSAGE_REPLAYED',
      serial,
      `number ${sequence}, or a later one, was taken before`,
    );
  }
  if (options.uncounted !== true) await services.gate.known(ctx, services, serial);
  const device = await devices.bySerial(serial);
  if (device?.status !== 'active') {
    await sealedSessions.end(serial);
    throw await refusal(ctx, services, 'DEVICE_REFUSED', serial, 'the device is not active');
  }
  await services.gate.certificate(ctx, services, device);
  return { session, device, sequence, body: opened.body };
}

function contextOf(ctx: AppContext, { sequence }: MessageHead) {
  return { from: 'device', path: ctx.path, sequence, status: 0 } as const;
}

async function refusal(
  ctx: AppContext,
  services: Services,
  code: Extract<ProblemCode, `MESSAGE_${string}` | 'SESSION_UNKNOWN' | 'DEVICE_REFUSED'>,
  serial: string | undefined,
  text: string,
): Promise<HttpProblem> {
  await services.gate.anonymous(ctx, services);
  await services.audit.record({
    action: 'refused.message',
    who: serial ?? '',
    address: ctx.state.address,
    detail: `${code} on ${ctx.path}`,
  });
  services.logger.warn({ code, path: ctx.path, serial: serial ?? null }, 'a message is refused');
  return new HttpProblem(code === 'MESSAGE_MALFORMED' ? 400 : 401, code, text);
}

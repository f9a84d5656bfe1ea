// Finds the handler of a request or the NRC against it: the checks of ISO 14229-1 8.7 in the standard's order.

import { Nrc } from './nrc.ts';
import type { ServiceContext, ServiceHandler, ServiceHandlers } from './server-types.ts';

export type Admission =
  | { readonly kind: 'run'; readonly handler: ServiceHandler }
  | { readonly kind: 'refuse'; readonly nrc: Nrc };

/** `request` has bit 7 of its sub-function cleared. The handler checks the rest: 24, 31, 22, 72 and its own codes. */
export function admit(
  handlers: ServiceHandlers,
  request: Uint8Array,
  context: Asking & Pick<ServiceContext, 'functional'>,
): Admission {
  const [sid, subFunction] = request;
  const handler = sid === undefined ? undefined : handlers[sid];
  // Figure 5: the service itself.
  if (handler === undefined) return refuse(Nrc.serviceNotSupported);
  if (context.functional && handler.functional === false) return refuse(Nrc.serviceNotSupported);
  if (!existsIn(handler.sessions, context)) {
    return refuse(Nrc.serviceNotSupportedInActiveSession);
  }
  if (!mayUse(handler.security, context)) return refuse(Nrc.securityAccessDenied);
  // Figure 6: length first, then the sub-function.
  if (request.length < handler.minLength) return refuse(Nrc.incorrectMessageLengthOrInvalidFormat);
  if (handler.subFunctions === undefined) return { kind: 'run', handler };
  if (subFunction === undefined) return refuse(Nrc.incorrectMessageLengthOrInvalidFormat);
  const rule = handler.subFunctions[subFunction];
  if (rule === undefined) return refuse(Nrc.subFunctionNotSupported);
  if (!existsIn(rule.sessions, context)) {
    return refuse(Nrc.subFunctionNotSupportedInActiveSession);
  }
  if (!mayUse(rule.security, context)) return refuse(Nrc.securityAccessDenied);
  if (request.length < (rule.minLength ?? 0)) {
    return refuse(Nrc.incorrectMessageLengthOrInvalidFormat);
  }
  return { kind: 'run', handler };
}

/** Who asks: a message with its own authority needs neither a session nor an unlocked level. */
type Asking = Pick<ServiceContext, 'session' | 'securityLevel' | 'authority'>;

function existsIn(
  sessions: readonly number[] | undefined,
  { session, authority }: Asking,
): boolean {
  return sessions === undefined || sessions.includes(session) || authority !== undefined;
}

function mayUse(level: number | undefined, { securityLevel, authority }: Asking): boolean {
  return level === undefined || level === securityLevel || authority !== undefined;
}

function refuse(nrc: Nrc): Admission {
  return { kind: 'refuse', nrc };
}

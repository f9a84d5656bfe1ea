// An operator at the backend, who gives up when the backend refuses or stops.

import { OperatorError } from '../simulated-server.ts';
import type { FaultContext } from './fault.ts';

/** Undefined: the request was refused, or its result is unknown. */
export async function askAsOperator(
  { server }: FaultContext,
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body: unknown,
): Promise<unknown> {
  if (!server.running) return undefined;
  return server.operate(method, path, body).catch((error: unknown) => {
    if (error instanceof OperatorError && error.status < 500) return undefined;
    // The server stopped during the request.
    if (!server.running) return undefined;
    throw error;
  });
}

// An operator at the backend, who leaves it at that when the backend refuses or goes away.

import { OperatorError } from '../simulated-server.ts';
import type { FaultContext } from './fault.ts';

/** Undefined: it was refused, or nobody knows. */
export async function askAsOperator(
  { server }: FaultContext,
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body: unknown,
): Promise<unknown> {
  if (!server.running) return undefined;
  return server.operate(method, path, body).catch((error: unknown) => {
    if (error instanceof OperatorError && error.status < 500) return undefined;
    // It went away in the middle of it.
    if (!server.running) return undefined;
    throw error;
  });
}

// Entry of the thread that runs a broker: a busy main thread does not stall the bus of the other processes.

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../core/clock.ts';
import { systemErrorCode } from '../core/errors.ts';
import { present } from '../core/present.ts';
import { type BrokerOptions, LocalBroker } from './local-broker.ts';
import { preferThisThread } from './thread-priority.ts';

/** Messages of the thread: exactly one of these after its start. */
export type BrokerWorkerMessage =
  | { readonly kind: 'listening' }
  | { readonly kind: 'failed'; readonly code: string };

const port = present(parentPort, 'the port of the worker thread');
const say = (message: BrokerWorkerMessage): void => port.postMessage(message);

preferThisThread();
try {
  const broker = await LocalBroker.listen(workerData as BrokerOptions, systemClock);
  // Any message means: retire. The thread ends when nothing is open any more.
  port.once('message', () => {
    void broker.retire().then(() => port.close());
  });
  say({ kind: 'listening' });
} catch (error) {
  say({ kind: 'failed', code: systemErrorCode(error) ?? String(error) });
}

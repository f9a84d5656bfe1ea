// Starts a broker in a thread of this process, and ends it.

import { Worker } from 'node:worker_threads';
import type { Logger } from '../core/logger.ts';
import { threadUrl } from '../core/thread-url.ts';
import type { BrokerOptions } from './local-broker.ts';
import type { BrokerWorkerMessage } from './local-broker-worker.ts';

export interface BrokerHost {
  readonly running: boolean;
  /** Lets the broker hand over its clients, then ends its thread. */
  retire(): Promise<void>;
}

/** Undefined when the broker of another process was faster. Rejects when the thread cannot be started. */
export function startBroker(
  options: BrokerOptions,
  logger: Logger,
): Promise<BrokerHost | undefined> {
  return new Promise((resolve, reject) => {
    // The thread does not get the options of this process's Node (an inspector, a test runner's loaders).
    const worker = new Worker(threadUrl('local-broker-worker', import.meta.url), {
      workerData: { ...options, ownThread: true },
      execArgv: [],
      name: 'can-ota bus',
    });
    // The sockets of the bus keep the process alive; the thread alone does not.
    worker.unref();
    let running = true;
    const ended = new Promise<void>((done) => {
      worker.once('exit', () => {
        running = false;
        done();
      });
    });
    worker.on('error', (error) => {
      logger.error({ error: error.message }, 'the broker of the local bus ended');
      reject(error);
    });
    worker.once('message', (message: BrokerWorkerMessage) => {
      if (message.kind === 'listening') {
        resolve({
          get running() {
            return running;
          },
          retire: async () => {
            if (!running) return;
            worker.ref();
            worker.postMessage('retire');
            await ended;
          },
        });
        return;
      }
      void worker.terminate();
      if (message.code === 'EADDRINUSE') resolve(undefined);
      else reject(new Error(`the broker of the local bus could not listen: ${message.code}`));
    });
  });
}

// Reads a flash file in a thread of its own, so that a large one does not hold up the event loop of a server.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { threadUrl } from '../core/thread-url.ts';

export interface PayloadOrder {
  readonly bytes: Uint8Array;
  /** Stands in messages. */
  readonly name: string;
}

export type PayloadAnswer =
  | { readonly ok: true; readonly payload: Uint8Array }
  /** The file is damaged or of another kind; the message says where and what to do. */
  | { readonly ok: false; readonly message: string };

/** What a release stores of the file (`canonical.ts`), as `readImage` reads it. */
export async function payloadInThread(order: PayloadOrder): Promise<PayloadAnswer> {
  const worker = new Worker(threadUrl('payload-worker', import.meta.url), { workerData: order });
  try {
    const [message] = (await once(worker, 'message')) as [PayloadAnswer];
    return message;
  } finally {
    await worker.terminate();
  }
}

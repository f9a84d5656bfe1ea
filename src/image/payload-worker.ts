// The code of a thread that reads one flash file: its bytes come in, the payload of a release goes out.

import { parentPort, workerData } from 'node:worker_threads';
import { InputError } from '../core/errors.ts';
import { canonicalPayload } from './canonical.ts';
import type { PayloadAnswer, PayloadOrder } from './payload-thread.ts';
import { readImage } from './read-image.ts';

function answer({ bytes, name }: PayloadOrder): PayloadAnswer {
  try {
    const { image } = readImage(bytes, name, { raw: { told: false } });
    return { ok: true, payload: Uint8Array.from(canonicalPayload(image)) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { ok: false, message: error.message };
  }
}

parentPort?.postMessage(answer(workerData as PayloadOrder));

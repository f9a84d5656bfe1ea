// The services of the backend over the sealed session of this vehicle.

import {
  SYNC_PATH,
  type SyncAnswer,
  type SyncRequest,
  syncAnswer,
  TELEMETRY_PATH,
} from '../../contract/sync.ts';
import { type Batch, batchAnswer, packBatch } from '../../contract/telemetry.ts';
import type { BackendFailure } from '../../core/backend-failure.ts';
import type { SealedClient } from '../../link/sealed-client.ts';
import type { ServiceBackend } from './remote-backend.ts';

export class SealedBackend implements ServiceBackend {
  readonly #client: Pick<SealedClient, 'json' | 'post' | 'rotateWhenDue'>;

  constructor(client: Pick<SealedClient, 'json' | 'post' | 'rotateWhenDue'>) {
    this.#client = client;
  }

  async sync(
    request: SyncRequest,
    signal: AbortSignal,
  ): Promise<{ readonly value: SyncAnswer } | BackendFailure> {
    const answer = await this.#client.json(SYNC_PATH, request, syncAnswer, signal);
    if (!('kind' in answer)) await this.#client.rotateWhenDue(signal);
    return answer;
  }

  async upload(
    batch: Batch,
    signal: AbortSignal,
  ): Promise<{ readonly stored: number } | BackendFailure> {
    const answer = await this.#client.post(TELEMETRY_PATH, packBatch(batch), { signal });
    if (answer.kind === 'failed') return answer;
    const { status, body } = answer;
    if (status === 200) {
      try {
        return batchAnswer.parse(JSON.parse(new TextDecoder().decode(body)));
      } catch {
        const reason = `the answer to batch ${batch.number} cannot be understood; is this a can-ota server?`;
        return { kind: 'failed', code: 'FOREIGN_ANSWER', reason, transient: true };
      }
    }
    return {
      kind: 'failed',
      code: `HTTP_${status}`,
      reason: `batch ${batch.number} of telemetry was answered ${status}`,
      transient: status >= 500 || status === 429,
    };
  }
}

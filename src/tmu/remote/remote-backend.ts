// What the remote features need of the backend; the sealed session does it over HTTP.

import type { SyncAnswer, SyncRequest } from '../../contract/sync.ts';
import type { Batch } from '../../contract/telemetry.ts';
import type { BackendFailure } from '../../core/backend-failure.ts';

export interface ServiceBackend {
  sync(
    request: SyncRequest,
    signal: AbortSignal,
  ): Promise<{ readonly value: SyncAnswer } | BackendFailure>;
  /** `stored`: the backend has all batches of this sender up to this number. */
  upload(batch: Batch, signal: AbortSignal): Promise<{ readonly stored: number } | BackendFailure>;
}

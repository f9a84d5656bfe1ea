// The backend of the remote features over the sealed session of this vehicle.

import { vehicleSync } from '../../contract/endpoints/vehicles/sync.ts';
import { telemetryUpload } from '../../contract/endpoints/vehicles/telemetry-upload.ts';
import type { SyncAnswer, SyncRequest } from '../../contract/sync.ts';
import { type Batch, packBatch } from '../../contract/telemetry.ts';
import type { BackendFailure } from '../../core/backend-failure.ts';
import type { SealedClient } from '../../link/sealed-client.ts';
import type { ServiceBackend } from './remote-backend.ts';

export class SealedBackend implements ServiceBackend {
  readonly #client: Pick<SealedClient, 'json' | 'ask' | 'rotateWhenDue'>;

  constructor(client: Pick<SealedClient, 'json' | 'ask' | 'rotateWhenDue'>) {
    this.#client = client;
  }

  async sync(
    request: SyncRequest,
    signal: AbortSignal,
  ): Promise<{ readonly value: SyncAnswer } | BackendFailure> {
    const answer = await this.#client.json(vehicleSync, request, signal);
    if (!('kind' in answer)) await this.#client.rotateWhenDue(signal);
    return answer;
  }

  async upload(
    batch: Batch,
    signal: AbortSignal,
  ): Promise<{ readonly stored: number } | BackendFailure> {
    const answer = await this.#client.ask(telemetryUpload, packBatch(batch), signal);
    return 'kind' in answer ? answer : answer.value;
  }
}

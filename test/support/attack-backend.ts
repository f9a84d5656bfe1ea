// The way between a vehicle and its repositories, in the hands of somebody who listens, drops and changes.

import type {
  Checkin,
  DownloadAnswer,
  LatestAnswer,
  MetadataBody,
} from '../../src/campaign/ports.ts';
import type { BackendFailure } from '../../src/core/backend-failure.ts';
import type { RepositoryName } from '../../src/trust/full-verification.ts';
import type { SignedJson } from '../../src/trust/manifest.ts';
import { away, UptaneBackend } from '../tmu/uptane/support.ts';

/** More than is tried in one cycle, or in a day. */
export function always<T>(fault: T): T[] {
  return Array.from({ length: 1000 }, () => fault);
}

export class AttackedBackend extends UptaneBackend {
  /** Hears every byte of images and metadata on its way to the vehicle. */
  hear: ((bytes: Uint8Array) => void) | undefined;
  /** Downloads that do not come through. */
  blocks: ((file: string) => BackendFailure | undefined) | undefined;
  /** `/latest_version` says that nothing is new, whatever there is. */
  saysUnchanged = false;

  /** As they came, the last one at the end. */
  readonly checkins: SignedJson[] = [];

  /** Nothing comes through any more. */
  cutOff(): void {
    this.latestFaults = always(away);
    this.checkinFaults = always(away);
    this.timeFaults = always(away);
  }

  /** Everything does again. */
  letThrough(): void {
    this.latestFaults = [];
    this.nonceFaults = [];
    this.downloadFaults = [];
    this.reportFaults = [];
    this.checkinFaults = [];
    this.timeFaults = [];
    this.faults.clear();
    this.makeTime = undefined;
    this.blocks = undefined;
    this.hear = undefined;
    this.saysUnchanged = false;
  }

  override async checkin(checkin: Checkin): ReturnType<UptaneBackend['checkin']> {
    const answer = await super.checkin(checkin);
    if (answer.kind === 'checked-in') this.checkins.push(checkin.manifest as SignedJson);
    return answer;
  }

  override async latest(ecus: readonly string[], etag: string | undefined): Promise<LatestAnswer> {
    return this.saysUnchanged ? { kind: 'not-modified' } : super.latest(ecus, etag);
  }

  override async download(
    release: { file: string },
    nonce: string,
    offset: number,
    signal?: AbortSignal,
  ): Promise<DownloadAnswer> {
    const blocked = this.blocks?.(release.file);
    if (blocked !== undefined) return blocked;
    const answer = await super.download(release, nonce, offset, signal);
    return answer.kind === 'body' ? { ...answer, chunks: this.#heard(answer.chunks) } : answer;
  }

  override async metadata(
    repository: RepositoryName,
    file: string,
    signal?: AbortSignal,
  ): Promise<MetadataBody> {
    const answer = await super.metadata(repository, file, signal);
    return answer.kind === 'body' ? { ...answer, chunks: this.#heard(answer.chunks) } : answer;
  }

  async *#heard(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of chunks) {
      this.hear?.(chunk);
      yield chunk;
    }
  }
}

const WINDOW_BYTES = 16;

/** What somebody has heard. */
export class Heard {
  readonly network: Uint8Array[] = [];
  readonly bus: Uint8Array[] = [];

  get bytes(): number {
    return [...this.network, ...this.bus].reduce((sum, { length }) => sum + length, 0);
  }

  /** Where 16 bytes of `secret` were heard in one piece. */
  find(secret: Uint8Array): string[] {
    const places = { network: this.network, 'CAN bus': this.bus };
    return Object.entries(places).flatMap(([place, heard]) => {
      const all = Buffer.concat(heard);
      for (let at = 0; at + WINDOW_BYTES <= secret.length; at += WINDOW_BYTES) {
        if (all.includes(Buffer.from(secret.subarray(at, at + WINDOW_BYTES)))) return [place];
      }
      return [];
    });
  }
}

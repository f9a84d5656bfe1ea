// Programming the target bank: services 34, 36, 37 and 38 and the routines around them, on real flash files.

import { equalBytes, toHex } from '../../src/core/bytes.ts';
import { describeError } from '../../src/core/errors.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import type { Reply } from '../../src/uds/server-types.ts';
import * as download from '../../src/uds/services/request-download.ts';
import * as fileTransfer from '../../src/uds/services/request-file-transfer.ts';
import * as exit from '../../src/uds/services/request-transfer-exit.ts';
import * as transferData from '../../src/uds/services/transfer-data.ts';
import { bankLetter, withBank } from './boot-record.ts';
import { type Device, UNKNOWN_VERSION } from './device.ts';
import {
  type Download,
  IDLE,
  startImage,
  startMetadata,
  transferBlock,
  transferExit,
} from './download.ts';
import { FlashFault, isFlashFailure } from './flash-memory.ts';
import { checkRelease, type ReleaseMetadata } from './metadata.ts';

/** Status byte of checkMemory. */
export const CheckResult = {
  correct: 0,
  /** The bytes in the bank do not have the hash that the tester or the metadata names. */
  wrongHash: 1,
} as const;

export class Programming {
  readonly #device: Device;
  readonly #maxBlockLength: number;
  #download: Download = IDLE;
  #metadataBytes = new Uint8Array();
  #release: ReleaseMetadata | undefined;
  /** Bytes of an image that has been transferred completely and awaits its check. */
  #transferred: number | undefined;
  /** In this session: a bank that happens to be blank is no permission to write. */
  #erased = false;

  constructor(device: Device, maxBlockLength: number) {
    this.#device = device;
    this.#maxBlockLength = maxBlockLength;
  }

  /** End of the programming session: what is unfinished stays unfinished, metadata is forgotten. */
  async abort(): Promise<void> {
    this.#download = IDLE;
    this.#release = undefined;
    this.#transferred = undefined;
    this.#erased = false;
    await this.#device.flash.abandonWrite();
  }

  async requestDownload(bytes: Uint8Array): Promise<Reply> {
    const request = download.decodeRequest(bytes);
    if (typeof request === 'number') return { nrc: request };
    const { flash, ecu } = this.#device;
    const step = startImage(
      this.#download,
      request,
      {
        address: ecu.memory.address,
        size: ecu.memory.bankSize,
        blank: this.#erased && flash.record.banks[flash.targetBank].content === 'empty',
        expectedLength: this.#release?.length,
      },
      this.#maxBlockLength,
    );
    if (step.nrc !== undefined) return { nrc: step.nrc };
    return this.#programming(async () => {
      this.#erased = false;
      await flash.beginWrite();
      this.#transferred = undefined;
      this.#download = step.state;
      return { positive: download.encodeResponse(this.#maxBlockLength) };
    });
  }

  requestFileTransfer(bytes: Uint8Array): Reply {
    const request = fileTransfer.decodeRequest(bytes);
    if (typeof request === 'number') return { nrc: request };
    // 15.6.4: 31 for a mode that is not supported. A second release.json replaces the first.
    if (request.mode !== 'addFile' && request.mode !== 'replaceFile') {
      return { nrc: Nrc.requestOutOfRange };
    }
    if (request.compressedSize !== request.size) return { nrc: Nrc.requestOutOfRange };
    const step = startMetadata(this.#download, request, this.#maxBlockLength);
    if (step.nrc !== undefined) return { nrc: step.nrc };
    this.#download = step.state;
    this.#metadataBytes = new Uint8Array(request.size);
    this.#release = undefined;
    return {
      positive: fileTransfer.encodeResponse({
        mode: request.mode,
        maxBlockLength: this.#maxBlockLength,
        dataFormat: 0,
      }),
    };
  }

  transferData(bytes: Uint8Array): Reply | Promise<Reply> {
    const request = transferData.decodeRequest(bytes);
    if (typeof request === 'number') return { nrc: request };
    const before = this.#download;
    const step = transferBlock(before, request.counter, request.data.length);
    if (step.nrc !== undefined) return { nrc: step.nrc };
    const positive = transferData.encodeResponse(request.counter);
    if (!step.write || before.kind !== 'receiving') return { positive };
    if (before.target === 'metadata') {
      this.#metadataBytes.set(request.data, before.received);
      this.#download = step.state;
      return { positive };
    }
    return this.#programming(async () => {
      await this.#device.flash.append(request.data);
      this.#download = step.state;
      const received = before.received + request.data.length;
      this.#device.emit({ kind: 'progress', received, size: before.size });
      return { positive };
    });
  }

  transferExit(bytes: Uint8Array): Reply | Promise<Reply> {
    const request = exit.decodeRequest(bytes);
    if (typeof request === 'number') return { nrc: request };
    const step = transferExit(this.#download, request.data.length);
    if (step.nrc !== undefined) return { nrc: step.nrc };
    this.#download = step.state;
    if (step.target === 'metadata') return this.#takeMetadata();
    return this.#programming(async () => {
      await this.#device.flash.finishWrite();
      this.#transferred = step.size;
      return { positive: exit.encodeResponse() };
    });
  }

  #takeMetadata(): Reply {
    const { ecu, hardwareId } = this.#device;
    const checked = checkRelease(this.#metadataBytes, {
      ecu: ecu.name,
      hardwareId,
      bankSize: ecu.memory.bankSize,
    });
    if ('refused' in checked) {
      this.#device.logger.warn({ reason: checked.refused }, 'release metadata refused');
      this.#device.emit({ kind: 'metadata-refused', reason: checked.refused });
      // 15.5.4: 72 when an error is found while the transfer is finalised. Nothing has been erased so far.
      return { nrc: Nrc.generalProgrammingFailure };
    }
    this.#release = checked.release;
    this.#device.emit({ kind: 'metadata', version: checked.release.version });
    return { positive: exit.encodeResponse() };
  }

  /** eraseMemory: from its first moment on the old content is void. Returns an NRC or nothing. */
  async erase(): Promise<Nrc | undefined> {
    // The other bank is what an unconfirmed image, or a requested rollback, goes back to.
    if (this.#bankIsNeeded()) return Nrc.conditionsNotCorrect;
    const { flash } = this.#device;
    this.#download = IDLE;
    this.#transferred = undefined;
    this.#erased = false;
    this.#device.emit({ kind: 'erase', bank: bankLetter(flash.targetBank) });
    const reply = await this.#programming(async () => {
      await flash.erase();
      this.#erased = true;
      return undefined;
    });
    return reply?.nrc;
  }

  /**
   * checkMemory: the hash is computed over the bytes in the bank, read back from the file. A correct image becomes
   * `valid` durably. `expected` is the tester's hash; without it the metadata's counts, and without that any.
   */
  async checkMemory(expected: Uint8Array | undefined): Promise<number | { readonly nrc: Nrc }> {
    const { flash } = this.#device;
    const bank = flash.targetBank;
    const { content, version } = flash.record.banks[bank];
    if (this.#transferred === undefined && content !== 'valid') {
      return { nrc: Nrc.requestSequenceError };
    }
    const outcome = await this.#programming(async () => {
      const found = await flash.digest(bank);
      const sha256 = toHex(found.sha256);
      const length = this.#transferred ?? flash.record.banks[bank].length;
      const wanted = [
        expected === undefined || equalBytes(expected, found.sha256),
        this.#release === undefined || this.#release.sha256 === sha256,
        content !== 'valid' || flash.record.banks[bank].sha256 === sha256,
        found.length === length,
      ];
      const passed = wanted.every((agrees) => agrees);
      const newVersion =
        content === 'valid' ? version : (this.#release?.version ?? UNKNOWN_VERSION);
      if (passed && content !== 'valid') {
        const proven = this.#device.ecu.memory.banks === 1; // there is nothing to try it against
        await flash.update((record) =>
          withBank(record, bank, {
            content: 'valid',
            version: newVersion,
            length,
            sha256,
            proven,
          }),
        );
        this.#transferred = undefined;
      }
      this.#device.emit({
        kind: 'check',
        bank: bankLetter(bank),
        passed,
        sha256,
        version: newVersion,
      });
      return { status: passed ? CheckResult.correct : CheckResult.wrongHash };
    });
    return 'status' in outcome ? outcome.status : { nrc: outcome.nrc };
  }

  #bankIsNeeded(): boolean {
    const { record } = this.#device.flash;
    if (this.#device.ecu.memory.banks === 1) return false;
    return record.trial !== null || record.rollbackPending;
  }

  /** Memory that does not take it is 72, and the download is over: the bank must be erased again. */
  async #programming<T>(work: () => Promise<T>): Promise<T | { readonly nrc: Nrc }> {
    try {
      return await work();
    } catch (error) {
      if (!isFlashFailure(error)) throw error;
      if (error instanceof FlashFault && error.kind === 'power-lost') {
        this.#device.losePower();
      } else {
        this.#device.logger.error({ reason: describeError(error) }, 'programming failed');
      }
      this.#download = IDLE;
      this.#transferred = undefined;
      await this.#device.flash.abandonWrite().catch(() => {});
      return { nrc: Nrc.generalProgrammingFailure };
    }
  }
}

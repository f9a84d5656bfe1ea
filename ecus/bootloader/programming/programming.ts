// Programs the target bank: services 34, 36, 37 and 38 and their routines, on real flash files.
// An erase or a write needs metadata that was verified in this session; before the lock the factory's announcement is
// enough.

import { describeError } from '../../../src/core/errors.ts';
import type { TrustFault } from '../../../src/trust/attack.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import { bankLetter } from '../boot/boot-record.ts';
import type { BootedEcu } from '../device.ts';
import { FlashFault, isFlashFailure } from '../flash/flash-memory.ts';
import { checkTargetBank } from './check-memory.ts';
import {
  DataFormat,
  type DownloadRequest,
  exitRefusal,
  startFile,
  startImage,
  transferBlock,
} from './download.ts';
import { ImageTransfer, resumePointFor } from './image-transfer.ts';
import type { MetadataCheck } from './metadata.ts';
import { isPlain, plainRelease } from './plain.ts';
import { acceptsRecord, canVerify, noteRefusedImage } from './readiness.ts';
import { announcedFile, type FileRequest, takeFile } from './received-file.ts';
import {
  accepted,
  awaitsCheck,
  interrupted,
  METADATA_FILE,
  NEW_SESSION,
  type Permission,
  type ProgrammingState,
  releaseOf,
} from './state.ts';

/** The NRC against a request, or undefined where it is answered positively. */
type Outcome = Nrc | undefined | Promise<Nrc | undefined>;

export class Programming {
  readonly #device: BootedEcu;
  readonly #metadata: MetadataCheck;
  /** maxNumberOfBlockLength of 34 and 38. */
  readonly maxBlockLength: number;
  #state: ProgrammingState = NEW_SESSION;

  constructor(device: BootedEcu, metadata: MetadataCheck, maxBlockLength: number) {
    this.#device = device;
    this.#metadata = metadata;
    this.maxBlockLength = maxBlockLength;
  }

  /** Ends the programming session: an unfinished transfer stays unfinished, metadata is dropped. */
  async abort(): Promise<void> {
    this.#state = NEW_SESSION;
    await this.#device.flash.abandonWrite();
  }

  /** 34: starts at the beginning of an erased bank, or after the durable part of the same image. */
  async requestDownload(request: DownloadRequest): Promise<Nrc | undefined> {
    if (!this.#isReady()) return Nrc.conditionsNotCorrect;
    const device = this.#device;
    const { flash, ecu, banks } = device;
    const permission = isPlain(ecu)
      ? ({ kind: 'plain', release: plainRelease(device, request.size) } as const)
      : await this.#permission();
    const release = releaseOf(permission);
    // An unconfirmed image needs the other bank for its fall back, so no download is resumed there.
    const point = banks.targetIsNeeded(flash.record) ? undefined : resumePointFor(device, release);
    const state = this.#state;
    const erased = state.kind === 'waiting' && state.bank === 'erased';
    const step = startImage(
      request,
      {
        address: ecu.memory.address,
        size: ecu.memory.bankSize,
        isBusy: state.kind !== 'waiting',
        blank: erased && flash.record.banks[flash.targetBank].content === 'empty',
        expectedLength: release?.header.length,
        format: release?.format ?? 'plain',
        resume: point,
      },
      this.maxBlockLength,
    );
    if (step.nrc !== undefined) return step.nrc;
    if (release === undefined) return Nrc.conditionsNotCorrect;
    const { blocks, resumed } = step;
    if (resumed && !(await acceptsRecord(device, release))) return Nrc.conditionsNotCorrect;
    return this.#programming(async () => {
      this.#state = { kind: 'waiting', permission, bank: 'untouched' };
      const transfer = await ImageTransfer.begin(
        device,
        release.header,
        request.dataFormat === DataFormat.encrypted,
        resumed ? point : undefined,
      );
      this.#state = { kind: 'receiving-image', permission, transfer, blocks };
      if (resumed && point !== undefined) {
        const bank = bankLetter(flash.targetBank);
        device.emit({ kind: 'resume', bank, received: point.received });
      }
      return undefined;
    });
  }

  /** The permission of this session, or else the previous image where the banks offer it. */
  async #permission(): Promise<Permission> {
    const { permission } = this.#state;
    if (releaseOf(permission) !== undefined) return permission;
    const release = await this.#device.banks.previousRelease(this.#device);
    return release === undefined ? permission : { kind: 'previous', release };
  }

  /** 38: the mode for the answer, or an NRC. */
  requestFileTransfer(request: FileRequest): 'addFile' | 'replaceFile' | Nrc {
    const file = announcedFile(this.#device, request);
    if (file.nrc !== undefined) return file.nrc;
    const { name } = file;
    const state = this.#state;
    const isBusy = state.kind !== 'waiting';
    const step = startFile(file, this.maxBlockLength, isBusy);
    if (step.nrc !== undefined) return step.nrc;
    if (isBusy) return Nrc.conditionsNotCorrect;
    if (name === METADATA_FILE && !canVerify(this.#device)) return Nrc.conditionsNotCorrect;
    this.#state = {
      kind: 'receiving-file',
      permission: file.permitsNothing ? state.permission : NEW_SESSION.permission,
      bank: state.bank,
      name,
      bytes: new Uint8Array(file.size),
      blocks: step.blocks,
    };
    return file.mode;
  }

  /** 36: takes a block. */
  transferData(counter: number, data: Uint8Array): Outcome {
    const state = this.#state;
    if (state.kind === 'waiting') return Nrc.requestSequenceError;
    const step = transferBlock(state.blocks, counter, data.length);
    if (step.nrc !== undefined) return step.nrc;
    const { blocks, write } = step;
    if (!write) return undefined;
    if (state.kind === 'receiving-file') {
      state.bytes.set(data, state.blocks.received);
      this.#state = { ...state, blocks };
      return undefined;
    }
    return this.#programming(async () => {
      const taken = await state.transfer.take(data);
      if (!taken.ok) return this.#refuseImage(taken);
      this.#state = { ...state, blocks };
      this.#device.emit({ kind: 'progress', received: blocks.received, size: blocks.size });
      return undefined;
    });
  }

  /** 37: ends a transfer; `parameterLength` is the length of transferRequestParameterRecord. */
  transferExit(parameterLength: number): Outcome {
    const state = this.#state;
    if (state.kind === 'waiting') return Nrc.requestSequenceError;
    const nrc = exitRefusal(state.blocks, parameterLength);
    if (nrc !== undefined) return nrc;
    if (state.kind === 'receiving-file') return this.#takeFile(state);
    this.#state = interrupted(state);
    return this.#programming(async () => {
      const finished = await state.transfer.finish();
      if (!finished.ok) return this.#refuseImage(finished);
      this.#state = { kind: 'waiting', permission: state.permission, bank: 'transferred' };
      return undefined;
    });
  }

  /** Refuses an image with wrong bytes: the bank stays invalid and must be erased again. */
  async #refuseImage(fault: TrustFault): Promise<Nrc> {
    this.#state = interrupted(this.#state);
    await this.#device.flash.abandonWrite();
    await this.#device.resume.forget();
    await noteRefusedImage(this.#device, fault.code, fault.reason);
    return Nrc.generalProgrammingFailure;
  }

  async #takeFile(
    state: Extract<ProgrammingState, { kind: 'receiving-file' }>,
  ): Promise<Nrc | undefined> {
    const { permission, bank, name, bytes } = state;
    this.#state = { kind: 'waiting', permission, bank };
    return takeFile(this.#device, this.#metadata, name, bytes, (granted) => this.#permit(granted));
  }

  /** Whether this ECU can program now; an event says why not. */
  #isReady(): boolean {
    if (this.#state.permission.kind === 'first-image') {
      if (!this.#device.identity.locked) return true;
      // The lock ends the permission for the first image at once, also during a session.
      this.#permit({ kind: 'no-image' });
    }
    return canVerify(this.#device);
  }

  /** eraseMemory: the old content is invalid from the start. Returns an NRC or undefined. */
  async erase(): Promise<Nrc | undefined> {
    const device = this.#device;
    const { flash, banks } = device;
    if (banks.targetIsNeeded(flash.record)) return Nrc.conditionsNotCorrect;
    if (!this.#isReady()) return Nrc.conditionsNotCorrect;
    if (!isPlain(device.ecu)) this.#permit(await this.#permission());
    const { permission } = this.#state;
    const release = releaseOf(permission);
    if (release === undefined && !isPlain(device.ecu)) {
      device.emit({ kind: 'not-ready', reason: 'signed metadata must come first' });
      return Nrc.conditionsNotCorrect;
    }
    if (release !== undefined && !(await acceptsRecord(device, release))) {
      return Nrc.conditionsNotCorrect;
    }
    // A rollback keeps no new record: after an interruption it must still lead to the same image.
    const isForNew = permission.kind !== 'previous' && permission.kind !== 'plain';
    if (isForNew) await banks.keepRunning(device);
    this.#state = interrupted(this.#state);
    device.emit({ kind: 'erase', bank: bankLetter(flash.targetBank) });
    return this.#programming(async () => {
      await device.resume.forget();
      await flash.erase();
      this.#state = { kind: 'waiting', permission: this.#state.permission, bank: 'erased' };
      return undefined;
    });
  }

  /** checkMemory: the status byte, or an NRC. `expected`: the tester's digest. */
  async checkMemory(expected: Uint8Array | undefined): Promise<number | { readonly nrc: Nrc }> {
    const device = this.#device;
    const { flash } = device;
    if (this.#state.permission.kind === 'first-image' && !this.#isReady()) {
      return { nrc: Nrc.conditionsNotCorrect };
    }
    const { permission } = this.#state;
    const transferred = awaitsCheck(this.#state);
    if (!transferred && flash.record.banks[flash.targetBank].content !== 'valid') {
      return { nrc: Nrc.requestSequenceError };
    }
    if (permission.kind === 'no-image') return { nrc: Nrc.conditionsNotCorrect };
    const outcome = await this.#programming(async () => {
      const checked = await checkTargetBank(device, { permission, transferred, expected });
      if (checked.accepted) this.#state = accepted(this.#state);
      return checked;
    });
    return typeof outcome === 'number' ? { nrc: outcome } : outcome.status;
  }

  #permit(permission: Permission): void {
    this.#state = { ...this.#state, permission };
  }

  /** Runs a write. A failed write gives 72 and ends the download; the bank must be erased again. */
  async #programming<T>(work: () => Promise<T>): Promise<T | Nrc> {
    try {
      return await work();
    } catch (error) {
      if (!isFlashFailure(error)) throw error;
      if (error instanceof FlashFault && error.kind === 'power-lost') {
        this.#device.losePower();
      } else {
        this.#device.logger.error({ reason: describeError(error) }, 'programming failed');
      }
      this.#state = interrupted(this.#state);
      await this.#device.flash.abandonWrite().catch(() => {});
      // A failed cell is not written again without an erase.
      await this.#device.resume.forget().catch(() => {});
      return Nrc.generalProgrammingFailure;
    }
  }
}

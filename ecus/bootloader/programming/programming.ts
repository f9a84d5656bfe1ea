// Programming the target bank: services 34, 36, 37 and 38 and the routines around them, on real flash files.
// Nothing is erased or written without metadata that was verified in this session; until the lock the factory's word is enough.

import { equalBytes, toHex } from '../../../src/core/bytes.ts';
import { describeError } from '../../../src/core/errors.ts';
import type { AttackCode, TrustFault } from '../../../src/trust/attack.ts';
import type { ImageHeader } from '../../../src/trust/image-header.ts';
import { FIRST_IMAGE_FILE } from '../../../src/uds/first-image.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import type { Reply } from '../../../src/uds/server-types.ts';
import * as download from '../../../src/uds/services/request-download.ts';
import * as fileTransfer from '../../../src/uds/services/request-file-transfer.ts';
import * as exit from '../../../src/uds/services/request-transfer-exit.ts';
import * as transferData from '../../../src/uds/services/transfer-data.ts';
import { bindingFault, raiseCounter } from '../boot/boot-check.ts';
import { type BankIndex, bankLetter, withBank } from '../boot/boot-record.ts';
import { keepPrevious, previousRelease } from '../boot/previous-image.ts';
import type { BootedEcu } from '../device.ts';
import { firstRelease } from '../factory/first-image.ts';
import { HOW_TO_PROVISION, isRootFile, type RootFile, takeRoot } from '../factory/provisioning.ts';
import { FlashFault, isFlashFailure } from '../flash/flash-memory.ts';
import {
  DataFormat,
  type Download,
  IDLE,
  startFile,
  startImage,
  transferBlock,
  transferExit,
} from './download.ts';
import { ImageTransfer, resumePointFor } from './image-transfer.ts';
import type { AcceptedRelease, MetadataCheck } from './metadata.ts';
import { isPlain, plainRelease, plainVersion } from './plain.ts';

/** The bundle of signed metadata, by RequestFileTransfer. */
const METADATA_FILE = 'metadata.json';

type FileName = typeof METADATA_FILE | typeof FIRST_IMAGE_FILE | RootFile;

/** Status byte of checkMemory. */
export const CheckResult = {
  correct: 0,
  /** The bytes in the bank do not have the hash that the tester or the metadata names. */
  wrongHash: 1,
} as const;

export class Programming {
  readonly #device: BootedEcu;
  readonly #metadata: MetadataCheck;
  readonly #maxBlockLength: number;
  #download: Download = IDLE;
  #file: { readonly name: FileName; readonly bytes: Uint8Array } | undefined;
  #release: AcceptedRelease | undefined;
  /** `#release` is the first image, of which the factory told before the lock. */
  #isFirst = false;
  /** `#release` came without metadata: the image before this one, into a single bank. */
  #goingBack = false;
  /** Metadata was accepted in this session, whether it has an image for this ECU or not. */
  #instructed = false;
  /** The download of an image that is going on. */
  #transfer: ImageTransfer | undefined;
  /** An image has been transferred completely and awaits its check. */
  #transferred = false;
  /** In this session: a bank that happens to be blank is no permission to write. */
  #erased = false;

  constructor(device: BootedEcu, metadata: MetadataCheck, maxBlockLength: number) {
    this.#device = device;
    this.#metadata = metadata;
    this.#maxBlockLength = maxBlockLength;
  }

  /** End of the programming session: what is unfinished stays unfinished, metadata is forgotten. */
  async abort(): Promise<void> {
    this.#download = IDLE;
    this.#file = undefined;
    this.#release = undefined;
    this.#isFirst = false;
    this.#goingBack = false;
    this.#instructed = false;
    this.#transfer = undefined;
    this.#transferred = false;
    this.#erased = false;
    await this.#device.flash.abandonWrite();
  }

  /** 34: from the beginning of a bank that was erased, or behind what is durable of the same image. */
  async requestDownload(bytes: Uint8Array): Promise<Reply> {
    const request = download.decodeRequest(bytes);
    if (typeof request === 'number') return { nrc: request };
    if (this.#notReady()) return { nrc: Nrc.conditionsNotCorrect };
    const { flash, ecu } = this.#device;
    const release = isPlain(ecu)
      ? plainRelease(this.#device, request.size)
      : (this.#release ?? (await this.#releaseOfBefore()));
    // The other bank is what an unconfirmed image goes back to: nothing goes on there either.
    const point = this.#bankIsNeeded() ? undefined : resumePointFor(this.#device, release);
    const step = startImage(
      this.#download,
      request,
      {
        address: ecu.memory.address,
        size: ecu.memory.bankSize,
        blank: this.#erased && flash.record.banks[flash.targetBank].content === 'empty',
        expectedLength: release?.header.length,
        format: release?.format ?? 'plain',
        resume: point,
      },
      this.#maxBlockLength,
    );
    if (step.nrc !== undefined) return { nrc: step.nrc };
    if (release === undefined) return { nrc: Nrc.conditionsNotCorrect };
    if (step.resumed && (await this.#refusesRecord(release))) {
      return { nrc: Nrc.conditionsNotCorrect };
    }
    return this.#programming(async () => {
      this.#erased = false;
      this.#transferred = false;
      if (this.#release === undefined) this.#goingBack = true;
      this.#release = release;
      this.#transfer = await ImageTransfer.begin(
        this.#device,
        release.header,
        request.dataFormat === DataFormat.encrypted,
        step.resumed ? point : undefined,
      );
      this.#download = step.state;
      if (step.resumed && point !== undefined) {
        const bank = bankLetter(flash.targetBank);
        this.#device.emit({ kind: 'resume', bank, received: point.received });
      }
      return { positive: download.encodeResponse(this.#maxBlockLength) };
    });
  }

  /** A single bank goes back to its last image without metadata; so does what was interrupted of that. */
  async #releaseOfBefore(): Promise<AcceptedRelease | undefined> {
    return this.#device.ecu.memory.banks === 1 ? previousRelease(this.#device) : undefined;
  }

  requestFileTransfer(bytes: Uint8Array): Reply {
    const request = fileTransfer.decodeRequest(bytes);
    if (typeof request === 'number') return { nrc: request };
    // 15.6.4: 31 for a mode that is not supported. A second file of the same name replaces the first.
    if (request.mode !== 'addFile' && request.mode !== 'replaceFile') {
      return { nrc: Nrc.requestOutOfRange };
    }
    const { path: name } = request;
    const isFirst = name === FIRST_IMAGE_FILE && !isPlain(this.#device.ecu);
    const isOfFactory = isRootFile(name) || isFirst;
    if (!isOfFactory && name !== METADATA_FILE) return { nrc: Nrc.requestOutOfRange };
    if (isOfFactory && this.#device.identity.locked) return { nrc: Nrc.securityAccessDenied };
    if (request.compressedSize !== request.size) return { nrc: Nrc.requestOutOfRange };
    const step = startFile(this.#download, request, this.#maxBlockLength);
    if (step.nrc !== undefined) return { nrc: step.nrc };
    if (name === METADATA_FILE) {
      if (this.#refusesMetadata()) return { nrc: Nrc.conditionsNotCorrect };
    }
    if (!isRootFile(name)) {
      this.#release = undefined;
      this.#isFirst = false;
      this.#instructed = false;
    }
    this.#download = step.state;
    this.#file = { name, bytes: new Uint8Array(request.size) };
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
    if (before.target === 'file') {
      this.#file?.bytes.set(request.data, before.received);
      this.#download = step.state;
      return { positive };
    }
    return this.#programming(async () => {
      const taken = await this.#transfer?.take(request.data);
      if (taken === undefined) return { nrc: Nrc.requestSequenceError };
      if (!taken.ok) return this.#refuseImage(taken);
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
    if (step.target === 'file') return this.#takeFile();
    return this.#programming(async () => {
      const finished = await this.#transfer?.finish();
      if (finished === undefined) return { nrc: Nrc.requestSequenceError };
      if (!finished.ok) return this.#refuseImage(finished);
      this.#transfer = undefined;
      this.#transferred = true;
      return { positive: exit.encodeResponse() };
    });
  }

  /** What came is not what was signed: the bank stays invalid and must be erased again. */
  async #refuseImage(fault: TrustFault): Promise<Reply> {
    this.#download = IDLE;
    this.#transfer = undefined;
    this.#transferred = false;
    await this.#device.flash.abandonWrite();
    await this.#device.resume.forget();
    await this.#noteImage(fault.code, fault.reason);
    return { nrc: Nrc.generalProgrammingFailure };
  }

  async #noteImage(code: AttackCode, reason: string): Promise<void> {
    this.#device.logger.warn({ code, reason }, 'image refused');
    this.#device.emit({ kind: 'image-refused', code, reason });
    await this.#device.trust.noteAttack(code);
  }

  async #takeFile(): Promise<Reply> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return { nrc: Nrc.requestSequenceError };
    if (file.name === FIRST_IMAGE_FILE) return this.#takeFirstImage(file.bytes);
    if (file.name !== METADATA_FILE) return this.#takeRootFile(file.name, file.bytes);
    const verdict = await this.#metadata.accept(file.bytes);
    if (!verdict.ok) {
      const { code, where, reason } = verdict;
      this.#device.logger.warn({ code, where, reason }, 'metadata refused');
      this.#device.emit({ kind: 'metadata-refused', code, reason: `${where}: ${reason}` });
      await this.#device.trust.noteAttack(code);
      // 15.5.4: 72 when an error is found while the transfer is finalised. Nothing has been erased so far.
      return { nrc: Nrc.generalProgrammingFailure };
    }
    this.#release = verdict.value;
    this.#goingBack = false;
    this.#instructed = true;
    if (verdict.value !== undefined) await this.#settleSingleBank(verdict.value.header);
    this.#device.emit({ kind: 'metadata', version: verdict.value?.header.version ?? null });
    return { positive: exit.encodeResponse() };
  }

  async #takeRootFile(name: RootFile, bytes: Uint8Array): Promise<Reply> {
    if (this.#device.identity.locked) return { nrc: Nrc.securityAccessDenied };
    const reason = await takeRoot(this.#device, name, bytes);
    if (reason !== undefined) {
      this.#device.emit({ kind: 'root-refused', reason });
      return { nrc: Nrc.generalProgrammingFailure };
    }
    this.#device.emit({ kind: 'root', file: name });
    return { positive: exit.encodeResponse() };
  }

  #takeFirstImage(bytes: Uint8Array): Reply {
    const device = this.#device;
    if (device.identity.locked) return { nrc: Nrc.securityAccessDenied };
    const first = firstRelease(device, bytes);
    if (typeof first === 'string') {
      device.emit({ kind: 'not-ready', reason: first });
      return { nrc: Nrc.generalProgrammingFailure };
    }
    this.#release = first;
    this.#isFirst = true;
    this.#goingBack = false;
    this.#instructed = true;
    device.emit({ kind: 'first-image', version: first.header.version });
    return { positive: exit.encodeResponse() };
  }

  /** Says why this ECU programs nothing at all, whoever signed it. */
  #notReady(): boolean {
    // The lock ends this way at once, in the middle of a session too.
    if (this.#isFirst && !this.#device.identity.locked) return false;
    if (this.#isFirst) this.#release = undefined;
    this.#isFirst = false;
    return this.#refusesMetadata();
  }

  #refusesMetadata(): boolean {
    const { identity, trust, ecu } = this.#device;
    if (isPlain(ecu)) return false;
    const reason = !identity.locked
      ? HOW_TO_PROVISION
      : (bindingFault(this.#device) ??
        trust.fault ??
        (trust.trust === undefined ? 'there is no Root to trust' : undefined));
    if (reason !== undefined) this.#device.emit({ kind: 'not-ready', reason });
    return reason !== undefined;
  }

  /** eraseMemory: from its first moment on the old content is void. Returns an NRC or nothing. */
  async erase(): Promise<Nrc | undefined> {
    // The other bank is what an unconfirmed image, or a requested rollback, goes back to.
    if (this.#bankIsNeeded()) return Nrc.conditionsNotCorrect;
    if (this.#notReady()) return Nrc.conditionsNotCorrect;
    const { flash } = this.#device;
    if (this.#release === undefined && !isPlain(this.#device.ecu)) {
      this.#release = await this.#releaseOfBefore();
      this.#goingBack = true;
    }
    if (this.#release === undefined && !isPlain(this.#device.ecu)) {
      this.#device.emit({ kind: 'not-ready', reason: 'signed metadata must come first' });
      return Nrc.conditionsNotCorrect;
    }
    if (this.#release !== undefined && (await this.#refusesRecord(this.#release)))
      return Nrc.conditionsNotCorrect;
    // On the way back nothing new is kept: interrupted, it must still lead to the image that it was begun for.
    if (this.#device.ecu.memory.banks === 1 && !this.#goingBack) await keepPrevious(this.#device);
    this.#download = IDLE;
    this.#transferred = false;
    this.#erased = false;
    this.#device.emit({ kind: 'erase', bank: bankLetter(flash.targetBank) });
    const reply = await this.#programming(async () => {
      await this.#device.resume.forget();
      await flash.erase();
      this.#erased = true;
      return undefined;
    });
    return reply?.nrc;
  }

  /** Once more what will stand beside the bank: a record that no boot would accept must not cost the old image. */
  async #refusesRecord({ record, header }: AcceptedRelease): Promise<boolean> {
    if (record === undefined) return false;
    const { identity, trust } = this.#device;
    const checked = trust.checkRecord(record, identity, header.serial);
    if (!checked.ok) await this.#noteImage(checked.code, checked.reason);
    return !checked.ok;
  }

  /**
   * A single bank is confirmed by 0211, or at the latest when another image is accepted in its place: whoever sends
   * that is content with this one. Not when the new one is older: it must still be able to boot.
   */
  async #settleSingleBank(next: ImageHeader): Promise<void> {
    const { flash, ecu } = this.#device;
    if (ecu.memory.banks !== 1) return;
    const { sha256 } = flash.record.banks[flash.record.activeBank];
    if (next.sha256 !== sha256) await raiseCounter(this.#device, next.securityCounter);
  }

  /**
   * checkMemory: the hash is computed over the bytes in the bank, read back from the file. An image with the signed
   * hash becomes `valid` durably; `expected` is the tester's own opinion and can only make it worse. After metadata
   * a bank that is valid already is judged by that: it stays as the image of the new release, or is none of it.
   */
  async checkMemory(expected: Uint8Array | undefined): Promise<number | { readonly nrc: Nrc }> {
    const { flash } = this.#device;
    const bank = flash.targetBank;
    const before = flash.record.banks[bank];
    if (this.#isFirst && this.#notReady()) return { nrc: Nrc.conditionsNotCorrect };
    const release = this.#release;
    if (!this.#transferred && before.content !== 'valid') {
      return { nrc: Nrc.requestSequenceError };
    }
    if (this.#instructed && release === undefined) return { nrc: Nrc.conditionsNotCorrect };
    const outcome = await this.#programming(async () => {
      const found = await flash.digest(bank);
      const sha256 = toHex(found.sha256);
      const plain =
        release !== undefined && isPlain(this.#device.ecu)
          ? {
              ...release.header,
              sha256,
              length: found.length,
              version: await plainVersion(this.#device, bank, sha256),
            }
          : undefined;
      const wanted = plain ?? release?.header ?? before;
      const wrong =
        sha256 === wanted.sha256
          ? await this.#wrongHash(bank, plain === undefined ? release?.header.hashes : undefined)
          : `SHA-256 ${sha256}, signed is ${wanted.sha256}`;
      const asSigned = wrong === undefined && found.length === wanted.length;
      const passed = asSigned && (expected === undefined || equalBytes(expected, found.sha256));
      // A valid bank that is not the image of this release is no attack, one whose bytes have changed is.
      const changed = before.content === 'valid' && sha256 !== before.sha256;
      if (!asSigned && release !== undefined && (this.#transferred || changed)) {
        const reason = `the bank has ${wrong ?? `${found.length} bytes, signed are ${wanted.length}`}`;
        // A first image is no attack: there is no signature that it could break.
        if (!this.#isFirst) await this.#noteImage('IMAGE_MISMATCH', reason);
        await this.#device.resume.forget();
      }
      if (passed && release !== undefined && !this.#bankIsNeeded()) {
        await this.#makeValid(bank, { ...release, header: plain ?? release.header });
      }
      const { version } = wanted;
      this.#device.emit({ kind: 'check', bank: bankLetter(bank), passed, sha256, version });
      return { status: passed ? CheckResult.correct : CheckResult.wrongHash };
    });
    return 'status' in outcome ? outcome.status : { nrc: outcome.nrc };
  }

  /** "All hashes listed in the metadata match": the first one that does not, and what it is. */
  async #wrongHash(
    bank: BankIndex,
    hashes: ImageHeader['hashes'] = {},
  ): Promise<string | undefined> {
    for (const name of ['sha384', 'sha512'] as const) {
      const signed = hashes[name];
      if (signed === undefined) continue;
      const actual = await this.#device.flash.hash(bank, name);
      if (actual !== signed) return `${name} ${actual}, signed is ${signed}`;
    }
    return undefined;
  }

  /** The header first: a bank that counts as valid has one. */
  async #makeValid(bank: BankIndex, { header, record }: AcceptedRelease): Promise<void> {
    const { flash, trust, ecu, resume } = this.#device;
    const { version, length, sha256 } = header;
    // A single bank has nothing to be tried against: the next boot runs it.
    const proven = ecu.memory.banks === 1;
    if (flash.record.banks[bank].content === 'valid') {
      const kept = await trust.bankRecord(bank);
      if (kept !== undefined && record !== undefined && equalBytes(kept, record)) return;
    }
    await resume.forget();
    await trust.storeBankRecord(bank, record);
    await flash.update((before) =>
      withBank(before, bank, { content: 'valid', version, length, sha256, proven }),
    );
    this.#transferred = false;
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
      this.#transfer = undefined;
      this.#transferred = false;
      await this.#device.flash.abandonWrite().catch(() => {});
      // A cell that does not take it is not tried again without an erase.
      await this.#device.resume.forget().catch(() => {});
      return { nrc: Nrc.generalProgrammingFailure };
    }
  }
}

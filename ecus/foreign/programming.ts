// How an ECU of another make is programmed: strictly as its vehicle file says, and not otherwise.

import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { byteAt, concatBytes, equalBytes } from '../../src/core/bytes.ts';
import { itemAt } from '../../src/core/present.ts';
import { decodeAddressAndLength } from '../../src/uds/memory-transfer.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import type { Reply } from '../../src/uds/server-types.ts';
import * as requestDownload from '../../src/uds/services/request-download.ts';
import * as requestTransferExit from '../../src/uds/services/request-transfer-exit.ts';
import * as routineControl from '../../src/uds/services/routine-control.ts';
import * as transferData from '../../src/uds/services/transfer-data.ts';
import * as writeDataByIdentifier from '../../src/uds/services/write-data-by-identifier.ts';
import { readTemplate } from '../../src/vehicle/byte-template.ts';
import {
  CALLED,
  CHECKED,
  DATED,
  RANGE,
  type RoutineStatus,
} from '../../src/vehicle/programming-schema.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import type { ForeignState } from './state.ts';

interface MemoryRange {
  readonly address: number;
  readonly size: number;
}

/** Bytes of the names that have a length of their own; a tester may have a name of any length. */
const DATE_BYTES = 3;
const SHA256_BYTES = 32;
/** How often a routine that runs on says so before it is done. */
const RUNNING_ANSWERS = 2;

type Check = Nrc | undefined;
const refuse = (nrc: Nrc): Reply => ({ nrc });

export class ForeignProgramming {
  readonly #ecu: VehicleEcu;
  readonly #state: ForeignState;
  readonly #maxBlockLength: number;

  constructor(ecu: VehicleEcu, state: ForeignState, maxBlockLength: number) {
    this.#ecu = ecu;
    this.#state = state;
    this.#maxBlockLength = maxBlockLength;
  }

  /** 2E: the fingerprint, or a request that only this make knows. */
  write(request: Uint8Array): Reply {
    const { programming } = this.#ecu;
    const wanted = writeDataByIdentifier.decodeRequest(request);
    if (typeof wanted === 'number') return refuse(wanted);
    if (wanted.did !== programming.fingerprintDid || programming.fingerprint === 'skip') {
      return this.own(request) ?? refuse(Nrc.requestOutOfRange);
    }
    const { fingerprintData } = programming;
    if (fingerprintData !== undefined && !this.#follows(fingerprintData, wanted.data)) {
      return refuse(Nrc.incorrectMessageLengthOrInvalidFormat);
    }
    this.#done('fingerprint');
    return { positive: writeDataByIdentifier.encodeResponse(wanted.did) };
  }

  /** A request that the sequence of the vehicle file names; undefined: it is none. */
  own(request: Uint8Array): Reply | undefined {
    const entry = this.#ecu.programming.sequence.find(
      (each) => typeof each !== 'string' && this.#follows(each.send, request),
    );
    if (entry === undefined || typeof entry === 'string') return undefined;
    this.#done(entry.send);
    // 62, 6E, 71 and others repeat two bytes of the request at most.
    return { positive: concatBytes(Uint8Array.of(byteAt(request, 0) + 0x40), request.slice(1, 3)) };
  }

  /** Preconditions are asked for before the programming session. */
  preconditions(data: Uint8Array): Reply {
    const { preconditionsRoutine, preconditionsArguments, preconditionsStatus } =
      this.#ecu.programming;
    if (!this.#follows(preconditionsArguments, data)) {
      return refuse(Nrc.incorrectMessageLengthOrInvalidFormat);
    }
    this.#done('preconditions');
    return this.#status(preconditionsRoutine, preconditionsStatus, true);
  }

  /** Against 10 02: what the vehicle file has before it must be done. */
  mayBegin(): Nrc | undefined {
    return this.#missing('programmingSession') === undefined ? undefined : Nrc.conditionsNotCorrect;
  }

  /** 31 in the programming session. */
  routine(request: Uint8Array): Reply {
    const wanted = routineControl.decodeRequest(request);
    if (typeof wanted === 'number') return refuse(wanted);
    const { control, routine, data } = wanted;
    const { programming } = this.#ecu;
    const isStart = control === routineControl.RoutineControlType.startRoutine;
    if (isStart && routine === programming.secondBootLoader?.startRoutine) {
      return this.#startBootLoader(routine, data);
    }
    switch (routine) {
      case programming.eraseRoutine:
        return isStart ? this.#erase(data) : this.#results(routine, programming.eraseStatus);
      case programming.checkMemoryRoutine:
        return isStart
          ? this.#checkMemory(data)
          : this.#results(routine, programming.checkMemoryStatus);
      case programming.dependenciesRoutine:
        return isStart
          ? this.#dependencies(data)
          : this.#results(routine, programming.dependenciesStatus);
      default:
        return this.own(request) ?? refuse(Nrc.requestOutOfRange);
    }
  }

  #erase(data: Uint8Array): Reply {
    const { eraseArguments, eraseRoutine, eraseStatus, eraseWhen, erase } = this.#ecu.programming;
    const { work, flash } = this.#state;
    if (erase === 'skip') return refuse(Nrc.requestOutOfRange);
    const early = this.#missing('transfer');
    if (early !== undefined) return refuse(early);
    const isOpen = work.download !== undefined;
    if (isOpen !== (eraseWhen === 'after-request-download')) {
      return refuse(Nrc.requestSequenceError);
    }
    const range = this.#rangeOf(eraseArguments, data);
    if (typeof range === 'number') return refuse(range);
    if (!flash.holds(range.address, range.size)) return refuse(Nrc.requestOutOfRange);
    this.#state.version = undefined;
    flash.erase(range.address, range.size);
    return this.#status(eraseRoutine, eraseStatus, true);
  }

  /** What is erased; all of the memory where the arguments do not say. */
  #rangeOf(template: string, data: Uint8Array): MemoryRange | Nrc {
    const { programming, memory } = this.#ecu;
    const { addressBytes, sizeBytes } = programming;
    if (template === 'address-length') {
      const range = decodeAddressAndLength(data, 0);
      if (typeof range === 'number') return range;
      return range.addressBytes === addressBytes && range.sizeBytes === sizeBytes
        ? range
        : Nrc.requestOutOfRange;
    }
    const read = readTemplate(template === 'none' ? '' : template, RANGE, {}, data);
    if (read === undefined) return Nrc.incorrectMessageLengthOrInvalidFormat;
    const region = memory.regions?.[0] ?? { address: memory.address, size: memory.bankSize };
    const { address = region.address, size, end } = read.numbers;
    const told = size ?? (end === undefined ? undefined : end - address + 1);
    return { address, size: told ?? Math.min(region.size, 0x10_0000) };
  }

  download(request: Uint8Array): Reply {
    const wanted = requestDownload.decodeRequest(request);
    if (typeof wanted === 'number') return refuse(wanted);
    const { programming, memory } = this.#ecu;
    const { address, size } = wanted;
    const intoRam = this.#takesBootLoader(address, size);
    const early = this.#missing(intoRam ? 'secondBootLoader' : 'transfer');
    if (early !== undefined) return refuse(early);
    if (
      wanted.addressBytes !== programming.addressBytes ||
      wanted.sizeBytes !== programming.sizeBytes ||
      wanted.dataFormat !== programming.dataFormat ||
      size === 0 ||
      address % memory.writeUnit !== 0 ||
      !(intoRam || this.#state.flash.holds(address, size))
    ) {
      return refuse(Nrc.requestOutOfRange);
    }
    if (intoRam) {
      this.#state.work.download = { address, size, received: 0, block: 1, intoRam };
      return { positive: requestDownload.encodeResponse(this.#maxBlockLength) };
    }
    const mustBeErased = programming.erase !== 'skip';
    if (!mustBeErased) {
      this.#state.version = undefined;
      this.#state.flash.erase(address, size);
    } else if (
      programming.eraseWhen === 'before-request-download' &&
      !this.#state.flash.isErased(address, size)
    ) {
      return refuse(Nrc.conditionsNotCorrect);
    }
    this.#state.work.download = { address, size, received: 0, block: 1, intoRam };
    return { positive: requestDownload.encodeResponse(this.#maxBlockLength) };
  }

  block(request: Uint8Array): Reply {
    const open = this.#state.work.download;
    if (open === undefined) return refuse(Nrc.requestSequenceError);
    const wanted = transferData.decodeRequest(request);
    if (typeof wanted === 'number') return refuse(wanted);
    const { counter, data } = wanted;
    const positive = transferData.encodeResponse(counter);
    // The answer was lost, and the block comes again.
    if (open.received > 0 && counter === ((open.block - 1) & 0xff)) return { positive };
    if (counter !== open.block) return refuse(Nrc.wrongBlockSequenceCounter);
    const isLast = open.received + data.length === open.size;
    if (
      request.length > this.#maxBlockLength ||
      open.received + data.length > open.size ||
      (!isLast && data.length % this.#ecu.memory.writeUnit !== 0)
    ) {
      return refuse(Nrc.transferDataSuspended);
    }
    const at = open.address + open.received;
    if (!open.intoRam) {
      if (!this.#state.flash.isErased(at, data.length)) {
        return refuse(Nrc.generalProgrammingFailure);
      }
      this.#state.flash.write(at, data);
    }
    open.received += data.length;
    open.block = (open.block + 1) & 0xff;
    return { positive };
  }

  async exit(): Promise<Reply> {
    const { work, flash } = this.#state;
    const open = work.download;
    if (open === undefined || open.received !== open.size) return refuse(Nrc.requestSequenceError);
    work.download = undefined;
    if (open.intoRam) {
      work.loaded.push({ address: open.address, size: open.size });
      return { positive: requestTransferExit.encodeResponse() };
    }
    work.written.push({ address: open.address, size: open.size });
    this.#done('transfer');
    await flash.save();
    return { positive: requestTransferExit.encodeResponse() };
  }

  /** RAM is what is no flash; it takes a program until one was started. */
  #takesBootLoader(address: number, size: number): boolean {
    return (
      this.#ecu.programming.secondBootLoader !== undefined &&
      !this.#state.work.done.has('secondBootLoader') &&
      !this.#state.flash.holds(address, size)
    );
  }

  #startBootLoader(routine: number, data: Uint8Array): Reply {
    const { secondBootLoader } = this.#ecu.programming;
    const told = readTemplate(secondBootLoader?.startArguments ?? '', CALLED, {}, data);
    if (told === undefined) return refuse(Nrc.incorrectMessageLengthOrInvalidFormat);
    const { call } = told.numbers;
    const isLoaded = this.#state.work.loaded.some(
      ({ address, size }) => call === undefined || (call >= address && call < address + size),
    );
    if (!isLoaded) return refuse(Nrc.conditionsNotCorrect);
    this.#done('secondBootLoader');
    const { startRoutine } = routineControl.RoutineControlType;
    return { positive: routineControl.encodeResponse(startRoutine, routine, Uint8Array.of(0)) };
  }

  #checkMemory(data: Uint8Array): Reply {
    const { programming } = this.#ecu;
    const { checkMemoryRoutine, checkMemoryStatus, checkMemoryWhen, checkMemory } = programming;
    const { work, flash } = this.#state;
    if (checkMemory === 'skip') return refuse(Nrc.requestOutOfRange);
    const last = work.written.at(-1);
    if (last === undefined || work.download !== undefined) return refuse(Nrc.requestSequenceError);
    const ranges = checkMemoryWhen === 'once' ? work.written : [last];
    const bytes = concatBytes(...ranges.map(({ address, size }) => flash.read(address, size)));
    const argument =
      {
        sha256: '{sha256}',
        crc32: '{crc32}',
        none: '',
      }[programming.checkMemoryArgument] ?? programming.checkMemoryArgument;
    const told = readTemplate(argument, CHECKED, { sha256: SHA256_BYTES }, data);
    if (told === undefined) return refuse(Nrc.incorrectMessageLengthOrInvalidFormat);
    const { address = itemAt(ranges, 0).address, size = bytes.length } = told.numbers;
    if (address !== itemAt(ranges, 0).address || size !== bytes.length) {
      return refuse(Nrc.requestOutOfRange);
    }
    const sum = told.numbers.crc32;
    const { sha256 } = told.bytes;
    const digest = createHash('sha256').update(bytes).digest();
    const fits =
      (sum === undefined || sum === crc32(bytes)) &&
      (sha256 === undefined || equalBytes(sha256, digest));
    if (fits) this.#done('checkMemory');
    return this.#status(checkMemoryRoutine, checkMemoryStatus, fits);
  }

  #dependencies(data: Uint8Array): Reply {
    const { programming } = this.#ecu;
    if (programming.dependencies === 'skip') return refuse(Nrc.requestOutOfRange);
    if (!this.#follows(programming.dependenciesArguments, data)) {
      return refuse(Nrc.incorrectMessageLengthOrInvalidFormat);
    }
    const fits = this.#missing('dependencies') === undefined;
    if (fits) this.#done('dependencies');
    return this.#status(programming.dependenciesRoutine, programming.dependenciesStatus, fits);
  }

  /** Whether all that the vehicle file requires was done, so that the application may run. */
  get isComplete(): boolean {
    return this.#state.work.written.length > 0 && this.#missing('end') === undefined;
  }

  /** 24 where a required step that stands before this one in the sequence was not done. */
  #missing(before: string): Check {
    const { programming } = this.#ecu;
    const policies: Readonly<Record<string, string>> = {
      preconditions: programming.preconditions,
      fingerprint: programming.fingerprint,
      checkMemory: programming.checkMemory,
      dependencies: programming.dependencies,
      secondBootLoader: programming.secondBootLoader === undefined ? 'skip' : 'required',
    };
    for (const entry of programming.sequence) {
      if (entry === before) return undefined;
      const name = typeof entry === 'string' ? entry : entry.send;
      const policy = typeof entry === 'string' ? policies[entry] : entry.policy;
      if (policy === 'required' && !this.#state.work.done.has(name)) {
        return Nrc.requestSequenceError;
      }
    }
    return undefined;
  }

  #done(name: string): void {
    this.#state.work.done.add(name);
  }

  #follows(template: string, bytes: Uint8Array): boolean {
    const fixed = readTemplate(template, DATED, { date: DATE_BYTES, tester: 0 }, bytes);
    if (fixed !== undefined) return true;
    // A name of the tester fills what is left.
    const rest = bytes.length - templateLength(template);
    return (
      rest > 0 &&
      readTemplate(template, DATED, { date: DATE_BYTES, tester: rest }, bytes) !== undefined
    );
  }

  /** The answer to the start of a routine; one that may run on says so first. */
  #status(routine: number, status: RoutineStatus, fits: boolean): Reply {
    const { polls } = this.#state.work;
    const { startRoutine } = routineControl.RoutineControlType;
    const asked = polls.get(routine) ?? 0;
    if (!fits) return answer(startRoutine, routine, status, failedValue(status));
    if (status.running.length === 0) {
      return answer(startRoutine, routine, status, itemAt(status.done, 0));
    }
    if (status.askBy === 'start' && asked >= RUNNING_ANSWERS) {
      polls.delete(routine);
      return answer(
        startRoutine,
        routine,
        status,
        itemAt(status.finished, status.finished.length - 1),
      );
    }
    polls.set(routine, asked + 1);
    return answer(startRoutine, routine, status, itemAt(status.running, 0));
  }

  /** 31 03. */
  #results(routine: number, status: RoutineStatus): Reply {
    const { polls } = this.#state.work;
    const asked = polls.get(routine);
    if (asked === undefined || status.askBy !== 'results') return refuse(Nrc.requestSequenceError);
    polls.set(routine, asked + 1);
    const { requestRoutineResults } = routineControl.RoutineControlType;
    const value =
      asked >= RUNNING_ANSWERS
        ? itemAt(status.finished, status.finished.length - 1)
        : itemAt(status.running, 0);
    return answer(requestRoutineResults, routine, status, value);
  }
}

function answer(
  control: routineControl.RoutineControlType,
  routine: number,
  { offset }: RoutineStatus,
  value: number,
): Reply {
  const record = new Uint8Array(offset + 1);
  record[offset] = value;
  return { positive: routineControl.encodeResponse(control, routine, record) };
}

/** A value that means none of what the vehicle file names. */
function failedValue({ done, running, finished }: RoutineStatus): number {
  const known = new Set([...done, ...running, ...finished]);
  for (let value = 0; value < 0xff; value++) if (!known.has(value)) return value;
  return 0xff;
}

/** Bytes of a template without the name of the tester. */
function templateLength(template: string): number {
  const digits = template.replace(/\{[^}]*\}/g, '').replace(/\s/g, '').length / 2;
  return digits + (template.includes('{date}') ? DATE_BYTES : 0);
}

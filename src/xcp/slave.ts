// The protocol of an XCP slave: connection, lock, address and commands; memory and restarts belong to the device.

import { concatBytes, constantTimeEqual } from '../core/bytes.ts';
import { assertNever } from '../core/errors.ts';
import {
  encodeConnected,
  encodeDone,
  encodeProgramStarted,
  encodeSeedPart,
  encodeStatus,
  encodeUnlocked,
  encodeUploaded,
  encodeXcpError,
} from './answers.ts';
import { type ByteOrder, CAN_CTO, decodeCommand, Resource, type XcpCommand } from './commands.ts';
import { XcpError } from './errors.ts';

/** What the device does. A number is the error code of the answer. */
export interface XcpDevice {
  /** `undefined`: UPLOAD is not compiled in. */
  read(address: number, count: number): Uint8Array | number | undefined;
  erase(address: number, length: number): Promise<number | undefined>;
  write(address: number, data: Uint8Array): Promise<number | undefined>;
  /** The end of the programming: a block that is not full is written, and the checksum. */
  finish(): Promise<number | undefined>;
  /** The device restarts and does not answer. */
  restart(): void;
}

export interface XcpLock {
  seed(): Uint8Array;
  /** The key for this seed. */
  keyFor(seed: Uint8Array): Promise<Uint8Array | undefined>;
}

export interface XcpSlaveOptions {
  readonly byteOrder: ByteOrder;
  readonly device: XcpDevice;
  /** Missing: programming is not locked. */
  readonly lock?: XcpLock | undefined;
}

export class XcpSlave {
  readonly #options: XcpSlaveOptions;
  #connected = false;
  #locked: number;
  #address = 0;
  /** Bytes of the seed that were not sent yet, and the whole one. */
  #seed: { readonly whole: Uint8Array; sent: number } | undefined;
  #key: Uint8Array = new Uint8Array();

  constructor(options: XcpSlaveOptions) {
    this.#options = options;
    this.#locked = this.#allLocks;
  }

  get connected(): boolean {
    return this.#connected;
  }

  get #allLocks(): number {
    return this.#options.lock === undefined ? 0 : Resource.programming;
  }

  /** The answer to one command; undefined: there is none, because no master is connected or the device restarts. */
  async answer(bytes: Uint8Array): Promise<Uint8Array | undefined> {
    const command = decodeCommand(bytes, this.#options.byteOrder, CAN_CTO);
    const isConnect = typeof command === 'object' && command.kind === 'connect';
    if (!isConnect && !this.#connected) return undefined;
    return typeof command === 'number' ? encodeXcpError(command) : this.#carryOut(command);
  }

  async #carryOut(command: XcpCommand): Promise<Uint8Array | undefined> {
    const { byteOrder } = this.#options;
    switch (command.kind) {
      case 'connect':
        this.#connected = true;
        this.#locked = this.#allLocks;
        this.#seed = undefined;
        return encodeConnected({
          ...{ resources: Resource.programming, byteOrder, addressGranularity: 1 },
          ...{ maxCto: CAN_CTO, maxDto: CAN_CTO, protocolVersion: 1, transportVersion: 1 },
        });
      case 'disconnect':
        this.#connected = false;
        this.#locked = this.#allLocks;
        return encodeDone();
      case 'get-status':
        return encodeStatus(this.#locked);
      case 'synch':
        return encodeXcpError(XcpError.cmdSynch);
      case 'get-seed':
        return this.#giveSeed(command.mode, command.resource);
      case 'unlock':
        return this.#unlock(command.remaining, command.part);
      case 'set-mta':
        this.#address = command.address;
        return encodeDone();
      case 'upload':
        return this.#upload(command.count);
      case 'short-upload':
        this.#address = command.address;
        return this.#upload(command.count);
      default:
        return this.#locked === 0 ? this.#program(command) : encodeXcpError(XcpError.accessLocked);
    }
  }

  async #program(
    command: Extract<
      XcpCommand,
      {
        kind: 'program-start' | 'program-clear' | 'program' | 'program-max' | 'program-reset';
      }
    >,
  ): Promise<Uint8Array | undefined> {
    const { device } = this.#options;
    switch (command.kind) {
      case 'program-start':
        return encodeProgramStarted(CAN_CTO);
      case 'program-clear':
        // Mode 1, the functional access, is not part of a boot loader.
        if (command.mode !== 0) return encodeXcpError(XcpError.outOfRange);
        return answerOf(await device.erase(this.#address, command.length));
      case 'program':
      case 'program-max': {
        const { data } = command;
        if (data.length === 0) return answerOf(await device.finish());
        const failed = await device.write(this.#address, data);
        if (failed === undefined) this.#address += data.length;
        return answerOf(failed);
      }
      case 'program-reset':
        device.restart();
        return undefined;
      default:
        return assertNever(command);
    }
  }

  #upload(count: number): Uint8Array {
    if (count > CAN_CTO - 1) return encodeXcpError(XcpError.outOfRange);
    const data = this.#options.device.read(this.#address, count);
    if (data === undefined) return encodeXcpError(XcpError.cmdUnknown);
    if (typeof data === 'number') return encodeXcpError(data);
    this.#address += count;
    return encodeUploaded(data);
  }

  #giveSeed(mode: number, resource: number): Uint8Array {
    const { lock } = this.#options;
    if (resource !== Resource.programming) return encodeXcpError(XcpError.outOfRange);
    if (lock === undefined || this.#locked === 0) {
      return encodeSeedPart({ remaining: 0, part: new Uint8Array() });
    }
    if (mode === 0) this.#seed = { whole: lock.seed(), sent: 0 };
    const seed = this.#seed;
    if (seed === undefined || mode > 1) return encodeXcpError(XcpError.sequence);
    const remaining = seed.whole.length - seed.sent;
    const part = seed.whole.subarray(seed.sent, seed.sent + CAN_CTO - 2);
    seed.sent += part.length;
    this.#key = new Uint8Array();
    return encodeSeedPart({ remaining, part });
  }

  /** A wrong key ends the connection, as OpenBLT does it. */
  async #unlock(remaining: number, part: Uint8Array): Promise<Uint8Array> {
    const { lock } = this.#options;
    if (lock === undefined || this.#seed === undefined) return encodeXcpError(XcpError.sequence);
    this.#key = concatBytes(this.#key, part);
    if (remaining > part.length) return encodeUnlocked(this.#locked);
    const expected = await lock.keyFor(this.#seed.whole);
    const isRight = expected !== undefined && constantTimeEqual(expected, this.#key);
    this.#seed = undefined;
    this.#key = new Uint8Array();
    if (!isRight) {
      this.#connected = false;
      return encodeXcpError(XcpError.accessLocked);
    }
    this.#locked = 0;
    return encodeUnlocked(0);
  }
}

function answerOf(failed: number | undefined): Uint8Array {
  return failed === undefined ? encodeDone() : encodeXcpError(failed);
}

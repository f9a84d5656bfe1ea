// A Linux SocketCAN interface as a bus: checks it, runs the thread that owns its sockets, talks to that thread.

import { Worker } from 'node:worker_threads';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import { threadUrl } from '../core/thread-url.ts';
import { BusEndpoint } from './bus-endpoint.ts';
import { BusError, type CanFilter, type WireFacts } from './can-bus.ts';
import type { CanFrame } from './can-frame.ts';
import { type InterfaceFacts, interfaceFacts } from './interface-facts.ts';
import { interfaceWireFacts } from './interface-load.ts';
import { carriesFd } from './interface-status.ts';
import { encodeFrame, frameRecordLength } from './linux-frame.ts';
import { monotonicOffsetMs } from './monotonic.ts';
import { receiveBurst } from './receive-buffer.ts';
import { RecordReader } from './record-reader.ts';
import type { FromThread, SocketCanThreadOptions, ToThread } from './socketcan-protocol.ts';

export interface SocketCanBusOptions {
  readonly interfaceName: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * CAN FD will be used: an interface without CAN FD is refused, and received frames of up to 8 bytes are reported as
   * CAN FD, because the package does not tell them apart.
   */
  readonly fd?: boolean;
  /** Bytes of frames that may wait for a busy main thread; 64 MiB by default. */
  readonly maxWaitingBytes?: number;
}

const TRANSMIT_QUEUE = 64;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
const CLOSE_MS = 2000;
/** How long `close` waits for the thread: the package's reader thread checks every 100 ms whether it should stop. */
const EXIT_MS = 1000;

export class SocketCanBus extends BusEndpoint {
  readonly kind = 'socketcan';
  readonly name: string;
  readonly fd: boolean;
  readonly bitrate: number | undefined;
  readonly dataBitrate: number | undefined;
  readonly receiveBurst = receiveBurst();
  readonly transmitQueue = TRANSMIT_QUEUE;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #worker: Worker;
  readonly #reader: RecordReader;
  readonly #offsetMs: number;
  readonly #exited: Promise<void>;
  readonly #stopped: Int32Array;
  #running = true;
  #waiting: CanFrame[] = [];
  #downReason: string | undefined;
  readonly #onProcessExit = (): void => this.#stopAtExit();

  private constructor(
    options: SocketCanBusOptions,
    facts: InterfaceFacts,
    worker: Worker,
    stopped: Int32Array,
  ) {
    super();
    this.#stopped = stopped;
    this.name = options.interfaceName;
    this.fd = carriesFd(facts);
    this.bitrate = facts.bitrate;
    this.dataBitrate = facts.dataBitrate;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#worker = worker;
    this.#offsetMs = monotonicOffsetMs(options.clock);
    this.#exited = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#running = false;
        resolve();
      });
    });
    this.#reader = new RecordReader({
      onEcho: (atMs) => this.confirmed(atMs + this.#offsetMs),
      onFrame: (frame, atMs) => this.received(frame, atMs + this.#offsetMs),
      onControl: () => {},
      onFault: (fault) => this.#ended(`its thread wrote an invalid record (${fault})`),
    });
    worker.on('message', (message: FromThread) => this.#take(message));
    worker.on('error', (error) => this.#ended(`its thread failed: ${error.message}`));
    process.on('exit', this.#onProcessExit);
    if (facts.state !== undefined && facts.state !== 'active') {
      this.#enter(
        facts.state,
        'state of the controller when the bus was opened',
        options.clock.nowMs(),
      );
    }
  }

  /** Rejects with BusError: NO_INTERFACE, INTERFACE_DOWN, NO_FD, NO_DRIVER, NO_PERMISSION. */
  static async open(options: SocketCanBusOptions): Promise<SocketCanBus> {
    const facts = await interfaceFacts(options.interfaceName);
    checkInterface(options.interfaceName, facts, options.fd === true);
    const stopped = new Int32Array(new SharedArrayBuffer(4));
    const threadOptions: SocketCanThreadOptions = {
      interfaceName: options.interfaceName,
      virtual: facts.driver === 'vcan',
      shortFramesAreFd: options.fd === true,
      maxWaitingBytes: options.maxWaitingBytes ?? MAX_WAITING_BYTES,
      stopped,
    };
    const worker = new Worker(threadUrl('socketcan-worker', import.meta.url), {
      workerData: threadOptions,
      execArgv: [],
      name: `can-ota ${options.interfaceName}`,
    });
    await new Promise<void>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', (message: FromThread) => {
        worker.removeListener('error', reject);
        if (message.kind === 'open') resolve();
        else if (message.kind === 'refused') reject(new BusError(message.code, message.reason));
        else reject(new Error(`unexpected ${message.kind} from the thread of a bus`));
      });
    });
    return new SocketCanBus(options, facts, worker, stopped);
  }

  async wireFacts(): Promise<WireFacts | undefined> {
    if (this.closed) return undefined;
    const facts = await interfaceFacts(this.name);
    return facts?.up === true ? interfaceWireFacts(this.name, facts) : undefined;
  }

  protected override transmit(frame: CanFrame): void {
    this.#waiting.push(frame);
    // All frames of this turn go to the thread in one message.
    if (this.#waiting.length === 1) queueMicrotask(() => this.#handOver());
  }

  protected override listening(filters: readonly CanFilter[] | undefined): void {
    // Frames that were sent before the change go out before it.
    this.#handOver();
    this.#tell({ kind: 'listen', filters });
  }

  protected override refusalReason(): string | undefined {
    return this.#downReason;
  }

  protected override async shutDown(): Promise<void> {
    this.#waiting = [];
    this.#reader.stop();
    process.removeListener('exit', this.#onProcessExit);
    this.#tell({ kind: 'close' });
    const limit = this.#clock.after('close', CLOSE_MS, () => void this.#worker.terminate());
    await this.#exited;
    limit.cancel();
  }

  #tell(message: ToThread): void {
    if (this.#running) this.#worker.postMessage(message);
  }

  #handOver(): void {
    if (this.#waiting.length === 0) return;
    const frames = this.#waiting;
    this.#waiting = [];
    let length = 0;
    for (const frame of frames) length += frameRecordLength(frame);
    const records = new Uint8Array(length);
    let at = 0;
    for (const frame of frames) at += encodeFrame(frame, records, at);
    this.#tell({ kind: 'send', records });
  }

  #take(message: FromThread): void {
    if (this.closed) return;
    switch (message.kind) {
      case 'records':
        this.#reader.push(message.records);
        this.#tell({ kind: 'ack' });
        break;
      case 'failed':
        this.failed(message.count, message.code, message.reason);
        break;
      case 'state':
        this.#enter(message.state, message.reason, message.atMs + this.#offsetMs);
        break;
      case 'lost':
        this.countLost(message.frames);
        this.#logger.warn({ bus: this.name, lost: message.frames }, message.reason);
        break;
      default: // open, refused: `open` handles these
    }
  }

  #enter(
    state: 'active' | 'warning' | 'passive' | 'bus-off' | 'down',
    reason: string,
    atMs: number,
  ): void {
    this.#downReason = state === 'down' || state === 'bus-off' ? reason : undefined;
    this.changeState(state, reason, atMs);
  }

  /** The thread has ended: nothing can be sent or received, and the bus does not come back. */
  #ended(reason: string): void {
    this.#enter('down', `${this.name}: ${reason}`, this.#clock.nowMs());
    this.failed(this.pendingCount, 'BUS_DOWN', `${this.name}: ${reason}`);
  }

  /**
   * Stops the package's reader thread when the process exits without `close`: otherwise it would use the event loop that
   * the exit has removed, which ends in a segmentation fault.
   */
  #stopAtExit(): void {
    if (!this.#running) return;
    this.#tell({ kind: 'close' });
    Atomics.wait(this.#stopped, 0, 0, EXIT_MS);
  }
}

function checkInterface(
  name: string,
  facts: InterfaceFacts | undefined,
  fd: boolean,
): asserts facts is InterfaceFacts {
  const virtual = name.startsWith('vcan');
  if (facts === undefined) {
    throw new BusError(
      'NO_INTERFACE',
      `there is no interface ${name}: ` +
        (virtual
          ? `make it with \`sudo ./vcan-setup.sh ${name}\`, or use --bus local:bench, which needs no kernel support`
          : 'is the adapter plugged in, its driver loaded? `ip link` shows what there is'),
    );
  }
  if (!facts.isCan) {
    throw new BusError(
      'NO_INTERFACE',
      `${name} is no CAN interface: \`ip -d link show type can\` shows those`,
    );
  }
  if (!facts.up) {
    throw new BusError(
      'INTERFACE_DOWN',
      `${name} is down: ` +
        (virtual
          ? `sudo ip link set ${name} up`
          : `sudo ip link set ${name} up type can bitrate 500000 (with the bit rate of your bus)`),
    );
  }
  if (fd && !carriesFd(facts)) {
    throw new BusError(
      'NO_FD',
      `${name} carries no CAN FD (mtu ${facts.mtu}): ` +
        (virtual
          ? `sudo ip link set ${name} down && sudo ip link set ${name} mtu 72 up`
          : `sudo ip link set ${name} down && sudo ip link set ${name} up type can bitrate 500000 dbitrate 2000000 fd on`),
    );
  }
}

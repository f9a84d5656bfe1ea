// `can-ota monitor`: what is said on the bus, or was said in a candump log, put together and decoded.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { AscReader } from '../../bus/asc-reader.ts';
import type { BusFrame } from '../../bus/can-bus.ts';
import { type CanFrame, frameText } from '../../bus/can-frame.ts';
import { CandumpReader } from '../../bus/candump-reader.ts';
import { readErrorFrame } from '../../bus/error-frame.ts';
import { toHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { pc } from '../../core/colours.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { getOrAdd } from '../../core/present.ts';
import { fileFault } from '../../core/text-file.ts';
import { IsoTpSniffer, type SniffedEvent } from '../../isotp/sniffer.ts';
import { type BusOptions, openReaderBus } from '../../onboard/bus.ts';
import { loadVehicle } from '../../onboard/vehicle-file.ts';
import { describeMessage } from '../../uds/describe.ts';
import type { Vehicle } from '../../vehicle/schema.ts';
import { announceReady, type CommonOptions, runCommand, untilAborted } from '../context.ts';
import { fixedRoute, routesOf } from './routes.ts';

interface MonitorOptions extends CommonOptions, BusOptions {
  readonly vehicle?: string;
  readonly file?: string;
  readonly raw?: boolean;
  readonly all?: boolean;
  /** Seconds from the first frame on. */
  readonly from?: number;
  readonly until?: number;
  readonly ecu?: string;
}

export function monitor(options: MonitorOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const vehicle = await loadVehicle(options.vehicle, options.fd === true);
    const view = new MonitorView(vehicle, options, context);
    if (options.file === undefined) return watchBus(options, context, view);
    return readLog(options.file, context, view);
  });
}

async function watchBus(
  options: MonitorOptions,
  context: Context,
  view: MonitorView,
): Promise<ExitCode> {
  await using opened = await openReaderBus(options, context);
  context.say(`listening on ${opened.why}; Ctrl-C ends`);
  const subscription = opened.bus.monitor((seen) => view.frame(seen));
  const states = opened.bus.onState(({ state, reason, atMs }) =>
    view.busState(state, reason, atMs),
  );
  announceReady();
  await untilAborted(context.signal);
  subscription.close();
  states.close();
  view.summary();
  return ExitCode.success;
}

async function readLog(file: string, context: Context, view: MonitorView): Promise<ExitCode> {
  const input = file === '-' ? process.stdin : createReadStream(file);
  const candump = new CandumpReader();
  const asc = new AscReader();
  let number = 0;
  let lines = 0;
  let bad = 0;
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (context.signal.aborted) break;
      number++;
      if (line.trim() === '') continue;
      if (number === 1 && line.startsWith(BLF_START)) throw blfError(file);
      const entry = candump.line(line) ?? asc.line(line);
      if (entry === 'other') continue;
      lines++;
      if (entry === undefined) {
        if (bad++ < 10) {
          process.stderr.write(
            `can-ota: ${file}:${number}: not a line of candump, like "(0.000000) vcan0 7E8#0210", or of a Vector ASC log; left out\n`,
          );
        }
      } else if ('frame' in entry) {
        const { frame, wallMs, interfaceName } = entry;
        view.frame({ frame, atMs: wallMs, direction: 'rx' }, interfaceName);
      } else {
        const { state, reason } = readErrorFrame(entry.error.errorClass, entry.error.detail);
        view.busState(state ?? 'error', reason, entry.wallMs);
      }
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError('--file', fileFault(file, error), { cause: error });
  }
  if (bad > 10) process.stderr.write(`can-ota: ${file}: ${bad - 10} further lines are left out\n`);
  view.summary();
  if (lines > 0 && bad === lines) {
    throw new InputError(
      '--file',
      `${file} holds no line of a candump log, like "(0.000000) vcan0 7E8#0210", and is no Vector ASC log`,
    );
  }
  return ExitCode.success;
}

/** Vector's binary logs begin so. */
const BLF_START = 'LOGG';

function blfError(file: string): InputError {
  return new InputError(
    '--file',
    `${file} is a binary log (BLF), which is not read: convert it to ASC, with Vector's tools or python-can: python3 -m can.logconvert ${file} log.asc`,
  );
}

/** Payload bytes of a message that are shown; the rest is counted. */
const SHOWN_BYTES = 24;

class MonitorView {
  readonly #context: Context;
  readonly #raw: boolean;
  readonly #all: boolean;
  /** One for each interface of a log. */
  readonly #sniffers = new Map<string, IsoTpSniffer>();
  readonly #vehicle: Vehicle;
  readonly #options: MonitorOptions;
  readonly #wallOffsetMs: number;
  #firstMs: number | undefined;
  #frames = 0;
  #messages = 0;
  #errors = 0;

  constructor(vehicle: Vehicle, options: MonitorOptions, context: Context) {
    this.#context = context;
    this.#raw = options.raw === true;
    this.#all = options.all === true;
    this.#vehicle = vehicle;
    this.#options = options;
    this.#wallOffsetMs =
      options.file === undefined ? systemClock.wallMs() - systemClock.nowMs() : 0;
  }

  frame(seen: BusFrame, interfaceName = ''): void {
    this.#frames++;
    const { frame, atMs } = seen;
    this.#firstMs ??= atMs;
    const sniffer = getOrAdd(
      this.#sniffers,
      interfaceName,
      () => new IsoTpSniffer(routesOf(this.#vehicle), (event) => this.#event(event)),
    );
    const fixed =
      frame.extended && !sniffer.knows(frame.id, true) ? fixedRoute(frame.id) : undefined;
    if (fixed !== undefined) sniffer.add(fixed);
    if (this.#raw || (this.#all && !sniffer.knows(frame.id, frame.extended)))
      this.#rawFrame(frame, atMs);
    sniffer.frame(seen);
  }

  /** `--from` and `--until`; frames before are put together all the same. */
  #isShown(atMs: number, route?: string): boolean {
    this.#firstMs ??= atMs;
    const seconds = (atMs - this.#firstMs) / 1000;
    const { from = 0, until = Number.POSITIVE_INFINITY, ecu } = this.#options;
    const isOfEcu = ecu === undefined || route?.split(' ').includes(ecu) === true;
    return seconds >= from && seconds <= until && isOfEcu;
  }

  busState(state: string, reason: string, atMs: number): void {
    if (!this.#isShown(atMs) && this.#options.ecu === undefined) return;
    this.#context.emit({ kind: 'bus', atMs: this.#wall(atMs), state, reason });
    this.#context.say(`${this.#time(atMs)}  ${pc.yellow('bus')}  ${state}: ${reason}`);
  }

  summary(): void {
    const { frames, messages, errors } = {
      frames: this.#frames,
      messages: this.#messages,
      errors: this.#errors,
    };
    this.#context.emit({ kind: 'summary', frames, messages, errors });
    this.#context.say(`${frames} frames, ${messages} messages, ${errors} transport errors`);
  }

  #rawFrame(frame: CanFrame, atMs: number): void {
    if (!this.#isShown(atMs)) return;
    this.#context.emit({ kind: 'frame', atMs: this.#wall(atMs), frame: frameText(frame) });
    this.#context.say(pc.dim(`${this.#time(atMs)}  ${frameText(frame)}`));
  }

  #event(event: SniffedEvent): void {
    if (!this.#isShown(event.atMs, event.route)) return;
    const atMs = this.#wall(event.atMs);
    const time = this.#time(event.atMs);
    switch (event.kind) {
      case 'message': {
        this.#messages++;
        const { message, route, frames } = event;
        const text = describeMessage(message);
        this.#context.emit({ kind: 'message', atMs, route, frames, bytes: toHex(message), text });
        const shown = toHex(message.subarray(0, SHOWN_BYTES)).toUpperCase();
        const rest = message.length > SHOWN_BYTES ? `... ${message.length} bytes` : '';
        const negative = message[0] === 0x7f && message[2] !== 0x78;
        const line = `${time}  ${route.padEnd(12)}  ${negative ? pc.red(text) : text}`;
        this.#context.say(`${line}  ${pc.dim(`${shown}${rest}`)}`);
        return;
      }
      case 'error':
        this.#errors++;
        this.#context.emit({ kind: 'error', atMs, route: event.route, reason: event.reason });
        this.#context.say(
          `${time}  ${event.route.padEnd(12)}  ${pc.red(`ISO-TP: ${event.reason}`)}`,
        );
        return;
      case 'flow-control':
        this.#context.emit({
          kind: 'flow-control',
          atMs,
          route: event.route,
          status: event.status,
        });
        this.#context.say(
          `${time}  ${event.route.padEnd(12)}  ${pc.yellow(`flow control: ${event.status}`)}`,
        );
        return;
    }
  }

  #wall(atMs: number): number {
    return atMs + this.#wallOffsetMs;
  }

  /** Seconds since the first frame, as in candump -ta z. */
  #time(atMs: number): string {
    this.#firstMs ??= atMs;
    return ((atMs - this.#firstMs) / 1000).toFixed(6).padStart(11);
  }
}

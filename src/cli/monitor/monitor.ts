// `can-ota monitor`: what is said on the bus, or was said in a candump log, put together and decoded.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { BusFrame } from '../../bus/can-bus.ts';
import { type CanFrame, frameText } from '../../bus/can-frame.ts';
import { parseLogLine } from '../../bus/candump-log.ts';
import { readErrorFrame } from '../../bus/error-frame.ts';
import { toHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { pc } from '../../core/colours.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { fileFault } from '../../core/text-file.ts';
import { normalAddress, reverseAddress, testerAddresses } from '../../isotp/address.ts';
import { IsoTpSniffer, type SniffedEvent, type SniffedRoute } from '../../isotp/sniffer.ts';
import { type BusOptions, openReaderBus } from '../../onboard/bus.ts';
import { loadVehicle } from '../../onboard/vehicle-file.ts';
import { describeMessage } from '../../uds/describe.ts';
import type { Vehicle } from '../../vehicle/schema.ts';
import { announceReady, type CommonOptions, runCommand, untilAborted } from '../context.ts';

interface MonitorOptions extends CommonOptions, BusOptions {
  readonly vehicle?: string;
  readonly file?: string;
  readonly raw?: boolean;
  readonly all?: boolean;
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
  let number = 0;
  let lines = 0;
  let bad = 0;
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (context.signal.aborted) break;
      number++;
      if (line.trim() === '') continue;
      lines++;
      const entry = parseLogLine(line);
      if (entry === undefined) {
        if (bad++ < 10) {
          process.stderr.write(
            `can-ota: ${file}:${number}: not a candump line like "(0.000000) vcan0 7E8#0210"; left out\n`,
          );
        }
      } else if ('frame' in entry) {
        view.frame({ frame: entry.frame, atMs: entry.wallMs, direction: 'rx' });
      } else {
        const { state, reason } = readErrorFrame(entry.error.errorClass, entry.error.detail);
        view.busState(state ?? 'error', reason, entry.wallMs);
      }
    }
  } catch (error) {
    throw new InputError('--file', fileFault(file, error), { cause: error });
  }
  if (bad > 10) process.stderr.write(`can-ota: ${file}: ${bad - 10} further lines are left out\n`);
  view.summary();
  if (lines > 0 && bad === lines) {
    throw new InputError(
      '--file',
      `${file} holds no line of a candump log, like "(0.000000) vcan0 7E8#0210"`,
    );
  }
  return ExitCode.success;
}

/** Payload bytes of a message that are shown; the rest is counted. */
const SHOWN_BYTES = 24;

class MonitorView {
  readonly #context: Context;
  readonly #raw: boolean;
  readonly #all: boolean;
  readonly #sniffer: IsoTpSniffer;
  readonly #wallOffsetMs: number;
  #firstMs: number | undefined;
  #frames = 0;
  #messages = 0;
  #errors = 0;

  constructor(vehicle: Vehicle, options: MonitorOptions, context: Context) {
    this.#context = context;
    this.#raw = options.raw === true;
    this.#all = options.all === true;
    this.#sniffer = new IsoTpSniffer(routesOf(vehicle), (event) => this.#event(event));
    this.#wallOffsetMs =
      options.file === undefined ? systemClock.wallMs() - systemClock.nowMs() : 0;
  }

  frame(seen: BusFrame): void {
    this.#frames++;
    const { frame, atMs } = seen;
    if (this.#raw || (this.#all && !this.#sniffer.knows(frame.id, frame.extended)))
      this.#rawFrame(frame, atMs);
    this.#sniffer.frame(seen);
  }

  busState(state: string, reason: string, atMs: number): void {
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
    this.#context.emit({ kind: 'frame', atMs: this.#wall(atMs), frame: frameText(frame) });
    this.#context.say(pc.dim(`${this.#time(atMs)}  ${frameText(frame)}`));
  }

  #event(event: SniffedEvent): void {
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

/** Both directions of every ECU, and the functional requests. */
function routesOf(vehicle: Vehicle): SniffedRoute[] {
  const routes: SniffedRoute[] = [];
  const functionalSeen = new Set<string>();
  for (const ecu of vehicle.ecus) {
    const { physical, functional } = testerAddresses(ecu.address);
    routes.push({ name: `> ${ecu.name}`, address: physical });
    routes.push({ name: `< ${ecu.name}`, address: reverseAddress(physical) });
    if (functional === undefined) continue;
    const key = `${functional.tx.id}/${functional.txAddressByte}`;
    if (!functionalSeen.has(key)) routes.push({ name: '> all', address: functional });
    functionalSeen.add(key);
  }
  // The identifiers of ISO 15765-4 for emission-related ECUs, which nearly every vehicle uses, where they are free.
  for (let offset = 0; offset < 8; offset++) {
    const request = { id: 0x7e0 + offset, extended: false };
    const response = { id: 0x7e8 + offset, extended: false };
    const known = routes.some(
      ({ address }) => address.tx.id === request.id || address.tx.id === response.id,
    );
    if (known) continue;
    const address = normalAddress(request, response);
    routes.push({ name: `> ${request.id.toString(16).toUpperCase()}`, address });
    routes.push({
      name: `< ${response.id.toString(16).toUpperCase()}`,
      address: reverseAddress(address),
    });
  }
  return routes;
}

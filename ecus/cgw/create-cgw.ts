// The entry for composition roots: the CGW, an ECU that can be updated and that asks the driver.

import { fromHex } from '../../src/core/bytes.ts';
import { InputError } from '../../src/core/errors.ts';
import { Routine } from '../../src/uds/sid.ts';
import type { Ecu } from '../bootloader/bootloader.ts';
import type { EcuEvent } from '../bootloader/device.ts';
import { refuseShippedSecret } from '../bootloader/diagnostics/security-access.ts';
import { type CreateEcuOptions, createEcu } from '../create-ecu.ts';
import { speedFrame } from '../motion.ts';
import { type DriverTerminal, openConsole } from './console.ts';
import { type ApproveMode, DriverApproval } from './driver-approval.ts';
import { SignalBoard, type SignalValue } from './signal-board.ts';
import { type UpdateProgress, UpdateWatch } from './update-watch.ts';

export interface CreateCgwOptions
  extends Omit<CreateEcuOptions, 'routines' | 'live' | 'traffic' | 'motion' | 'name'> {
  /** Name of the ECU; missing: `approval.ecu` of the vehicle file. */
  readonly name?: string;
  /** `yes` and `no` answer automatically, for benches and tests. */
  readonly approve: ApproveMode;
  /** Terminal of the driver; missing: the driver is not asked, and with `ask` every request times out. */
  readonly terminal?: DriverTerminal | undefined;
  /** How long a request stays open; missing: as long as the request says (default 30 s). */
  readonly timeoutMs?: number;
  /** Called for Control-C on the driver's screen. */
  readonly onInterrupt?: () => void;
  readonly colour?: boolean;
  /** Values of signals that the vehicle file reads from this ECU; the others have their usual values. */
  readonly signals?: Readonly<Record<string, SignalValue>>;
}

export interface Cgw {
  readonly ecu: Ecu;
  /** The values of the sensors. */
  readonly signals: SignalBoard;
  /** Restores the terminal, then stops the ECU. */
  close(): Promise<void>;
}

/**
 * Creates the CGW. Throws InputError when the vehicle file has no `approval`, a well-known key for it, not this ECU, or
 * not one of the signals.
 */
export async function createCgw(options: CreateCgwOptions): Promise<Cgw> {
  const { vehicle, clock, terminal } = options;
  const name = options.name ?? vehicle.approval?.ecu;
  if (vehicle.approval === undefined || name === undefined) {
    throw new InputError(
      'approval',
      'missing in the vehicle file: it names the ECU that asks the driver, and its key',
    );
  }
  const given = vehicle.approval.key;
  if (options.benchKeys !== true) refuseShippedSecret(given, 'approval.key');
  const signals = new SignalBoard(vehicle, name, options.signals);
  let ecu: Ecu | undefined;
  let status = `${name} starts`;
  const listeners: ((event: EcuEvent) => void)[] = [];
  const emit = (event: EcuEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const approval = new DriverApproval({
    key: () => (given === undefined ? ecu?.approvalKey : fromHex(given)),
    approve: options.approve,
    timeoutMs: options.timeoutMs,
    clock,
    clockText: (unixS) =>
      new Date(unixS * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' }),
    status: () => status,
    onChange: (campaignId, text) => emit({ kind: 'approval', campaignId, status: text }),
  });
  listeners.push((event) => {
    const text = statusLine(name, event);
    if (event.kind === 'reset' || event.kind === 'power-lost') approval.forget();
    if (event.kind === 'progress') {
      approval.progress({ ecu: name, received: event.received, total: event.size });
    }
    if (text === undefined || text === status) return;
    status = text;
    approval.show();
  });
  if (options.onEvent !== undefined) listeners.push(options.onEvent);
  const created = await createEcu({
    ...options,
    name,
    live: signals.dids(),
    traffic: [speedFrame(() => signals.speedKmh())],
    motion: { isMoving: () => (signals.speedKmh() ?? 0) !== 0, close: () => {} },
    routines: {
      [Routine.driverApproval]: approval.routine(),
      [Routine.updateOutcome]: approval.outcomeRoutine(),
    },
    onEvent: emit,
  });
  ecu = created;
  // Last: a failure up to here leaves the terminal as it was.
  let watch: UpdateWatch | undefined;
  if (terminal !== undefined) {
    const others = vehicle.ecus.filter((other) => other.name !== name);
    const onProgress = (progress: UpdateProgress): void => approval.progress(progress);
    watch = options.bus && new UpdateWatch(options.bus, others, onProgress);
    approval.attach(
      openConsole({
        terminal,
        onAnswer: (given) => approval.give(given),
        onSignal: (words) => signalCommand(signals, words),
        onInterrupt: () => options.onInterrupt?.(),
        colour: options.colour,
      }),
    );
  }
  return {
    ecu: created,
    signals,
    close: async () => {
      watch?.close();
      approval.close();
      await created.close();
    },
  };
}

/** The command `signal` prints all values, `signal speed 50` sets one. */
function signalCommand(signals: SignalBoard, words: readonly string[]): readonly string[] {
  const [name, value, ...rest] = words;
  if (name === undefined) return signals.lines();
  if (value === undefined || rest.length > 0) return ['expected signal NAME VALUE'];
  try {
    signals.setText(name, value);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return [error.message];
  }
  return signals.lines().filter((line) => line.startsWith(`${name} is `));
}

/** The status line of the CGW on the driver's screen; undefined when the event does not change it. */
function statusLine(name: string, event: EcuEvent): string | undefined {
  switch (event.kind) {
    case 'boot':
      return event.mode === 'recovery'
        ? `${name} has no software to run and waits for an update`
        : `${name} ${event.version}${event.mode === 'trial' ? ', new software on trial' : ''}`;
    case 'erase':
    case 'progress':
      return `${name} is being updated`;
    case 'reset':
      return `${name} restarts`;
    case 'power-lost':
    case 'failed':
      return `${name} has stopped`;
    default:
      return undefined;
  }
}

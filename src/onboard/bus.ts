// Opens the bus of a command, with its trace and its lock, and connects to ECUs as the tester.

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { CanBus } from '../bus/can-bus.ts';
import { TraceWriter } from '../bus/candump-log.ts';
import { openBus } from '../bus/open-bus.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { InputError } from '../core/errors.ts';
import { printError } from '../core/live-area.ts';
import { testerAddresses } from '../isotp/address.ts';
import { IsoTpChannel } from '../isotp/channel.ts';
import { transportConfig } from '../isotp/config.ts';
import { UdsClient } from '../uds/client.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import { type BesideTester, lockBus, tellTester } from './bus-lock.ts';

export interface BusOptions {
  readonly bus?: string;
  readonly fd?: boolean;
  readonly trace?: string;
}

export interface OwnedBus extends AsyncDisposable {
  readonly bus: CanBus;
  /** Which bus it is and why, for people. */
  readonly why: string;
}

/** Throws BusError, or InputError when the trace file cannot be written. */
export async function openCommandBus(options: BusOptions, context: Context): Promise<OwnedBus> {
  const clock = systemClock;
  const { bus, why } = await openBus(options.bus, {
    clock,
    fd: options.fd === true,
    logger: context.logger,
  });
  const trace =
    options.trace === undefined ? undefined : await openTrace(options.trace, bus, clock);
  bus.onState(({ state, reason }) => context.logger.warn({ bus: bus.name, state }, reason));
  return {
    bus,
    why,
    [Symbol.asyncDispose]: async () => {
      await trace?.();
      await bus.close();
    },
  };
}

export interface TesterOptions extends BusOptions {
  /** Go on although there is another tester. */
  readonly beside?: boolean;
}

/**
 * The same for a command that programs: it holds the bus against other such commands. Throws BusInUseError where another
 * process holds it and neither `whenHeld` nor `--beside` allows it.
 */
export async function openTesterBus(
  options: TesterOptions,
  context: Context,
  command: string,
  whenHeld: BesideTester = 'refuse',
): Promise<OwnedBus> {
  const opened = await openCommandBus(options, context);
  await tellAlone(opened.bus);
  return lockedBus(opened, {
    command,
    besideTester: options.beside === true ? 'warn' : whenHeld,
  });
}

/** Takes the lock and releases it when the bus is closed. */
export async function lockedBus(
  opened: OwnedBus,
  use: { readonly command: string; readonly besideTester: BesideTester },
): Promise<OwnedBus> {
  try {
    const lock = await lockBus(opened.bus, { ...use, warn: warnPerson });
    return {
      bus: opened.bus,
      why: opened.why,
      [Symbol.asyncDispose]: async () => {
        await opened[Symbol.asyncDispose]();
        await lock.release();
      },
    };
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

/** For a command that only reads: warns when another process programs on this bus. */
export async function openReaderBus(options: BusOptions, context: Context): Promise<OwnedBus> {
  const opened = await openCommandBus(options, context);
  await tellTester(opened.bus, warnPerson);
  await tellAlone(opened.bus);
  return opened;
}

/** Says so when no other process is on a local bus: whatever is asked there, no answer comes. */
async function tellAlone(bus: CanBus): Promise<void> {
  if (!(await isAlone(bus))) return;
  const name = `local:${bus.name}`;
  warnPerson(
    `you are alone on this bus: no other process of yours is on ${name}. ` +
      `Start the ECUs there (can-ota ecu EDT --bus ${name} --flash DIR), or name their bus with --bus; ` +
      'a local bus is one of each user',
  );
}

/** No other process is on this local bus now. False for every other bus: their nodes cannot be counted. */
export async function isAlone(bus: CanBus): Promise<boolean> {
  return (await bus.others?.()) === 0;
}

function warnPerson(line: string): void {
  printError(`can-ota: ${line}`);
}

/** Writes every frame into a candump log. Resolves to the function that completes the file. */
async function openTrace(file: string, bus: CanBus, clock: Clock): Promise<() => Promise<void>> {
  const stream = createWriteStream(file);
  try {
    await once(stream, 'open');
  } catch (error) {
    throw new InputError('--trace', `${file} cannot be written`, { cause: error });
  }
  const writer = new TraceWriter({ bus, clock, sink: (line) => stream.write(`${line}\n`) });
  return async () => {
    writer.close();
    stream.end();
    await once(stream, 'finish');
  };
}

/** A UDS client for one ECU; its functional requests reach all ECUs with the same functional address. */
export function connectTester(
  bus: CanBus,
  ecu: VehicleEcu,
  { logger, clock = systemClock }: Pick<Context, 'logger'> & { readonly clock?: Clock },
): UdsClient {
  const { physical, functional } = testerAddresses(ecu.address);
  const config = transportConfig(ecu);
  const common = { bus, clock, config };
  return new UdsClient({
    connection: new IsoTpChannel({ ...common, address: physical }),
    ...(functional === undefined
      ? {}
      : { functional: new IsoTpChannel({ ...common, address: functional, kind: 'functional' }) }),
    clock,
    timing: ecu.timing,
    logger,
  });
}

// `can-ota cgw`: the central gateway, an ECU like the others, with the driver's console.

import { createCgw } from '../../../ecus/cgw/create-cgw.ts';
import { SignalBoard } from '../../../ecus/cgw/signal-board.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { canRedraw } from '../../core/terminal.ts';
import { isAlone, openCommandBus } from '../../onboard/bus.ts';
import { loadVehicle } from '../../onboard/vehicle-file.ts';
import { findEcu } from '../../vehicle/load.ts';
import type { Vehicle } from '../../vehicle/schema.ts';
import { announceReady, runCommand, untilAborted } from '../context.ts';
import { requireDriver } from '../driver-present.ts';
import {
  aloneSoFar,
  bankImageOf,
  type FlashOptions,
  reportEcuEvent,
  simulationOptions,
} from './ecu.ts';

interface CgwOptions extends FlashOptions {
  readonly approve: 'ask' | 'yes' | 'no';
  readonly approvalTimeout: number;
  readonly signal: readonly string[];
}

export function cgw(options: CgwOptions): Promise<void> {
  return runCommand(options, async (context) => {
    await requireDriver(options.approve);
    const vehicle = await loadVehicle(options.vehicle, options.fd === true);
    const signals = parseSignals(options.signal, vehicle);
    const name = vehicle.approval?.ecu ?? 'CGW';
    const simulation = {
      ...(await simulationOptions(options)),
      ...(await bankImageOf(options, findEcu(vehicle, name))),
    };
    await using opened = await openCommandBus(options, context);
    const asking = options.approve === 'ask';
    // With --json standard output has only the events; the driver's console uses standard error.
    const { stdin: input } = process;
    const output = context.json ? process.stderr : process.stdout;
    const screen = asking && input.isTTY && canRedraw(output);
    const gateway = await createCgw({
      ...simulation,
      signals,
      vehicle,
      bus: opened.bus,
      logger: context.logger,
      approve: options.approve,
      timeoutMs: options.approvalTimeout * 1000,
      terminal: asking ? { input, output, screen } : undefined,
      onInterrupt: () => process.kill(process.pid, 'SIGINT'),
      onEvent: (event) => {
        if (!screen || context.json) reportEcuEvent(name, event, context);
      },
    });
    if (!screen) {
      context.say(`${name} on ${opened.why}; flash in ${simulation.storage.location}; Ctrl-C ends`);
    }
    if (!screen && !context.json && (await isAlone(opened.bus))) {
      context.say(aloneSoFar(name, opened.bus));
    }
    announceReady();
    const end = await Promise.race([gateway.ecu.stopped, untilAborted(context.signal)]);
    await gateway.close();
    return end === 'failed' ? ExitCode.ecuFailed : ExitCode.success;
  });
}

/** `speed=50`: values are numbers where the vehicle file has no names for them. Throws InputError. */
export function parseSignals(
  texts: readonly string[],
  vehicle: Vehicle,
): Record<string, number | string | undefined> {
  const board = new SignalBoard(vehicle, vehicle.approval?.ecu ?? 'CGW');
  const given: Record<string, number | string | undefined> = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at < 1) throw new InputError('--signal', `${text}: expected NAME=VALUE, like speed=50`);
    const name = text.slice(0, at);
    board.setText(name, text.slice(at + 1));
    given[name] = board.get(name);
  }
  return given;
}

// `can-ota check`: asks every ECU what it is and what it answers, and changes none.

import type { CanBus } from '../../bus/can-bus.ts';
import { systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { type Advice, vehicleFileAdvice } from '../../drivers/advice.ts';
import { checkEcu } from '../../drivers/ecu-check.ts';
import { peerText } from '../../drivers/exchange.ts';
import { watchAnswers } from '../../onboard/answer-frames.ts';
import {
  connectTester,
  type OwnedBus,
  openTesterBus,
  type TesterOptions,
} from '../../onboard/bus.ts';
import { loadVehicle } from '../../onboard/vehicle-file.ts';
import { findEcu } from '../../vehicle/load.ts';
import type { Vehicle, VehicleEcu } from '../../vehicle/schema.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import type { FieldOptions } from '../flash/field-options.ts';
import { adviceByOptions } from '../flash/target-advice.ts';
import { ecuByIdentifiers, isIdentifiers, refuseStrays } from '../flash/target-ecu.ts';
import { type CheckedEcu, checkLines, checkRecord } from './words.ts';

const BOARD_UNASKED =
  'OpenBLT has no question that leaves a board as it is; CONNECT restarts its application';

interface CheckOptions extends CommonOptions, TesterOptions, FieldOptions {
  readonly vehicle?: string;
  readonly level?: number;
}

interface Target {
  /** As the person named it. */
  readonly name: string;
  readonly ecu: VehicleEcu;
  /** The vehicle file that describes it. */
  readonly vehicle: Vehicle | undefined;
  readonly advice: Advice;
}

export function check(names: readonly string[], options: CheckOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const targets = await targetsOf(names, options);
    // 10 03 and 10 01 would disturb a tester that programs.
    await using opened = await openTesterBus(options, context, 'check');
    context.say(`on ${opened.why}; nothing is changed`);
    const silent: string[] = [];
    const boards = targets.filter(({ ecu }) => ecu.programming.protocol === 'openblt');
    for (const { name, ecu } of boards) {
      context.emit({ kind: 'ecu', ecu: name, asked: false, reason: BOARD_UNASKED });
      context.say(`\n${peerText(ecu)}\n  not asked: ${BOARD_UNASKED}`);
    }
    const asked = targets.filter((target) => !boards.includes(target));
    for (const target of asked) {
      const checked = await checkOne(target, opened, options, context);
      context.emit(checkRecord(checked));
      for (const line of checkLines(checked)) context.say(line);
      const { result } = checked;
      if (context.signal.aborted) return context.interruption();
      if (result.reachable) continue;
      process.stderr.write(`can-ota: ${result.reason}\n`);
      if (result.code === 'BUS') return ExitCode.busUnavailable;
      silent.push(target.name);
    }
    context.emit({
      kind: 'summary',
      ecus: targets.length,
      unreachable: silent,
      unasked: boards.map(({ name }) => name),
    });
    if (asked.length > 0) context.say(summary(asked.length, silent));
    return silent.length === 0 ? ExitCode.success : ExitCode.ecuFailed;
  });
}

/** Throws InputError. */
async function targetsOf(names: readonly string[], options: CheckOptions): Promise<Target[]> {
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new InputError('ECU', `${twice} is named twice`);
  // Identifiers need no vehicle file.
  const needsFile = names.length === 0 || names.some((name) => !isIdentifiers(name));
  const vehicle = needsFile ? await loadVehicle(options.vehicle, options.fd === true) : undefined;
  const { level: _level, ...fields } = options;
  const byFile = (ecu: VehicleEcu): Target => {
    refuseStrays(ecu.name, fields);
    return { name: ecu.name, ecu, vehicle, advice: vehicleFileAdvice };
  };
  if (vehicle !== undefined && names.length === 0) return vehicle.ecus.map(byFile);
  return names.map((name) =>
    vehicle === undefined || isIdentifiers(name)
      ? {
          ...{ name, ecu: ecuByIdentifiers(name, fields), vehicle: undefined },
          advice: adviceByOptions(name, {}),
        }
      : byFile(findEcu(vehicle, name)),
  );
}

/** An ECU that is silent in CAN FD is asked once more in classic frames, which every CAN FD node receives. */
async function checkOne(
  target: Target,
  { bus }: OwnedBus,
  options: CheckOptions,
  context: Context,
): Promise<CheckedEcu> {
  const { name, ecu } = target;
  const carried = ecu.fd === false || bus.fd;
  const first = carried ? await askOne(target, bus, options, context) : noFd(target, bus.name);
  const isSilent = !first.result.reachable && first.result.code !== 'BUS';
  if (ecu.fd === false || !isSilent || context.signal.aborted) return first;
  const classic = await askOne({ ...target, ecu: { ...ecu, fd: false } }, bus, options, context);
  if (!classic.result.reachable) return first;
  const hint = `${name} answers classic frames only: leave out fd in the vehicle file, and --fd`;
  return { ...classic, hint };
}

async function askOne(
  { name, ecu, vehicle, advice }: Target,
  bus: CanBus,
  { level }: CheckOptions,
  context: Context,
): Promise<CheckedEcu> {
  const watch = watchAnswers(bus, ecu);
  const requester = connectTester(bus, ecu, context);
  const { signal } = context;
  const result = await checkEcu({ ecu, requester, clock: systemClock, advice, signal, level });
  requester.close();
  watch.close();
  return { name, ecu, vehicle, result, frames: watch.frames, longestFrame: watch.longest };
}

function noFd({ name, ecu, vehicle }: Target, bus: string): CheckedEcu {
  const reason = `${name} is described with CAN FD, and ${bus} carries classic frames only: give it an mtu of 72`;
  const result = { reachable: false, code: 'NO_FD', reason } as const;
  return { name, ecu, vehicle, result, frames: 'none', longestFrame: 0 };
}

function summary(count: number, silent: readonly string[]): string {
  if (silent.length === 0) return count === 1 ? 'it answers' : `all ${count} ECUs answer`;
  return `${count - silent.length} of ${count} ECUs answer; not ${silent.join(', ')}`;
}

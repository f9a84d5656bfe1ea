// `can-ota ecu NAME`: one simulated ECU as a process of its own.

import type { EcuEvent } from '../../../ecus/bootloader/device.ts';
import {
  builtInFactoryImage,
  type FactoryImage,
} from '../../../ecus/bootloader/factory/factory-image.ts';
import type { EcuFaults } from '../../../ecus/bootloader/faults.ts';
import { type CreateEcuOptions, createEcu } from '../../../ecus/create-ecu.ts';
import { ForeignEcu, isOfAnotherMake } from '../../../ecus/foreign/foreign-ecu.ts';
import type { CanBus } from '../../bus/can-bus.ts';
import { systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { lockFolder } from '../../core/lock.ts';
import { itemAt } from '../../core/present.ts';
import { systemRandom } from '../../core/random.ts';
import { firstIssue } from '../../core/schema-issue.ts';
import { DiskStorage } from '../../core/storage.ts';
import { formatBytes } from '../../core/units.ts';
import type { MemoryImage } from '../../image/memory-image.ts';
import { isBoard } from '../../onboard/board.ts';
import { type BusOptions, isAlone, openCommandBus } from '../../onboard/bus.ts';
import { readProfile } from '../../onboard/profiles.ts';
import { loadVehicle } from '../../onboard/vehicle-file.ts';
import { findEcu } from '../../vehicle/load.ts';
import { regionsOf } from '../../vehicle/memory.ts';
import { underProfile } from '../../vehicle/profile.ts';
import { ecuSchema, type VehicleEcu } from '../../vehicle/schema.ts';
import { announceReady, type CommonOptions, runCommand, untilAborted } from '../context.ts';
import { runBoard } from './board.ts';
import { type FactoryImageOption, readBankImage, readFactoryImage } from './factory-image.ts';

export interface FlashOptions extends CommonOptions, BusOptions {
  readonly vehicle?: string;
  readonly flash: string;
  readonly image?: FactoryImageOption;
  readonly fault: readonly string[];
  readonly benchKeys?: boolean;
}

interface EcuOptions extends FlashOptions {
  readonly kind?: string;
  /** False: a board without UPLOAD. */
  readonly upload?: boolean;
}

export function ecu(name: string, options: EcuOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const noFile = options.kind === 'openblt' && options.vehicle === undefined;
    const vehicle = await loadVehicle(options.vehicle, options.fd === true);
    // A wrong name is reported before a bus is opened.
    const described = noFile ? boardByDefault(name) : findEcu(vehicle, name);
    checkKind(options.kind, described);
    const isForeign = isOfAnotherMake(described) || isBoard(described);
    const image =
      isForeign && options.image ? await readFactoryImage(options.image, described) : undefined;
    const factory = isForeign ? {} : await bankImageOf(options, described);
    const simulation = await simulationOptions(options);
    await using opened = await openCommandBus(options, context);
    const { bus, why } = opened;
    if (isBoard(described)) {
      const parts = { ...simulation, bus, image, hasUpload: options.upload !== false };
      return await runBoard(described, parts, context, why);
    }
    if (isForeign) {
      return await runForeignEcu(described, { ...simulation, bus, image }, context, why);
    }
    const running = await createEcu({
      ...simulation,
      ...factory,
      name,
      vehicle,
      bus: opened.bus,
      logger: context.logger,
      onEvent: (event) => reportEcuEvent(name, event, context),
    });
    context.say(`${name} on ${opened.why}; flash in ${simulation.storage.location}; Ctrl-C ends`);
    if (!context.json && (await isAlone(opened.bus))) context.say(aloneSoFar(name, opened.bus));
    announceReady();
    const end = await Promise.race([running.stopped, untilAborted(context.signal)]);
    await running.close();
    return end === 'failed' ? ExitCode.ecuFailed : ExitCode.success;
  });
}

/** A board as OpenBLT comes: default identifiers, no lock. */
function boardByDefault(name: string): VehicleEcu {
  const parsed = ecuSchema.safeParse(
    underProfile(readProfile('openblt', '.'), { name, hardwareId: 'openblt' }),
  );
  if (parsed.success) return parsed.data;
  throw new InputError('name', `${name}: ${firstIssue(parsed.error).message}`);
}

/** `--kind` only says again what the vehicle file says, so that a wrong file is noticed. */
function checkKind(kind: string | undefined, ecu: VehicleEcu): void {
  const described = isBoard(ecu) ? 'openblt' : isOfAnotherMake(ecu) ? 'foreign' : 'can-ota';
  if (kind === undefined || kind === described) return;
  const how =
    kind === 'openblt'
      ? 'set "programming: openblt" there'
      : `set another programming or profile there, or give --kind ${described}`;
  throw new InputError(
    '--kind',
    `${ecu.name} is of the kind ${described} in the vehicle file, not ${kind}: ${how}`,
  );
}

/** An ECU with the profile of another make follows its fields strictly; faults are for ECUs of can-ota. */
async function runForeignEcu(
  ecu: VehicleEcu,
  simulation: Awaited<ReturnType<typeof simulationOptions>> & {
    readonly bus: CanBus;
    readonly image: MemoryImage | undefined;
  },
  context: Context,
  why: string,
): Promise<ExitCode> {
  const { name, profile } = ecu;
  const { faults = {}, image, ...parts } = simulation;
  if (Object.keys(faults).length > 0) {
    throw new InputError(
      '--fault',
      `${name} has the profile ${profile}: faults are for ECUs of can-ota`,
    );
  }
  const running = await ForeignEcu.start({
    ...{ ...parts, ecu, logger: context.logger, maxBlockLength: FOREIGN_BLOCK_LENGTH },
    factoryImage: image ?? {
      segments: [
        {
          address: itemAt(regionsOf(ecu.memory), 0).address,
          bytes: builtInFactoryImage(name).image,
        },
      ],
    },
    onBoot: (version) => {
      context.emit({ kind: 'boot', ecu: name, version: version ?? null });
      context.say(
        `${name}: ${version === undefined ? 'stays in its bootloader' : `runs ${version}`}`,
      );
    },
  });
  context.say(`${name} (${profile}) on ${why}; flash in ${parts.storage.location}; Ctrl-C ends`);
  announceReady();
  await untilAborted(context.signal);
  running.close();
  return ExitCode.success;
}

/** 2 KiB of data in a block. */
const FOREIGN_BLOCK_LENGTH = 0x802;

/** What `ecu` and `cgw` have in common: storage, faults, keys, the machine's clock and random. */
export async function simulationOptions(
  options: FlashOptions,
): Promise<Pick<CreateEcuOptions, 'storage' | 'clock' | 'random' | 'faults' | 'benchKeys'>> {
  const faults = parseFaults(options.fault);
  const storage = await DiskStorage.openOwn(options.flash);
  // Locked until this process ends: two ECUs on one flash would overwrite each other's banks.
  await lockFolder(storage.location);
  return {
    storage,
    clock: systemClock,
    random: systemRandom,
    faults,
    benchKeys: options.benchKeys === true,
  };
}

/** Throws InputError. */
export async function bankImageOf(
  { image }: Pick<FlashOptions, 'image'>,
  ecu: VehicleEcu,
): Promise<{ readonly factoryImage?: FactoryImage }> {
  if (image === undefined) return {};
  return { factoryImage: { image: await readBankImage(image, ecu), version: image.version } };
}

/** Time between two resets of a loop. */
const RESET_LOOP_MS = 3000;

const RESETS = {
  request: 'resets',
  'trial-expired': 'resets: the new image was not confirmed',
  fault: 'resets by itself',
} as const;

/** Parses faults such as `fail-write=1000` and `refuse-boot`. Throws InputError with the list of faults. */
export function parseFaults(texts: readonly string[]): EcuFaults {
  let faults: EcuFaults = {};
  for (const text of texts) faults = { ...faults, ...parseFault(text) };
  return faults;
}

function parseFault(text: string): EcuFaults {
  const [name, value] = text.split('=', 2) as [string, string | undefined];
  const count = (): number => {
    const parsed = Number(value ?? Number.NaN);
    if (!Number.isInteger(parsed) || parsed < 0) {
      throw new InputError('--fault', `${text}: expected ${name}=NUMBER`);
    }
    return parsed;
  };
  switch (name) {
    case 'fail-write':
      return { failWriteAt: count() };
    case 'power-loss':
      return { losePowerAfter: count() };
    case 'refuse-boot':
      return { refuseNewImage: true };
    case 'self-test':
      return { failSelfTest: true };
    case 'hardware-id':
      if (value === undefined || value === '') {
        throw new InputError('--fault', `${text}: expected hardware-id=TEXT`);
      }
      return { hardwareId: value };
    case 'chip-id':
      if (value === undefined || !/^[0-9a-fA-F]{32}$/.test(value)) {
        throw new InputError('--fault', `${text}: expected chip-id=32 hexadecimal digits`);
      }
      return { chipId: value.toLowerCase() };
    case 'silent':
      return { silent: true };
    case 'slow':
      return { slowMs: count() };
    case 'stuck':
      return { stuckAfter: count() };
    case 'reset-loop':
      return { resetLoop: { times: count(), everyMs: RESET_LOOP_MS } };
    case 'hot':
      return { hot: true };
    case 'garbage':
      return { wrongAnswers: { count: count(), kind: 'garbage' } };
    default:
      throw new InputError(
        '--fault',
        `${text} is none of fail-write=BYTE power-loss=BYTE refuse-boot self-test hardware-id=TEXT chip-id=HEX silent slow=MS stuck=REQUESTS reset-loop=TIMES hot garbage=ANSWERS`,
      );
  }
}

/** Behind the name of the bus, for the first process there. */
export function aloneSoFar(name: string, { name: bus }: CanBus): string {
  return `${name}: alone on this bus so far; other commands of the same user come to it with --bus local:${bus}`;
}

/** Prints events as lines. Progress, which comes with every block, goes to --json only. */
export function reportEcuEvent(name: string, event: EcuEvent, context: Context): void {
  context.emit({ ecu: name, ...event });
  const text = eventText(event);
  if (text !== undefined) context.say(`${name}: ${text}`);
}

function eventText(event: EcuEvent): string | undefined {
  switch (event.kind) {
    case 'boot':
      return event.bank === null
        ? `stays in the bootloader: ${event.reason}`
        : `runs ${event.version} from bank ${event.bank} (${event.mode}): ${event.reason}`;
    case 'boot-failed':
      return `${event.version} did not start`;
    case 'session':
      return undefined;
    case 'boot-refused':
      return `bank ${event.bank} must not start (${event.code}): ${event.reason}`;
    case 'metadata':
      return event.version === null
        ? 'metadata verified, there is nothing for this ECU in it'
        : `${event.version} is announced, its metadata is verified`;
    case 'first-image':
      return `${event.version} is announced as its first image`;
    case 'metadata-refused':
      return `metadata refused (${event.code}): ${event.reason}`;
    case 'image-refused':
      return `image refused (${event.code}): ${event.reason}`;
    case 'not-ready':
      return `refused: ${event.reason}`;
    case 'keys':
      return 'has made its own keys';
    case 'root':
      return `trusts ${event.file}`;
    case 'root-refused':
      return `does not trust ${event.reason}`;
    case 'locked':
      return `is ${event.serial} from now on; its readout is locked`;
    case 'erase':
      return `bank ${event.bank} is erased`;
    case 'resume':
      return `bank ${event.bank}: continues after ${formatBytes(event.received)}`;
    case 'progress':
      return event.received === event.size ? `${formatBytes(event.size)} received` : undefined;
    case 'check':
      return `bank ${event.bank}: ${event.passed ? 'correct' : 'WRONG'}, ${event.version}, sha256 ${event.sha256}`;
    case 'activate':
      return 'the next reset tries the new image';
    case 'confirm':
      return 'the new image is confirmed';
    case 'commit':
      return `refuses security counters below ${event.counter} from now on`;
    case 'rollback':
      return 'rolls back to the previous image';
    case 'reset':
      return RESETS[event.reason];
    case 'fault':
      return 'hangs until it is reset';
    case 'power-lost':
      return 'power lost';
    case 'failed':
      return `stopped: ${event.reason}`;
    case 'approval':
      return `approval ${event.status}`;
  }
}

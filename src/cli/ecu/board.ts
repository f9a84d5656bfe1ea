// `can-ota ecu` for a board with OpenBLT: the simulated board as a process, and what it tells.

import { builtInFactoryImage } from '../../../ecus/bootloader/factory/factory-image.ts';
import type { EcuFaults } from '../../../ecus/bootloader/faults.ts';
import type { CreateEcuOptions } from '../../../ecus/create-ecu.ts';
import { type BoardEvent, OpenbltBoard } from '../../../ecus/openblt/board.ts';
import type { CanBus } from '../../bus/can-bus.ts';
import { hexNumber } from '../../core/bytes.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { itemAt } from '../../core/present.ts';
import { formatBytes } from '../../core/units.ts';
import type { MemoryImage } from '../../image/memory-image.ts';
import { regionsOf } from '../../vehicle/memory.ts';
import type { VehicleEcu } from '../../vehicle/schema.ts';
import { announceReady, untilAborted } from '../context.ts';

interface BoardParts extends Pick<CreateEcuOptions, 'storage' | 'clock' | 'random' | 'faults'> {
  readonly bus: CanBus;
  readonly image: MemoryImage | undefined;
  readonly hasUpload: boolean;
}

/** Faults that a board can have. */
const FAULTS = {
  failWriteAt: 'fail-write',
  losePowerAfter: 'power-loss',
  refuseNewImage: 'refuse-boot',
  silent: 'silent',
  slowMs: 'slow',
  stuckAfter: 'stuck',
} as const satisfies Partial<Record<keyof EcuFaults, string>>;

/** Until Ctrl-C, or until the board has lost its power by a fault. Throws InputError for a fault that it cannot have. */
export async function runBoard(
  ecu: VehicleEcu,
  parts: BoardParts,
  context: Context,
  why: string,
): Promise<ExitCode> {
  const { name } = ecu;
  const { faults = {}, image, ...rest } = parts;
  const address = itemAt(regionsOf(ecu.memory), 0).address;
  const built = { segments: [{ address, bytes: builtInFactoryImage(name).image }] };
  if (Object.keys(faults).some((fault) => !(fault in FAULTS))) {
    const known = Object.values(FAULTS).join(', ');
    throw new InputError('--fault', `${name} is a board with OpenBLT, which has only ${known}`);
  }
  const board = await OpenbltBoard.start({
    ...{ ...rest, faults, ecu, logger: context.logger, factoryImage: image ?? built },
    onEvent: (event) => {
      context.emit({ ecu: name, ...event });
      context.say(`${name}: ${eventText(event)}`);
    },
  });
  context.say(`${name} (openblt) on ${why}; flash in ${rest.storage.location}; Ctrl-C ends`);
  announceReady();
  const end = await Promise.race([board.stopped, untilAborted(context.signal)]);
  board.close();
  return end === 'failed' ? ExitCode.ecuFailed : ExitCode.success;
}

function eventText(event: BoardEvent): string {
  switch (event.kind) {
    case 'boot-loader':
      return `its boot loader runs: ${event.reason}`;
    case 'application':
      return `runs ${event.version ?? 'an application without a version'}`;
    case 'erase':
      return `${formatBytes(event.size)} at ${hexNumber(event.address, 8)} are erased`;
    case 'programmed':
      return `${formatBytes(event.bytes)} programmed`;
    case 'power-lost':
      return 'power lost';
    case 'failed':
      return `stopped: ${event.reason}`;
  }
}

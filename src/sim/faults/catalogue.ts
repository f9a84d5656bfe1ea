// All faults by category. A new fault needs a row here and a module beside it; a fault listed twice is drawn twice as
// often.

import type { ChunkFault } from '../../contract/chunked/faults.ts';
import { itemAt } from '../../core/present.ts';
import type { Random } from '../../core/random.ts';
import type { EcuName } from '../machine-names.ts';
import { ATTACK_MODULES } from './attacker.ts';
import { away } from './away.ts';
import { babble } from './babble.ts';
import { failingSelfTest, refusedBoot } from './bad-image.ts';
import { busOff } from './bus-off.ts';
import { cancel } from './cancel.ts';
import { command } from './command.ts';
import { configure } from './configure.ts';
import { deaf } from './deaf.ts';
import { diskFull } from './disk-full.ts';
import { type Dimensions, Draw } from './draw.ts';
import { deny, later, laterIgnition, silence } from './driver-answer.ts';
import { EXCHANGE_MODULES } from './exchange.ts';
import type { FaultModule, FaultShape } from './fault.ts';
import { frameCorrupt, frameDrop, frameDuplicate } from './frame-noise.ts';
import {
  busy,
  deafAfterSession,
  lingers,
  noStart,
  refusesSession,
  slowReset,
  waits,
} from './other-make.ts';
import { powerCut } from './power-cut.ts';
import { resetLoop } from './reset-loop.ts';
import { rot } from './rot.ts';
import { secondTester } from './second-tester.ts';
import { serverPower } from './server-power.ts';
import { serverRestart } from './server-restart.ts';
import { deviceAway, deviceCut, deviceTorn } from './small-device.ts';
import { CHUNK_MODULES } from './spoilt-chunks.ts';
import { stuck } from './stuck.ts';
import { torn } from './torn.ts';
import { type Trigger, triggerText } from './trigger.ts';
import { troubleCode } from './trouble-code.ts';
import { lowBattery, moving } from './vehicle-condition.ts';
import { withdraw } from './withdraw.ts';
import { wrongAnswers } from './wrong-answers.ts';

const nothing = (): undefined => undefined;

const CATEGORIES = {
  power: choice(nothing, [powerCut]),
  bus: choice(
    (draw) => draw.trigger(),
    [
      ...[frameDrop, frameDuplicate, frameCorrupt],
      ...[frameDrop, frameDuplicate, frameCorrupt],
      ...[deaf, babble, busOff, secondTester],
    ],
  ),
  network: choice(nothing, [...EXCHANGE_MODULES, away, serverRestart]),
  disk: choice(nothing, [
    rot,
    ...times(
      3,
      choice(
        (draw) => {
          const machine = draw.machine();
          return { machine, at: draw.write(machine) };
        },
        [diskFull, torn],
      ),
    ),
  ]),
  ecu: choice(
    (draw) => draw.ecu(),
    [stuck, wrongAnswers, resetLoop, failingSelfTest, refusedBoot, troubleCode],
  ),
  driver: choice(nothing, [
    ...[deny, later, laterIgnition, silence],
    ...[withdraw, withdraw, cancel, cancel],
  ]),
  vehicle: choice(nothing, [moving, lowBattery]),
  services: choice((draw) => draw.trigger(), [...times(7, configure), ...times(13, command)]),
  backend: choice(nothing, CHUNK_MODULES),
  make: choice(nothing, [
    ...[refusesSession, busy, waits, deafAfterSession],
    ...[slowReset, lingers, noStart],
  ]),
  attacker: choice(nothing, [...ATTACK_MODULES, ...ATTACK_MODULES.slice(-1)]),
  server: choice(nothing, [serverPower]),
  device: choice(nothing, [deviceCut, deviceTorn, deviceAway]),
} as const;

export type FaultCategory = keyof typeof CATEGORIES;
export const FAULT_CATEGORIES = Object.keys(CATEGORIES) as readonly FaultCategory[];
export type Fault = ReturnType<(typeof CATEGORIES)[FaultCategory]['draw']>;

/** What a profile names: a category, or one of the deliberate faults of a backend. */
export type ProfileEntry = FaultCategory | ChunkFault;

type AnyModule = FaultModule<never, never>;
const MODULES: ReadonlyMap<string, AnyModule> = new Map(
  Object.values(CATEGORIES)
    .flatMap(({ modules }) => modules)
    .map((module) => [keyOf(module), module]),
);

/** Draws one fault of this category. `ecus`: the ECUs that the campaign updates; most faults concern them. */
export function drawFault(
  entry: ProfileEntry,
  random: Random,
  dimensions: Dimensions,
  ecus: readonly EcuName[],
): Fault {
  const draw = new Draw(random, dimensions, ecus);
  const single = CHUNK_MODULES.find(({ kind }) => kind === entry);
  return single?.draw(draw, undefined) ?? CATEGORIES[entry as FaultCategory].draw(draw);
}

/** The module that executes the fault. */
export function moduleOf(fault: Fault): FaultModule<Fault, never> {
  const module = MODULES.get(keyOf(fault));
  if (module === undefined) throw new Error(`there is no fault ${keyOf(fault)}`);
  return module as unknown as FaultModule<Fault, never>;
}

/** The fault as one line of text. */
export function faultText(fault: Fault): string {
  const { category, kind, ...facts } = fault;
  const details = Object.entries(facts).map(([name, value]) =>
    name === 'at'
      ? `at ${triggerText(value as Trigger)}`
      : `${name} ${Array.isArray(value) ? value.join('+') : String(value)}`,
  );
  return [`${category}: ${kind}`, ...details].join(', ');
}

interface Row<Given> {
  draw(draw: Draw, given: Given): FaultShape;
}

/** Draws one of the rows, all with the same chance; their common facts are drawn first. */
function choice<Given, R extends Row<Given>>(given: (draw: Draw) => Given, rows: readonly R[]) {
  return {
    modules: rows.flatMap((row): readonly AnyModule[] =>
      'modules' in row ? (row.modules as readonly AnyModule[]) : [row as unknown as AnyModule],
    ),
    draw(draw: Draw): ReturnType<R['draw']> {
      const shared = given(draw);
      // A single row needs no draw.
      const row = rows.length === 1 ? itemAt(rows, 0) : draw.oneOf(rows);
      return row.draw(draw, shared) as ReturnType<R['draw']>;
    },
  };
}

function times<R>(count: number, row: R): readonly R[] {
  return Array.from({ length: count }, () => row);
}

function keyOf({ category, kind }: { readonly category: string; readonly kind: string }): string {
  return `${category}/${kind}`;
}

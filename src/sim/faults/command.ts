// An operator orders a command of an ECU at any moment.

import { toHex } from '../../core/bytes.ts';
import { TMU } from '../simulated-vehicle.ts';
import { type FaultContext, faultModule } from './fault.ts';
import { askAsOperator } from './operator.ts';
import type { Trigger } from './trigger.ts';

export interface Command {
  readonly category: 'services';
  readonly kind: 'command';
  readonly at: Trigger;
  readonly action: 'calibrate' | 'setPowerLimit' | 'setFan';
  /** Value of the argument; some of the values are invalid for the ECU. */
  readonly value: number;
  /** Whether the order is sent a second time. */
  readonly twice: boolean;
  readonly expiresInS: number;
  readonly cancelAfterMs: number | null;
  /** Time from the begin of the next command until the TMU loses its power; null: no power cut. */
  readonly cutAfterMs: number | null;
}

/** How long the TMU stays off after a power cut in a command. */
const OFF_MS = 300;
const ARGUMENTS = { calibrate: undefined, setPowerLimit: 'power', setFan: 'duty' } as const;

export const command = faultModule<Command, Trigger>({
  category: 'services',
  kind: 'command',
  draw(draw, at) {
    const cut = draw.chance(0.5);
    return {
      category: 'services',
      kind: 'command',
      at,
      // The ECU counts runs of the calibration, so a second run shows.
      action: cut ? 'calibrate' : draw.oneOf(['calibrate', 'setPowerLimit', 'setFan']),
      value: draw.between(0, 110),
      twice: draw.chance(0.3),
      expiresInS: draw.between(1, 120),
      cancelAfterMs: draw.chance(0.2) ? draw.between(0, 10_000) : null,
      // The calibration takes most of a second.
      cutAfterMs: cut ? draw.between(0, 1000) : null,
    };
  },
  fire: (fault, context) => void order(fault, context),
});

async function order(fault: Command, context: FaultContext): Promise<void> {
  const { action, value, expiresInS, twice, cancelAfterMs, cutAfterMs } = fault;
  const path = `/commands/${context.vehicle.vin}`;
  if (cutAfterMs !== null) {
    context.onCommand(() => context.mend(cutAfterMs, () => context.cut([TMU], OFF_MS)));
  }
  const argument = ARGUMENTS[action];
  const order = {
    ...{ ecu: 'INV', action, expiresInS, priority: value % 10 },
    arguments: argument === undefined ? {} : { [argument]: value },
    key: toHex(context.random.bytes(8)),
  };
  const told = await askAsOperator(context, 'POST', path, order);
  if (twice) await askAsOperator(context, 'POST', path, order);
  const { id } = (told ?? {}) as { id?: string };
  if (id === undefined || cancelAfterMs === null) return;
  context.clock.after('operator', cancelAfterMs, () => {
    void askAsOperator(context, 'DELETE', `${path}/${id}`, {});
  });
}

// An ECU sends garbled answers, or negative ones for no reason.

import { byteAt, flipBits } from '../../core/bytes.ts';
import { testerAddresses } from '../../isotp/address.ts';
import { findEcu } from '../../vehicle/load.ts';
import type { EcuName } from '../machine-names.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface WrongAnswers {
  readonly category: 'ecu';
  readonly kind: 'wrong-answers';
  readonly at: Trigger;
  readonly ecu: EcuName;
  readonly answers: number;
}

export const wrongAnswers = faultModule<WrongAnswers, EcuName>({
  category: 'ecu',
  kind: 'wrong-answers',
  draw: (draw, ecu) => ({
    category: 'ecu',
    kind: 'wrong-answers',
    ecu,
    at: draw.trigger(),
    answers: draw.burst(),
  }),
  fire({ ecu, answers }, { vehicle, random, frames }) {
    const { rx } = testerAddresses(findEcu(vehicle.vehicle, ecu).address).physical;
    frames(answers, (frame, from) =>
      from === ecu && frame.id === rx.id
        ? { replaceBy: { ...frame, data: wrong(frame.data, random) } }
        : undefined,
    );
  },
});

/** A negative response to a request, random bytes otherwise. */
function wrong(data: Uint8Array, random: SeededRandom): Uint8Array {
  const changed = data.slice();
  const isSingle = data.length > 2 && byteAt(data, 0) >> 4 === 0;
  if (isSingle && random.fraction() < 0.5) {
    changed.set([0x03, 0x7f, byteAt(data, 1) - 0x40, 0x22].slice(0, data.length));
    return changed;
  }
  const at = Math.floor(random.fraction() * data.length);
  if (data.length > 0) flipBits(changed, at, 1 + Math.floor(random.fraction() * 255));
  return changed;
}

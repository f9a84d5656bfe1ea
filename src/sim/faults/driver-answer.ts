// The driver's answer to the first question of the campaign, in place of an approval.

import type { DriverChoice } from '../driver-model.ts';
import { type FaultModule, faultModule } from './fault.ts';

export interface DriverAnswerFault {
  readonly category: 'driver';
  readonly kind: 'deny' | 'later' | 'later-ignition' | 'silence';
  readonly afterMs: number;
}

type Choose = (afterMs: number) => DriverChoice;

export const deny = driverAnswer('deny', (afterMs) => ({ answer: 'deny', afterMs }));
export const later = driverAnswer('later', (afterMs) => ({ answer: 'later', minutes: 5, afterMs }));
export const laterIgnition = driverAnswer('later-ignition', (afterMs) => ({
  answer: 'later-ignition',
  afterMs,
}));
export const silence = driverAnswer('silence', () => ({ answer: 'silence' }));

function driverAnswer(
  kind: DriverAnswerFault['kind'],
  choose: Choose,
): FaultModule<DriverAnswerFault> {
  return faultModule<DriverAnswerFault>({
    category: 'driver',
    kind,
    draw: (draw) => ({ category: 'driver', kind, afterMs: draw.between(0, 20_000) }),
    begin: ({ afterMs }, context) => context.answer(choose(afterMs)),
  });
}

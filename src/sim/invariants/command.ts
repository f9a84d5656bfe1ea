// Compares what commands have really done with their states.

import type { CommandRow, ServicesFacts } from '../services-facts.ts';
import { invariant } from './invariant.ts';

export const command = invariant({
  name: 'command',
  says: 'a command runs once, and its state says whether it did',
  watch: () => ({
    services({ facts }, _step, broken) {
      for (const text of commandFaults(facts)) broken(text);
    },
  }),
});

export function* commandFaults({ commands, inverter }: ServicesFacts): Generator<string> {
  for (const { id, state, runs } of commands) {
    if (runs > 1 || (state === 'completed' && runs !== 1)) {
      yield `command ${id} is ${state} after ${runs} runs`;
    }
  }
  const calibrations = commands.filter(({ action }) => action === 'calibrate');
  const done = calibrations.filter(({ state }) => state === 'completed').length;
  const perhaps = calibrations.filter(({ code }) => code === 'IN_DOUBT').length;
  const { calibrations: really } = inverter;
  if (really < done || really > done + perhaps) {
    yield `INV was calibrated ${really} times, ${done} commands say that it was, ${perhaps} that it may have been`;
  }
  yield* powerLimitFaults(
    commands.filter(({ action }) => action === 'setPowerLimit'),
    inverter.powerLimit,
  );
}

/** The last command that was done counts, unless a later one may have been done, too. */
function* powerLimitFaults(commands: readonly CommandRow[], held: number): Generator<string> {
  const told = commands
    .filter(({ state, code }) => state === 'completed' || code === 'IN_DOUBT')
    .sort((a, b) => ((a.vehicle_at ?? '') < (b.vehicle_at ?? '') ? -1 : 1));
  const last = told.findLastIndex(({ state }) => state === 'completed');
  if (last < 0) return;
  const possible = told.slice(last).map((row) => {
    const { power } = JSON.parse(row.arguments) as { power: number };
    return Math.round(power * 10);
  });
  if (!possible.includes(held)) {
    yield `INV is limited to ${held / 10} kW, ordered were ${possible.map((value) => value / 10).join(' or ')}`;
  }
}

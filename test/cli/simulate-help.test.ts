// The help of `simulate` does not load the simulation.

import { Command } from 'commander';
import { expect, it } from 'vitest';
import { addSimulate } from '../../src/cli/simulate/options.ts';
import { FAULT_CATEGORIES } from '../../src/sim/faults/catalogue.ts';

it('names every category of faults', () => {
  const program = new Command();
  addSimulate(program);
  const option = program.commands[0]!.options.find(({ long }) => long === '--faults');
  expect(option!.description).toBe(`none, all, or a list of ${FAULT_CATEGORIES.join(', ')}`);
});

// The faults of a simulated ECU as they are written on the command line.

import { expect, it } from 'vitest';
import { parseFaults } from '../../src/cli/ecu/ecu.ts';
import { InputError } from '../../src/core/errors.ts';

it('faults are read one by one', () => {
  expect(parseFaults(['hot', 'slow=20', 'reset-loop=2'])).toEqual({
    hot: true,
    slowMs: 20,
    resetLoop: { times: 2, everyMs: 3000 },
  });
});

it.each(['cold', 'slow', 'slow=-1', 'hardware-id', 'chip-id=12'])('%s is refused', (text) => {
  expect(() => parseFaults([text])).toThrow(InputError);
});

it('what there is, is listed', () => {
  expect(() => parseFaults(['cold'])).toThrow(/cold is none of .* reset-loop=TIMES hot garbage=/);
});

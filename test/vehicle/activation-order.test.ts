// The order of activation: by `order`, but never before what an ECU depends on.

import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/core/errors.ts';
import { activationOrder } from '../../src/vehicle/load.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';

/** Names in the order of the file, each with its `order` and what it depends on. */
function orderOf(...ecus: readonly (readonly [string, number, ...string[]])[]): string {
  const vehicle = vehicleSchema.parse({
    vin: '1CANXTABENCH00001',
    buses: { main: {} },
    ecus: ecus.map(([name, order, ...dependsOn], index) => ({
      ...{ name, order, dependsOn, hardwareId: 'HW' },
      address: {
        ...{ mode: 'normal', functional: 0x7df },
        ...{ request: 0x600 + index, response: 0x640 + index },
      },
    })),
  });
  return activationOrder(vehicle)
    .map(({ name }) => name)
    .join(' ');
}

describe('the order of activation', () => {
  it('is that of `order`', () => {
    expect(orderOf(['A', 3], ['B', 1], ['C', 2])).toBe('B C A');
  });

  it('puts each ECU behind those that it depends on', () => {
    expect(orderOf(['A', 1], ['B', 2, 'C'], ['C', 3])).toBe('A C B');
    expect(orderOf(['A', 1, 'C'], ['B', 2], ['C', 3])).toBe('B C A');
    expect(orderOf(['A', 1, 'B', 'C'], ['B', 2, 'C'], ['C', 3], ['D', 4])).toBe('C B A D');
  });

  it('goes back to the smallest `order` after each one', () => {
    expect(orderOf(['A', 1, 'B'], ['B', 2], ['C', 3])).toBe('B A C');
  });

  it('does not exist in a circle, however long', () => {
    expect(() => orderOf(['A', 1, 'B'], ['B', 2, 'C'], ['C', 3, 'A'], ['D', 4])).toThrow(
      InputError,
    );
  });
});

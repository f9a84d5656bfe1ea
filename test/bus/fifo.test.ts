// The queue behind every node of a wire, against an array.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Fifo } from '../../src/bus/fifo.ts';

it('does what an array does, over many lengths', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.constant('push' as const) },
    { weight: 1, arbitrary: fc.constant('unshift' as const) },
    { weight: 4, arbitrary: fc.constant('shift' as const) },
    { weight: 1, arbitrary: fc.constant('shift much' as const) },
    { weight: 1, arbitrary: fc.constant('push much' as const) },
    { arbitrary: fc.constant('drain' as const), weight: 1 },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const fifo = new Fifo<number>();
      const array: number[] = [];
      let next = 0;
      const times = { push: 1, unshift: 1, shift: 1, drain: 1, 'push much': 20, 'shift much': 30 };
      for (const what of steps) {
        for (let time = 0; time < times[what]; time++) {
          if (what === 'push' || what === 'push much') {
            fifo.push(next);
            array.push(next++);
          } else if (what === 'unshift') {
            fifo.unshift(next);
            array.unshift(next++);
          } else if (what === 'drain') expect(fifo.drain()).toEqual(array.splice(0));
          else expect(fifo.shift()).toBe(array.shift());
        }
        expect(fifo.length).toBe(array.length);
        expect(fifo.peek()).toBe(array[0]);
      }
      expect(fifo.drain()).toEqual(array);
    }),
  );
});

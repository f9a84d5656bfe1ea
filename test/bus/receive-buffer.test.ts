// Frames that a receive buffer holds, by the kernel's setting.

import { expect, it } from 'vitest';
import { bufferedFrames, receiveBurst } from '../../src/bus/receive-buffer.ts';

it.each([
  ['212992', 278],
  ['16777216', 21_902],
  [undefined, 278], // no such file in this kernel
  ['', 278],
])('rmem_default %s keeps %i frames', (text, frames) => {
  expect(bufferedFrames(text)).toBe(frames);
});

it('a burst is what is left beside echoes and others', () => {
  expect(receiveBurst()).toBe(Math.floor(bufferedFrames() / 2));
});

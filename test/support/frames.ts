// Arbitrary CAN frames for property tests.

import fc from 'fast-check';
import { type CanFrame, FD_LENGTHS } from '../../src/bus/can-frame.ts';

const identifier = fc.boolean().chain((extended) =>
  fc.record({
    extended: fc.constant(extended),
    id: fc.integer({ min: 0, max: extended ? 0x1fffffff : 0x7ff }),
  }),
);

/** Runs of equal bits are where stuffing happens: half of the bytes are 00 or FF. */
const byte = fc.oneof(fc.constantFrom(0x00, 0xff), fc.integer({ min: 0, max: 255 }));

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.array(byte, { minLength: length, maxLength: length }).map((values) => Uint8Array.from(values));

/** CAN 2.0 data and remote frames and CAN FD frames, without fault. */
export const anyFrame: fc.Arbitrary<CanFrame> = fc.oneof(
  fc
    .tuple(identifier, fc.integer({ min: 0, max: 8 }).chain(bytes))
    .map(([id, data]) => ({ ...id, data, fd: false, brs: false, remote: false })),
  identifier.map((id) => ({
    ...id,
    data: new Uint8Array(0),
    fd: false,
    brs: false,
    remote: true,
  })),
  fc
    .tuple(identifier, fc.constantFrom(...FD_LENGTHS).chain(bytes), fc.boolean())
    .map(([id, data, brs]) => ({ ...id, data, fd: true, brs, remote: false })),
);

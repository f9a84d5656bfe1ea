// What every codec of a service keeps: no bytes make it throw, and a foreign service is refused.

import fc from 'fast-check';
import { expect } from 'vitest';
import { toHex } from '../../../src/core/bytes.ts';
import { isMalformed, type Malformed } from '../../../src/uds/codec.ts';
import { Nrc } from '../../../src/uds/nrc.ts';

/** Bytes that often begin like a message of the service. */
function messageOf(sid: number): fc.Arbitrary<Uint8Array> {
  return fc
    .uint8Array({ maxLength: 40 })
    .chain((rest) => fc.constantFrom(Uint8Array.of(sid, ...rest), rest));
}

export function checkRobustness(codec: {
  readonly sid: number;
  readonly decodeRequest: (bytes: Uint8Array) => object | Nrc;
  readonly decodeResponse: (bytes: Uint8Array) => object | Malformed;
}): void {
  const { sid, decodeRequest, decodeResponse } = codec;
  fc.assert(
    fc.property(messageOf(sid), (bytes) => {
      const request = decodeRequest(bytes);
      if (bytes[0] !== sid) expect(request).toBe(Nrc.serviceNotSupported);
    }),
  );
  fc.assert(
    fc.property(messageOf(sid + 0x40), (bytes) => {
      const response = decodeResponse(bytes);
      if (bytes[0] !== sid + 0x40) expect(isMalformed(response)).toBe(true);
    }),
  );
}

/** Hexadecimal text with capital letters, as the standard prints it. */
export function hex(bytes: Uint8Array): string {
  return (toHex(bytes).toUpperCase().match(/../g) ?? []).join(' ');
}

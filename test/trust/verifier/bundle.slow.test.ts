// The metadata that travels over the bus, with one byte changed anywhere.

import { describe, expect, it } from 'vitest';
import { anchors, BOTH, check, pack, vehicle } from './bundle-support.ts';

describe.each(BOTH)('an ECU with %s verification', (verification) => {
  it('refuses a bundle with any one byte of what was signed changed', () => {
    const mock = vehicle();
    const ecu = anchors(mock);
    mock.director.rotate('root');
    const whole = pack(mock, ecu, verification);
    for (const repository of ['director', 'images'] as const) {
      for (const [name, bytes] of whole[repository]) {
        const start = new TextDecoder().decode(bytes).indexOf('"signed"');
        for (let at = start; at < bytes.length; at += 17) {
          const files = new Map([...whole[repository], [name, bytes.with(at, bytes[at]! ^ 1)]]);
          const verdict = check(ecu, verification, { ...whole, [repository]: files });
          expect(verdict.ok, `${repository} ${name} byte ${at}`).toBe(false);
        }
      }
    }
  });
});

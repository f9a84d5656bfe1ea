// The canonical form to the byte, and everything that is not it.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { asciiBytes, concatBytes, fromHex } from '../../src/core/bytes.ts';
import {
  canonicalDigest,
  canonicalPayload,
  readCanonical,
  readSegmentMap,
} from '../../src/image/canonical.ts';
import { readIntelHex } from '../../src/image/formats/intel-hex.ts';
import { readSRecord } from '../../src/image/formats/s-record.ts';
import { hexLine, lines, refusal, shown, sLine } from './support.ts';

const MAGIC = asciiBytes('can-ota segments');
const IMAGE = {
  segments: [
    { address: 0x0800_0000, bytes: fromHex('010203') },
    { address: 0x0801_0000, bytes: fromHex('AABB') },
  ],
};
const PAYLOAD = concatBytes(
  MAGIC,
  fromHex('00000002 0800000000000003 0801000000000002 010203AABB'),
);

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const payload = (rest: string): Uint8Array => concatBytes(MAGIC, fromHex(rest));

function mapOf(bytes: Uint8Array) {
  const asked: [number, number][] = [];
  const read = (offset: number, length: number): Promise<Uint8Array> => {
    asked.push([offset, length]);
    return Promise.resolve(bytes.subarray(offset, offset + length));
  };
  return readSegmentMap(read, bytes.length).then((result) => ({ result, asked }));
}

describe('canonical form', () => {
  it('of one segment is its bytes', () => {
    const image = { segments: [{ address: 0x0800_0000, bytes: fromHex('010203') }] };
    expect(canonicalPayload(image)).toBe(image.segments[0]?.bytes);
    expect(canonicalDigest(image)).toBe(sha256(fromHex('010203')));
    expect(readCanonical(fromHex('010203'))).toBeUndefined();
  });

  it('of several segments has magic, table and data', () => {
    expect(Buffer.from(canonicalPayload(IMAGE)).equals(PAYLOAD)).toBe(true);
    expect(canonicalDigest(IMAGE)).toBe(sha256(PAYLOAD));
    expect(shown({ image: readCanonical(PAYLOAD) ?? { segments: [] } })).toEqual(
      shown({ image: IMAGE }),
    );
  });

  it('is the same for Intel HEX and S-records of one build', () => {
    const hex = lines(
      hexLine('020000040800'),
      hexLine('03000000010203'),
      hexLine('020000040801'),
      hexLine('02000000AABB'),
      ':00000001FF',
    );
    const srec = lines(sLine(3, '08010000AABB'), sLine(3, '08000000010203'), 'S70500000000FA');
    expect(canonicalDigest(readIntelHex(hex, 'a').image)).toBe(sha256(PAYLOAD));
    expect(canonicalDigest(readSRecord(srec, 'b').image)).toBe(sha256(PAYLOAD));
  });

  it('is told by its head alone', async () => {
    expect(await mapOf(PAYLOAD)).toEqual({
      result: {
        ok: true,
        map: {
          segments: [
            { address: 0x0800_0000, length: 3 },
            { address: 0x0801_0000, length: 2 },
          ],
          dataOffset: 36,
        },
      },
      asked: [
        [0, 20],
        [20, 16],
      ],
    });
    expect((await mapOf(fromHex('010203'))).result).toBeUndefined();
    expect((await mapOf(MAGIC.subarray(0, 15))).result).toBeUndefined();
  });

  it('cannot be data of one segment', () => {
    const image = { segments: [{ address: 0, bytes: concatBytes(MAGIC, fromHex('00')) }] };
    expect(refusal(() => canonicalPayload(image))).toContain('begin with "can-ota segments"');
    expect(refusal(() => canonicalDigest(image))).toContain('begin with "can-ota segments"');
  });

  it.each([
    ['no count', '0000', 'it ends within the number of segments'],
    ['no segments', '00000000', 'it has 0 segments'],
    ['one segment', '00000001 0000000000000001 AA', 'it has 1 segments'],
    ['too many', 'FFFFFFFF', 'it has 4294967295 segments'],
    ['a cut table', '00000002 0000000000000001', 'its table of 2 segments is cut off'],
    [
      'an empty segment',
      '00000002 0000000000000000 0000001000000001 AA',
      'segment 1 at 0x00000000 has no bytes',
    ],
    [
      'a falling order',
      '00000002 0000001000000001 0000000000000001 AABB',
      'segment 2 at 0x00000000 does not lie behind',
    ],
    [
      'an overlap',
      '00000002 0000000000000002 0000000100000001 AABBCC',
      'segment 2 at 0x00000001 does not lie behind',
    ],
    [
      'adjacent segments',
      '00000002 0000000000000001 0000000100000001 AABB',
      'segment 2 at 0x00000001 does not lie behind',
    ],
    [
      'an end beyond 32 bits',
      '00000002 0000000000000001 FFFFFFFF00000002 AABBCC',
      'segment 2 at 0xFFFFFFFF ends behind',
    ],
    [
      'a byte too few',
      '00000002 0000000000000001 0000001000000002 AABB',
      'its segments have 3 bytes, the payload has 2',
    ],
    [
      'a byte too many',
      '00000002 0000000000000001 0000001000000001 AABBCC',
      'its segments have 2 bytes, the payload has 3',
    ],
  ])('with %s is refused', async (_name, rest, reason) => {
    const bytes = payload(rest);
    expect((await mapOf(bytes)).result).toMatchObject({
      ok: false,
      reason: expect.stringContaining(reason),
    });
    expect(refusal(() => readCanonical(bytes))).toContain(`segment map: ${reason}`);
  });
});

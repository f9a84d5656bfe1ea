// Uploads of flash files: what is stored has the digest that the release of the same build signs.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { canonicalPayload } from '../../src/image/canonical.ts';
import { writeIntelHex } from '../../src/image/formats/intel-hex.ts';
import { writeSRecord } from '../../src/image/formats/s-record.ts';
import type { MemoryImage } from '../../src/image/memory-image.ts';
import { startBackend } from './support.ts';

const GAPS: MemoryImage = {
  segments: [
    { address: 0x0800_0000, bytes: Uint8Array.from({ length: 300 }, (_, at) => at) },
    { address: 0x0801_0000, bytes: Uint8Array.of(0xa5, 0x5a) },
  ],
};
const ONE: MemoryImage = { segments: GAPS.segments.slice(0, 1) };

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('a flash file', () => {
  it.each([
    ['edt.hex', GAPS, writeIntelHex],
    ['edt.srec', GAPS, writeSRecord],
    ['edt.bin', GAPS, writeSRecord],
    ['edt.hex', ONE, writeIntelHex],
  ] as const)('%s is stored in its canonical form', async (fileName, memory, write) => {
    const backend = await startBackend();
    const admin = await backend.login();
    const image = Buffer.concat([...write(memory, null)]);
    const reply = await admin.upload({ ecu: 'EDT', version: '2.0.0', image, fileName });
    const payload = canonicalPayload(memory);
    expect([reply.status, reply.json.sha256, reply.json.size]).toEqual([
      201,
      sha256(payload),
      payload.length,
    ]);
    const stored = await fs.readFile(path.join(backend.dataDir, 'images', sha256(payload)));
    expect(stored).toEqual(Buffer.from(payload));
    expect(await fs.readdir(path.join(backend.dataDir, 'incoming'))).toEqual([]);
    // The other format of the same build is the same release.
    const other = write === writeIntelHex ? writeSRecord : writeIntelHex;
    const again = await admin.upload({
      ...{ ecu: 'EDT', version: '2.0.0', fileName: 'again' },
      image: Buffer.concat([...other(memory, null)]),
    });
    expect([again.status, again.json.created]).toEqual([200, false]);
  });

  it.each([
    ['damaged', Buffer.from(':10000000000102\n'), 'line 1'],
    ['a picture', Buffer.from('\x89PNG\r\n\x1a\n0000000000000', 'latin1'), 'is a PNG picture'],
    ['text', Buffer.from('one\ntwo\n'), '--raw'],
    ['the stored form', canonicalPayload(GAPS), 'name the file that it was made of'],
  ])('that is %s is refused with its kind', async (_what, image, text) => {
    const backend = await startBackend();
    const admin = await backend.login();
    const reply = await admin.upload({ ecu: 'EDT', version: '2.0.0', image, fileName: 'edt.x' });
    expect([reply.status, reply.json.code]).toEqual([400, 'IMAGE_FORMAT']);
    expect(reply.json.detail).toContain(text);
    for (const folder of ['images', 'incoming']) {
      expect(await fs.readdir(path.join(backend.dataDir, folder))).toEqual([]);
    }
  });

  it('that is said to be raw is stored as it is, but no broken segment map', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    const text = Buffer.concat([...writeIntelHex(ONE, null)]);
    const fields = { ecu: 'EDT', version: '1.0.0', raw: 'yes' };
    const raw = await admin.upload({ ...fields, image: text });
    expect([raw.status, raw.json.sha256]).toEqual([201, sha256(text)]);
    const map = await admin.upload({ ...fields, version: '2.0.0', image: canonicalPayload(GAPS) });
    expect(map.status).toBe(201);
    const cut = canonicalPayload(GAPS).subarray(0, 100);
    const broken = await admin.upload({ ...fields, version: '3.0.0', image: cut });
    expect([broken.status, broken.json.code]).toEqual([400, 'IMAGE_FORMAT']);
    expect(broken.json.detail).toContain('segment map: ');
  });
});

// The table of attacks: an image on its way into an ECU, in plain and encrypted.

import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { concatBytes, toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { BLOCK_BYTES, HEADER_BYTES, TAG_BYTES } from '../../src/trust/image-encryption.ts';
import { AttackedEcu, nrcOf } from '../support/attack-ecu.ts';
import { encryptedFor, imageOf, order } from '../support/attack-repositories.ts';
import { attacksOn } from '../support/attack-table.ts';
import { BANK_ADDRESS, checkRequest, digestOf, downloadRequest } from '../support/ecu-bench.ts';
import { mockRepositories } from '../support/mock-repositories.ts';

const attack = attacksOn('CAN bus');

attack(
  {
    name: 'other bytes than signed',
    has: 'a node between TMU and ECU, in a session that the TMU has unlocked',
    does: 'lets the metadata through, and sends other bytes of the same length',
    vehicle: 'hashes what is in the bank, never counts it as an image, and starts what it ran',
    code: 'IMAGE_MISMATCH',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    const { bench } = ecu;
    await ecu.unlock();
    ecu.release(ecu.honest, '3.0.0');
    expect(await bench.sendFile('metadata.json', await ecu.bundle())).toBe('77');
    const malware = imageOf('EDT', 'malware');
    await bench.transfer(malware);
    // He may say what hash he wants.
    expect(await bench.ask(checkRequest(malware))).toBe('7101020201');
    // Even the TMU itself does not get it started.
    const sha256 = toHex(digestOf(malware));
    expect(await bench.order('activate', { sha256 })).toBe('7F3122');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    const { attack: code } = await ecu.report();
    await ecu.recovers();
    return code;
  },
);

for (const name of ['sha384', 'sha512'] as const) {
  attack(
    {
      name: `other bytes of the same SHA-256, another ${name}`,
      has: 'a node between TMU and ECU, and a second image with the SHA-256 of the signed one',
      does: 'lets the metadata through, and sends that image',
      vehicle: 'checks every hash that is listed, not SHA-256 alone (Uptane 5.4.3.2)',
      code: 'IMAGE_MISMATCH',
    },
    async () => {
      const ecu = await AttackedEcu.start('EDT');
      const { bench } = ecu;
      await ecu.unlock();
      // Nobody has such an image: so it is the signed image whose other hash is another one here.
      const other = createHash(name).update(imageOf('EDT', 'malware')).digest('hex');
      const { image } = ecu.release(ecu.honest, '3.0.0', { hashes: { [name]: other } });
      expect(await bench.sendFile('metadata.json', await ecu.bundle())).toBe('77');
      await bench.transfer(image);
      expect(await bench.ask(checkRequest(image))).toBe('7101020201');
      expect(await bench.order('activate', { sha256: toHex(digestOf(image)) })).toBe('7F3122');
      await bench.reset();
      expect(await bench.text('F195')).toBe('2.0.0');
      const { attack: code } = await ecu.report();
      // With the right one it is the image.
      const right = createHash(name).update(imageOf('EDT', '4.0.0')).digest('hex');
      const next = ecu.release(ecu.honest, '4.0.0', { hashes: { [name]: right } });
      await ecu.unlock();
      expect(await bench.sendFile('metadata.json', await ecu.bundle({ laterMs: 1000 }))).toBe('77');
      await bench.transfer(next.image);
      expect(await bench.ask(checkRequest(next.image))).toBe('7101020200');
      ecu.honest.skip(1000);
      await ecu.recovers();
      return code;
    },
  );
}

for (const [what, size] of [
  ['shorter', 2999],
  ['longer', 3001],
] as const) {
  attack(
    {
      name: `${what} image than signed`,
      has: 'a node between TMU and ECU, in a session that the TMU has unlocked',
      does: `announces a ${what} image than the one that was signed`,
      vehicle: 'takes the signed length and no other one',
      code: 'NRC 31',
    },
    async () => {
      const ecu = await AttackedEcu.start('EDT');
      await ecu.unlock();
      ecu.release(ecu.honest, '3.0.0');
      expect(await ecu.bench.sendFile('metadata.json', await ecu.bundle())).toBe('77');
      await ecu.bench.expect('3101FF00');
      const answer = await ecu.bench.ask(downloadRequest(size));
      await ecu.recovers();
      return nrcOf(answer);
    },
  );
}

/** A release for EDT that must come encrypted, accepted and erased for; and its blob. */
async function awaitingBlob() {
  const ecu = await AttackedEcu.start('EDT');
  const { bench, honest } = ecu;
  const image = seededRandom(31).bytes(3 * BLOCK_BYTES + 100);
  const release = honest.release('EDT', {
    version: '3.0.0',
    releaseCounter: 3,
    image,
    encrypt: true,
  });
  const { blob, encryption } = await encryptedFor('EDT', release);
  order(honest, 'EDT', release, { encryption });
  await ecu.unlock();
  expect(await bench.sendFile('metadata.json', await ecu.bundle())).toBe('77');
  await bench.expect('3101FF00');
  const start = downloadRequest(image.length, BANK_ADDRESS, 0x01);
  return { ecu, bench, image, release, blob, start };
}

type Awaiting = Awaited<ReturnType<typeof awaitingBlob>>;

const blockAt = (index: number): number => HEADER_BYTES + index * (BLOCK_BYTES + TAG_BYTES);

function pieces(blob: Uint8Array, ...order: readonly (readonly [number, number])[]): Uint8Array {
  return concatBytes(...order.map(([from, to]) => blob.subarray(from, to)));
}

const blobs: readonly (readonly [
  what: string,
  does: string,
  forge: (at: Awaiting) => Promise<Uint8Array> | Uint8Array,
])[] = [
  [
    'changed',
    'changes one byte in the middle of it',
    ({ blob }) => blob.map((byte, index) => (index === blockAt(1) + 7 ? byte ^ 1 : byte)),
  ],
  [
    'with blocks swapped',
    'sends the second block before the first one',
    ({ blob }) =>
      pieces(
        blob,
        [0, blockAt(0)],
        [blockAt(1), blockAt(2)],
        [blockAt(0), blockAt(1)],
        [blockAt(2), blob.length],
      ),
  ],
  [
    'with a block twice',
    'sends the first block twice, and leaves the second one out',
    ({ blob }) =>
      pieces(blob, [0, blockAt(1)], [blockAt(0), blockAt(1)], [blockAt(2), blob.length]),
  ],
  [
    'for another ECU',
    'sends the blob that was made for INV',
    async ({ release }) => (await encryptedFor('INV', release)).blob,
  ],
  [
    'of another image',
    'sends the blob of an older release of the same length for this ECU',
    async ({ image }) => {
      const older = mockRepositories().release('EDT', {
        version: '1.0.0',
        image: image.map((byte) => byte ^ 0xff),
      });
      return (await encryptedFor('EDT', older)).blob;
    },
  ],
  [
    'of two blobs',
    'puts the first block of one blob before the rest of another one of the same image',
    async ({ blob, release }) => {
      const other = (await encryptedFor('EDT', release, 2)).blob;
      return concatBytes(blob.subarray(0, blockAt(1)), other.subarray(blockAt(1)));
    },
  ],
  [
    'with the plain image in it',
    'sends a right header, and behind it malware in plain',
    ({ blob }) =>
      concatBytes(
        blob.subarray(0, HEADER_BYTES),
        seededRandom(66).bytes(blob.length - HEADER_BYTES),
      ),
  ],
];

for (const [what, does, forge] of blobs) {
  attack(
    {
      name: `encrypted image ${what}`,
      has: 'a node between TMU and ECU, in a session that the TMU has unlocked',
      does,
      vehicle: 'stops at the first wrong block; the bank stays invalid, and it starts what it ran',
      code: 'IMAGE_MISMATCH',
    },
    async () => {
      const at = await awaitingBlob();
      const { ecu, bench, start } = at;
      const forged = await forge(at);
      expect(forged.length).toBe(at.blob.length);
      await bench.expect(start);
      let answer = '';
      for (let offset = 0, counter = 1; !answer.startsWith('7F'); counter++) {
        const block = forged.subarray(offset, offset + 4000);
        if (block.length === 0) throw new Error('the whole blob was taken');
        answer = await bench.ask(concatBytes(Uint8Array.of(0x36, counter), block));
        offset += block.length;
      }
      expect(answer).toBe('7F3672');
      expect(await bench.ask('37')).toBe('7F3724');
      expect(await bench.ask('22FD02')).toBe('7F2231'); // no image to activate
      await bench.reset();
      expect(await bench.text('F195')).toBe('2.0.0');
      const { attack: code } = await ecu.report();
      await ecu.recovers();
      return code;
    },
  );
}

attack(
  {
    name: 'encrypted image cut',
    has: 'a node between TMU and ECU, in a session that the TMU has unlocked',
    does: 'ends the transfer one block early',
    vehicle: 'knows how long the blob is, and does not finish',
    code: 'NRC 24',
  },
  async () => {
    const { ecu, bench, blob, start } = await awaitingBlob();
    await bench.expect(start);
    await bench.sendBlocks(blob.subarray(0, blockAt(3)));
    const answer = await bench.ask('37');
    expect(await bench.ask('22FD02')).toBe('7F2231'); // no image to activate
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    await ecu.recovers();
    return nrcOf(answer);
  },
);

attack(
  {
    name: 'encrypted image extended',
    has: 'a node between TMU and ECU, in a session that the TMU has unlocked',
    does: 'sends bytes of his own behind the last block',
    vehicle: 'takes none beyond the announced length, and writes none of them',
    code: 'NRC 24',
  },
  async () => {
    const { ecu, bench, blob, start, image } = await awaitingBlob();
    await bench.expect(start);
    await bench.sendBlocks(blob);
    const counter = Math.ceil(blob.length / 4093) + 1;
    const answer = await bench.ask(concatBytes(Uint8Array.of(0x36, counter), new Uint8Array(50)));
    await bench.expect('37');
    expect(await bench.ask(checkRequest(image))).toBe('7101020200');
    await ecu.recovers();
    return nrcOf(answer);
  },
);

attack(
  {
    name: 'plain image where an encrypted one is wanted',
    has: 'a node between TMU and ECU, in a session that the TMU has unlocked, and the plain image',
    does: 'offers it in plain, so that everybody on the bus can read it',
    vehicle: 'takes it encrypted, as it was released, or not at all',
    code: 'NRC 31',
  },
  async () => {
    const { ecu, bench, image } = await awaitingBlob();
    const answer = await bench.ask(downloadRequest(image.length));
    await ecu.recovers();
    return nrcOf(answer);
  },
);

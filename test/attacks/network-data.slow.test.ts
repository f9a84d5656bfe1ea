// The table of attacks: whoever sits between the vehicle and its backend, and sends too slowly, too much, or other bytes.

import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { always } from '../support/attack-backend.ts';
import { pour } from '../support/attack-http.ts';
import { imageOf } from '../support/attack-repositories.ts';
import { fileOf, onSocket, SPOILT, spoiling, UNAVAILABLE } from '../support/attack-spoiling.ts';
import { attacksOn } from '../support/attack-table.ts';
import { AttackedVehicle } from '../support/attack-vehicle.ts';
import type { DownloadFault } from '../tmu/support.ts';
import type { Fault } from '../tmu/uptane/support.ts';

const attack = attacksOn('network');

// ---- slow retrieval ----

const slow: readonly (readonly [file: string, fault: Fault, how: string])[] = [
  ['director 2.root.json', 'stall', 'sends the head of an answer and then nothing'],
  ['director timestamp.json', 'drip', 'sends a byte every half second'],
  ['director snapshot.json', 'drip', 'sends a byte every half second'],
  ['director targets.json', 'drip', 'sends a byte every half second'],
  ['images timestamp.json', 'stall', 'sends the head of an answer and then nothing'],
  ['images targets.json', 'drip', 'sends a byte every half second'],
];

function slowDown(w: AttackedVehicle, file: string, fault: Fault): void {
  if (file.endsWith('root.json')) w.honest.director.newRoot();
  w.backend.faults.set(w.nameOnNetwork(file), always(fault));
}

for (const [file, fault, how] of slow) {
  attack(
    {
      name: `slow retrieval, ${file}`,
      has: 'the network',
      does: `${how}, without end, so that no time-out of a connection helps`,
      vehicle: 'wants a least pace, tries again, and gives up within two minutes',
      code: 'SLOW_RETRIEVAL',
    },
    () =>
      spoiling((w) => slowDown(w, file, fault), {
        trusted: file.startsWith('images') ? 'may move on' : 'unchanged',
        check: (w, startMs) => expect(w.clock.nowMs() - startMs).toBeLessThan(120_000),
      }),
  );
}

attack(
  {
    name: 'slow retrieval on a socket',
    has: 'the network',
    does: 'holds a real connection open and sends a byte now and then',
    vehicle: 'wants a least pace, and closes the connection',
    code: 'SLOW_RETRIEVAL',
  },
  async () => {
    let open = 0;
    const { code } = await onSocket(
      (request, response) => {
        if (!request.url!.endsWith('/timestamp.json')) return false;
        open++;
        const timer = setInterval(() => response.write(' '), 10);
        response.on('close', () => {
          open--;
          clearInterval(timer);
        });
        return true;
      },
      {
        prepare: (w) => {
          w.limits = { stallMs: 80, leastBytes: 1000 };
        },
      },
    );
    await expect.poll(() => open).toBe(0);
    return code;
  },
);

attack(
  {
    name: 'slow retrieval of an image',
    has: 'the network',
    does: 'sends the image so slowly that it would take days',
    vehicle: 'wants a least pace; a campaign is not begun before the image is there',
    code: 'TOO_SLOW',
  },
  () =>
    spoiling((w) => {
      w.release(w.honest, 'EDT', '3.1.0', { image: seededRandom(5).bytes(20_000) });
      w.backend.downloadFaults.push(...always<DownloadFault>({ chunkMs: 20_000 }));
    }, UNAVAILABLE),
);

attack(
  {
    name: 'cut connections',
    has: 'the network',
    does: 'cuts every download after a while',
    vehicle: 'goes on where it was cut, and needs the bytes only once',
    code: 'none',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.release(w.honest, 'EDT', '3.0.0');
    w.backend.downloadFaults.push({ cutAfter: 900 }, { cutAfter: 800 }, { cutAfter: 700 });
    const result = await w.once();
    expect([result.outcome, w.running('EDT')]).toEqual(['SUCCESS', '3.0.0']);
    return result.code ?? 'none';
  },
);

attack(
  {
    name: 'cut metadata on a socket',
    has: 'the network',
    does: 'cuts every connection in the middle of Targets',
    vehicle: 'believes no half file, and keeps what it runs',
    code: 'ECONNRESET',
  },
  async () => {
    const { code } = await onSocket((request, response) => {
      if (!/\d\.targets\.json$/.test(request.url!)) return false;
      response.write('{"signatures":[');
      setImmediate(() => response.destroy());
      return true;
    }, UNAVAILABLE);
    return code;
  },
);

// ---- endless data ----

for (const file of [
  'director 2.root.json',
  'director timestamp.json',
  'director snapshot.json',
  'director targets.json',
  'images 2.root.json',
  'images timestamp.json',
  'images snapshot.json',
  'images targets.json',
]) {
  attack(
    {
      name: `endless data, ${file}`,
      has: 'the network',
      does: 'sends the file, and does not stop',
      vehicle: 'reads no more than such a file may have, or than its length in Snapshot',
      code: 'ENDLESS_DATA',
    },
    () =>
      spoiling((w) => w.backend.faults.set(w.nameOnNetwork(file), ['endless']), {
        trusted: file.startsWith('images') ? 'may move on' : 'unchanged',
        // A Root may have 500 KiB, and everything else together is far less.
        check: (w) => expect(w.backend.sentBytes).toBeLessThan(540_000),
      }),
  );
}

attack(
  {
    name: 'endless data on a socket',
    has: 'the network',
    does: 'pours bytes into a real connection in place of a Timestamp',
    vehicle: 'reads 16 KiB of it, and closes the connection',
    code: 'ENDLESS_DATA',
  },
  async () => {
    const poured: { written: number }[] = [];
    const { code } = await onSocket((request, response) => {
      if (!request.url!.endsWith('/timestamp.json')) return false;
      poured.push(pour(response));
      return true;
    });
    // What the sockets of both sides hold, and no more.
    expect(poured.map(({ written }) => written < 32 * 1024 * 1024)).toEqual([true]);
    return code;
  },
);

attack(
  {
    name: 'endless answer to a check-in',
    has: 'the network',
    does: 'pours bytes into the answer to the manifest',
    vehicle: 'reads 1 MiB of it, and calls it garbage',
    code: 'FOREIGN_ANSWER',
  },
  async () => {
    const { code } = await onSocket((request, response) => {
      if (request.url !== '/vehicle/checkin') return false;
      pour(response);
      return true;
    }, UNAVAILABLE);
    return code;
  },
);

attack(
  {
    name: 'endless image',
    has: 'the network',
    does: 'sends the image, and does not stop',
    vehicle: 'stops at the signed length',
    code: 'TOO_LONG',
  },
  () =>
    spoiling((w) => {
      const bytes = imageOf('EDT', 'endless');
      const endless = Buffer.concat(Array.from({ length: 20 }, () => bytes));
      const fault = { bytes: Uint8Array.from(endless), total: undefined };
      w.backend.downloadFaults.push(...always<DownloadFault>(fault));
    }, SPOILT),
);

// ---- other bytes ----

attack(
  {
    name: 'arbitrary software on the way',
    has: 'the network',
    does: 'sends other bytes in place of the image',
    vehicle: 'compares their hash with the signed one before any ECU hears of them',
    code: 'DIGEST_MISMATCH',
  },
  () =>
    spoiling((w) => {
      // As long as the right one.
      const bytes = w.backend.images.get(fileOf(w))!.map((byte) => byte ^ 1);
      w.backend.downloadFaults.push(...always({ bytes }));
    }, SPOILT),
);

attack(
  {
    name: 'other bytes of the same SHA-256 on the way',
    has: 'the network, and a second image with the SHA-256 of the signed one',
    does: 'sends it in place of the image',
    vehicle: 'checks every hash that is signed, not SHA-256 alone (Uptane 5.4.3.2)',
    code: 'DIGEST_MISMATCH',
  },
  async () => {
    const w = await AttackedVehicle.start();
    // Nobody has such an image: so it is the signed image whose SHA-512 is another one here.
    const sha512 = createHash('sha512').update('malware').digest('hex');
    w.release(w.honest, 'EDT', '3.0.0', { hashes: { sha512 } });
    const code = await w.refusal(SPOILT);
    const image = imageOf('EDT', '4.0.0');
    const right = createHash('sha512').update(image).digest('hex');
    w.release(w.honest, 'EDT', '4.0.0', { image, hashes: { sha512: right } });
    expect((await w.once()).outcome).toBe('SUCCESS');
    await w.recovers('EDT', '5.0.0');
    return code;
  },
);

attack(
  {
    name: 'encrypted image tampered with on the way',
    has: 'the network',
    does: 'changes one byte of an encrypted image',
    vehicle: 'knows the hash of the encrypted file, too',
    code: 'DIGEST_MISMATCH',
  },
  async () => {
    const w = await AttackedVehicle.start();
    const { blob } = await w.releaseEncrypted(w.honest, 'EDT', '3.0.0', imageOf('EDT', 'secret'));
    const bytes = blob.map((byte, index) => (index === 100 ? byte ^ 1 : byte));
    w.backend.downloadFaults.push(...always({ bytes }));
    const code = await w.refusal(SPOILT);
    await w.recovers('EDT', '4.0.0');
    return code;
  },
);

attack(
  {
    name: 'lie about the latest version',
    has: 'the network',
    does: 'offers malware as the latest version, in the answer that nobody signs',
    vehicle: 'takes that answer for a hint, looks at the signed metadata, and finds nothing new',
    code: 'none',
  },
  () =>
    spoiling(
      (w) => {
        w.honest.director.removeTarget(fileOf(w));
        w.backend.release('EDT', '9.9.9', imageOf('EDT', 'malware'));
      },
      { outcome: 'UP_TO_DATE', trusted: 'may move on' },
    ),
);

attack(
  {
    name: 'replay of a whole day',
    has: 'the network, and everything that both repositories answered before the last update',
    does: 'answers with it, to bring the older software back',
    vehicle: 'has seen newer versions',
    code: 'ROLLBACK',
  },
  async () => {
    const w = await AttackedVehicle.start();
    const recorded = {
      director: new Map(w.honest.files('director')),
      images: new Map(w.honest.files('images')),
    };
    w.release(w.honest, 'EDT', '3.0.0');
    expect((await w.once()).outcome).toBe('SUCCESS');
    w.attack((evil) => {
      for (const [file, bytes] of recorded.director) evil.director.replace(file, bytes);
      for (const [file, bytes] of recorded.images) evil.images.replace(file, bytes);
    });
    const code = await w.refusal();
    expect(w.running('EDT')).toBe('3.0.0');
    await w.recovers('EDT', '4.0.0');
    return code;
  },
);

// Random and mutated requests against a whole ECU: it always answers as the protocol says, and never dies.

import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { encodeApprovalRequest } from '../../src/vehicle/approval.ts';
import {
  checkRequest,
  downloadRequest,
  EcuBench,
  fileRequest,
  imageOf,
  releaseOf,
} from '../support/ecu-bench.ts';

const image = imageOf(64);
const seeds: readonly Uint8Array[] = [
  ...[
    ...['1001', '1002', '1003', '1101', '14FFFFFF', '1902FF', '190A', '22F195', '22FD00FD01FD02'],
    ...['2701', `2702${'00'.repeat(16)}`, '280301', '2EF15A0102', '3101FF00', '3103FF00'],
    ...[
      '31010203',
      '31010210',
      '31010211',
      '31010212',
      '3101021201',
      '31010213',
      '3101FF01',
      '31010202',
    ],
    ...['3601AABB', '3602AABB', '37', '3E00', '3E80', '8501', '8502', '31030200', '31020200'],
    ...['31010200', '38010001410002000100FF', '2EF190', '7F3478', 'FF', '22FD20', '22FD21'],
    ...['22FD22', '22FD13', '2EFD1400', '31010220', '31010221', '23440800000000000010'],
    ...['3500440800000000000010'],
  ].map(fromHex),
  downloadRequest(64),
  downloadRequest(2),
  fileRequest('metadata.json', 30),
  fileRequest('director.root.json', 30),
  checkRequest(image),
  concatBytes(Uint8Array.of(0x36, 1), image),
];

function mutate(random: ReturnType<typeof seededRandom>): Uint8Array {
  const pick = Math.floor(random.fraction() * seeds.length);
  const bytes = Uint8Array.from(seeds[pick]!);
  const kind = random.fraction();
  if (kind < 0.5) return bytes;
  if (kind < 0.7) bytes[Math.floor(random.fraction() * bytes.length)] = random.bytes(1)[0]!;
  if (kind < 0.8) return bytes.subarray(0, Math.floor(random.fraction() * (bytes.length + 1)));
  if (kind < 0.9) return concatBytes(bytes, random.bytes(1 + Math.floor(random.fraction() * 8)));
  return random.bytes(1 + Math.floor(random.fraction() * 40));
}

describe.each(['CGW', 'EDT', 'ONE'])('%s', (name) => {
  it('survives 4000 requests, and still runs a verified image', async () => {
    const random = seededRandom(name.charCodeAt(0));
    const bench = await EcuBench.start({ name, options: { bootMs: 1 } });
    for (let count = 0; count < 4000; count++) {
      const request = mutate(random);
      if (request.length === 0) continue;
      // Now and then the way is open, so that the deeper states are reached too.
      if (count % 50 === 0) {
        await bench.clock.advance(11_000); // whatever delay is running
        await bench.prepare(name).catch(() => {});
        if (count % 100 === 0) {
          await bench.sendMetadata(releaseOf(image, '2.0.0', name)).catch(() => {});
        }
      }
      const functional = name !== 'ONE' && random.fraction() < 0.1;
      const before = bench.sent.length;
      const answer = await bench.ask(request, { functional, limitMs: 20 });
      const sid = request[0]!;
      const answers = bench.sent.slice(before).filter((hex) => !/^7F..78$/.test(hex));
      expect(answers.length).toBeLessThanOrEqual(1);
      if (answer !== 'silent') {
        const hex = (byte: number) => byte.toString(16).toUpperCase().padStart(2, '0');
        const fits = answer.startsWith(`7F${hex(sid)}`) || answer.startsWith(hex(sid + 0x40));
        expect(fits, `${Buffer.from(request).toString('hex')} -> ${answer}`).toBe(true);
      }
    }
    expect(bench.events.filter(({ kind }) => kind === 'failed')).toEqual([]);
    const version = await EcuBench.start({
      name,
      storage: bench.storage.afterPowerCut(),
    }).then((again) => again.text('F195'));
    expect(['1.0.0', '2.0.0', 'none']).toContain(version);
    expect(bench.clock.pending().length).toBeLessThanOrEqual(2);
  });
});

describe('the approval', () => {
  it('is not disturbed by mutated questions', async () => {
    const random = seededRandom(5);
    const good = concatBytes(
      fromHex('31010200'),
      encodeApprovalRequest({
        campaignId: new Uint8Array(16),
        planDigest: new Uint8Array(32),
        nonce: new Uint8Array(16),
        facts: {
          vin: 'V',
          phase: 'install',
          forced: false,
          purpose: 'p',
          ecus: [{ name: 'EDT', from: '1', to: '2', changes: '' }],
          durationSeconds: 1,
          unavailable: [],
          instructions: '',
          timeoutSeconds: 1,
        },
      }),
    );
    const { createCgw } = await import('../../ecus/cgw/create-cgw.ts');
    const { silentLogger } = await import('../../src/core/logger.ts');
    const { benchVehicle } = await import('../support/ecu-bench.ts');
    const bench = EcuBench.idle();
    await createCgw({
      vehicle: benchVehicle,
      storage: bench.storage,
      clock: bench.clock,
      random,
      logger: silentLogger,
      connect: bench.connect,
      approve: 'yes',
    });
    for (let count = 0; count < 3000; count++) {
      const request = Uint8Array.from(good);
      for (let flips = 0; flips < 3; flips++) {
        request[4 + Math.floor(random.fraction() * (request.length - 4))] = random.bytes(1)[0]!;
      }
      expect(await bench.ask(request)).toMatch(/^(71010200|7F31(13|22|31))$/);
    }
  });
});

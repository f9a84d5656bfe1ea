// Attacks on the metadata of one ECU: what the attacker has, and that the ECU keeps its old image, trust and nonce rules.

import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import type { AttackCode } from '../../src/trust/attack.ts';
import { decodeBundle, encodeBundle, type MetadataBundle } from '../../src/trust/bundle.ts';
import { checkVersionReport, type VersionReport } from '../../src/trust/manifest.ts';
import { ed25519PublicKey } from '../../src/trust/signing-key.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';
import {
  BANK_SIZE,
  type BundleChanges,
  benchVehicle,
  EcuBench,
  imageOf,
  type Release,
  releaseOf,
} from '../support/ecu-bench.ts';

const image = imageOf(1000);
const good = releaseOf(image, '2.0.0');
const DAY_MS = 86_400_000;

/** The EDT of the bench, checking both repositories by itself. */
const fullVehicle = vehicleSchema.parse({
  ...benchVehicle,
  ecus: benchVehicle.ecus.map((ecu) => ({ ...ecu, verification: 'full' })),
});

type Kind = 'partial' | 'full';

async function start(kind: Kind): Promise<EcuBench> {
  const vehicle = kind === 'full' ? fullVehicle : benchVehicle;
  const bench = await EcuBench.start({ options: { vehicle } });
  await bench.prepare();
  return bench;
}

async function opened(
  bench: EcuBench,
  release: Release | undefined = good,
  changes: BundleChanges = {},
): Promise<MetadataBundle> {
  const bundle = decodeBundle(await bench.bundle(release, changes));
  if (!bundle.ok) throw new Error(bundle.reason);
  return bundle.value;
}

/** The report that the ECU signs, checked with its own key. */
async function report(bench: EcuBench): Promise<VersionReport> {
  const key = ed25519PublicKey(fromHex((await bench.expect('22FD12')).slice(6)).subarray(0, 32));
  const checked = checkVersionReport(JSON.parse(await bench.text('FD22')), key);
  if (!checked.ok) throw new Error(checked.reason);
  return checked.value;
}

type Attack = readonly [
  what: string,
  code: AttackCode | readonly AttackCode[],
  forge: (bench: EcuBench) => Promise<Uint8Array>,
];

const without = (map: ReadonlyMap<string, Uint8Array>, name: string) =>
  new Map([...map].filter(([key]) => key !== name));
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (from: string): Uint8Array => new TextEncoder().encode(from);

/** The Director's Targets with one text in them put in place of another; nobody signed that. */
async function altered(bench: EcuBench, from: string, to: string): Promise<Uint8Array> {
  const bundle = await opened(bench);
  const targets = text(bundle.director.get('targets.json')!);
  expect(targets).toContain(from);
  return encodeBundle({
    ...bundle,
    director: new Map([...bundle.director, ['targets.json', bytes(targets.replace(from, to))]]),
  });
}

const attacks: readonly Attack[] = [
  ['no metadata but noise', 'MALFORMED', async () => imageOf(500)],
  ['a JSON text that is no bundle', 'MALFORMED', async () => bytes('{"ecu":"EDT"}')],
  [
    'a bundle for another vehicle',
    'WRONG_VEHICLE',
    (bench) => bench.bundle(good, { bundle: { vin: 'WVWZZZ1JZXW000002' } }),
  ],
  [
    'an image for other hardware',
    'WRONG_HARDWARE',
    (bench) => bench.bundle(good, { ecu: { hardwareId: 'EDT-HW2' } }),
  ],
  [
    'an image that no bank holds',
    'ENDLESS_DATA',
    (bench) => bench.bundle({ ...good, length: BANK_SIZE + 1 }),
  ],
  [
    'a version that is a path',
    'MALFORMED',
    (bench) => bench.bundle({ ...good, version: '../../x' }),
  ],
  [
    'a version that no boot record holds',
    'MALFORMED',
    (bench) => bench.bundle({ ...good, version: 'v'.repeat(33) }),
  ],
  [
    'the time for another nonce (drop, replay)',
    'FREEZE',
    (bench) => bench.bundle(good, { bundle: { nonce: '00'.repeat(16) } }),
  ],
  ['no time', 'FREEZE', async (bench) => encodeBundle({ ...(await opened(bench)), time: null })],
  [
    'a time that somebody else signed',
    ['ARBITRARY_SOFTWARE', 'MALFORMED'],
    async (bench) => {
      const bundle = await opened(bench);
      const time = JSON.parse(JSON.stringify(bundle.time).replace('2026', '2027'));
      return encodeBundle({ ...bundle, time });
    },
  ],
  [
    'metadata that has expired, under a right time (freeze)',
    'FREEZE',
    async (bench) => {
      const old = await opened(bench);
      await bench.clock.advance(400 * DAY_MS);
      await bench.prepare();
      return encodeBundle({ ...old, time: (await opened(bench)).time });
    },
  ],
  [
    'a bundle without Targets (partial bundle)',
    'MISSING_METADATA',
    async (bench) => {
      const bundle = await opened(bench);
      return encodeBundle({ ...bundle, director: without(bundle.director, 'targets.json') });
    },
  ],
  [
    'another version in signed Targets (arbitrary software)',
    ['ARBITRARY_SOFTWARE', 'MIX_AND_MATCH'],
    (bench) => altered(bench, '"2.0.0"', '"9.9.9"'),
  ],
  [
    'another hash in signed Targets (arbitrary software)',
    ['ARBITRARY_SOFTWARE', 'MIX_AND_MATCH'],
    (bench) => altered(bench, good.sha256, 'ab'.repeat(32)),
  ],
  [
    'Targets that are older than those it trusts (rollback)',
    ['ROLLBACK', 'MIX_AND_MATCH'],
    async (bench) => {
      const old = await opened(bench, releaseOf(image, '1.9.0'));
      await bench.clock.advance(10_000);
      await bench.prepare();
      await bench.sendMetadata(good);
      const now = await opened(bench);
      return encodeBundle({ ...old, time: now.time });
    },
  ],
  [
    'a time before the one it knows',
    'ROLLBACK',
    async (bench) => {
      await bench.sendMetadata(good);
      const timeMs = Date.parse((await bench.trustState()).time!) - 1000;
      return bench.bundle(good, { bundle: { timeMs } });
    },
  ],
  [
    'an image that must be encrypted, and is not',
    'MALFORMED',
    (bench) => altered(bench, '"encrypt":false', '"encrypt":true'),
  ],
];

describe.each(['partial', 'full'] as const)('with %s verification, an attacker who has', (kind) => {
  it.each(attacks)('%s is refused', async (_what, expected, forge) => {
    const bench = await start(kind);
    const forged = await forge(bench);
    const trustBefore = await bench.trustState();
    const files = ['trust', 'boot-record', 'bank-a.bin'].map((name) =>
      bench.storage.contents(name),
    );
    bench.events.length = 0;
    expect(await bench.sendMetadata(forged, false)).toBe('7F3772');
    const refusal = bench.events.find((event) => event.kind === 'metadata-refused');
    const codes: readonly string[] = [expected].flat();
    // What nobody signed is refused by its signature first, whatever else is wrong with it.
    const allowed = codes.includes('MALFORMED')
      ? [...codes, 'ARBITRARY_SOFTWARE', 'MIX_AND_MATCH']
      : codes;
    expect(allowed).toContain(refusal?.code);
    expect(refusal?.reason).toMatch(/^[a-z].*: /);

    // Nothing is erased, nothing may be erased, nothing has been learnt.
    expect(await bench.ask('3101FF00')).toBe('7F3122');
    expect(bench.events.some((event) => event.kind === 'erase')).toBe(false);
    expect(
      ['trust', 'boot-record', 'bank-a.bin'].map((name) => bench.storage.contents(name)),
    ).toEqual(files);
    expect(await bench.trustState()).toEqual(trustBefore);

    // Each report tells, also after a power cut; and the right bundle is still welcome.
    expect((await report(bench)).attack).toBe(refusal?.code);
    const vehicle = kind === 'full' ? fullVehicle : benchVehicle;
    const again = await EcuBench.start({
      storage: bench.storage.afterPowerCut(),
      options: { vehicle },
    });
    expect((await report(again)).attack).toBe(refusal?.code);
    await again.prepare();
    await again.clock.advance(0);
    await again.sendMetadata(good);
    await again.transfer(image);
    // Something newer is accepted; it is forgotten once the Director has a report of it, and no earlier.
    const last = await report(again);
    expect(last.attack).toBe(refusal?.code);
    expect(await again.reportReceived(last.counter)).toBe('6EFD23');
    expect((await report(again)).attack).toBe('');
  });
});

describe('an attack', () => {
  it('is told by each report until the Director has one, however much was accepted meanwhile', async () => {
    const bench = await start('partial');
    const before = await report(bench);
    await bench.sendMetadata(imageOf(10), false);
    for (let round = 0; round < 5; round++) {
      // Told, but was it heard? Whoever reads a report is not the Director.
      expect((await report(bench)).attack).toBe('MALFORMED');
      await bench.sendMetadata(good);
    }
    await bench.reset();
    await bench.crash();
    const told = await report(bench);
    expect(told.attack).toBe('MALFORMED');
    // Neither a plain word, nor one of a report from before it, nor of one that never was.
    await bench.prepare();
    const counter = told.counter.toString(16).padStart(16, '0');
    expect(await bench.ask(`2EFD23${counter}`)).toBe('7F2E38');
    expect(await bench.reportReceived(before.counter)).toBe('6EFD23');
    expect(await bench.reportReceived(told.counter + 1)).toBe('7F2E31');
    expect((await report(bench)).attack).toBe('MALFORMED');
    expect(await bench.reportReceived(told.counter)).toBe('6EFD23');
    expect((await report(bench)).attack).toBe('');
    // Another one, or the same again, is noted again.
    await bench.sendMetadata(imageOf(10), false);
    expect((await report(bench)).attack).toBe('MALFORMED');
    expect(await bench.reportReceived(told.counter)).toBe('6EFD23'); // of the one before
    expect((await report(bench)).attack).toBe('MALFORMED');
  });
});

describe('the nonce', () => {
  it('stays the same however often anybody reads it, until a bundle has used it or the ECU restarts', async () => {
    const bench = await start('partial');
    const first = await bench.bundle(good);
    const nonce = await bench.expect('22FD21');
    for (let read = 0; read < 5; read++) expect(await bench.ask('22FD21')).toBe(nonce);
    expect(await bench.sendMetadata(first)).toBe('77');
    const next = await bench.expect('22FD21');
    expect(next).not.toBe(nonce);
    await bench.reset();
    expect(await bench.expect('22FD21')).not.toBe(next);
    await bench.prepare();
    expect(await bench.sendMetadata(first, false)).toBe('7F3772');
    expect((await report(bench)).attack).toBe('FREEZE');
  });

  it('serves one bundle, right or wrong', async () => {
    const bench = await start('partial');
    const right = await bench.bundle(good);
    expect(await bench.sendMetadata(right)).toBe('77');
    expect(await bench.sendMetadata(right, false)).toBe('7F3772');
    const wrong = await bench.bundle(good, { bundle: { nonce: '11'.repeat(16) } });
    expect(await bench.sendMetadata(wrong, false)).toBe('7F3772');
    expect((await report(bench)).attack).toBe('FREEZE');
  });

  it('is forgotten by a reset', async () => {
    const bench = await start('partial');
    const bundle = await bench.bundle(good);
    await bench.reset();
    await bench.prepare();
    expect(await bench.sendMetadata(bundle, false)).toBe('7F3772');
  });
});

describe('a bundle that is in order', () => {
  it('raises the versions and the time that the ECU trusts, durably', async () => {
    const bench = await start('full');
    const before = await bench.trustState();
    expect(before).toMatchObject({ verification: 'full', time: null, director: { root: 1 } });
    await bench.sendMetadata(good);
    const after = await bench.trustState();
    expect(after.time).toBe('2026-01-01T00:00:00.000Z');
    for (const role of ['timestamp', 'snapshot', 'targets'] as const) {
      expect(after.director[role]).toBeGreaterThan(0);
      expect(after.images![role]).toBeGreaterThan(0);
    }
    const again = await EcuBench.start({
      storage: bench.storage.afterPowerCut(),
      options: { vehicle: fullVehicle },
    });
    expect(await again.trustState()).toEqual(after);
  });

  it('without an image for this ECU is accepted, and permits nothing', async () => {
    const bench = await start('partial');
    await bench.sendMetadata(good);
    expect(await bench.sendMetadata(await bench.bundle(undefined))).toBe('77');
    expect(bench.events.at(-1)).toEqual({ kind: 'metadata', version: null });
    expect(await bench.ask('3101FF00')).toBe('7F3122');
    const other = { ecu: { serial: 'BENCH-INV' } };
    expect(await bench.sendMetadata(await bench.bundle(good, other))).toBe('77');
    expect(await bench.ask('3101FF00')).toBe('7F3122');
  });

  it('permits nothing in the next session', async () => {
    const bench = await start('partial');
    await bench.sendMetadata(good);
    await bench.prepare();
    expect(await bench.ask('3101FF00')).toBe('7F3122');
  });

  it('may be sent again, and the last one counts', async () => {
    const bench = await start('partial');
    await bench.sendMetadata(releaseOf(imageOf(999), '1.9.9'));
    await bench.sendMetadata(good);
    await bench.transfer(image);
    await bench.expect('31010202');
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
  });

  it('stays below 2 KiB in what the ECU says of it', async () => {
    const bench = await start('full');
    await bench.program(image, 'v'.repeat(32), 'EDT');
    expect((await bench.expect('22FD20')).length / 2).toBeLessThan(2048);
    expect((await bench.expect('22FD22')).length / 2).toBeLessThan(2048);
  });
});

describe('the version report', () => {
  it('is signed, names what runs, and never has the same counter twice', async () => {
    const bench = await start('partial');
    const first = await report(bench);
    expect(first).toMatchObject({
      ecu: 'BENCH-EDT',
      installed: { version: '1.0.0', length: 4096 },
      attack: '',
      time: null,
      counter: 1,
    });
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await report(bench)).toMatchObject({
      installed: {
        name: `EDT-2.0.0-${good.sha256.slice(0, 12)}.bin`,
        version: '2.0.0',
        length: 1000,
        hashes: { sha256: good.sha256 },
      },
      time: '2026-01-01T00:00:00.000Z',
      counter: 2,
    });
    const again = await EcuBench.start({ storage: bench.storage.afterPowerCut() });
    // The numbers that were set aside and not used are lost with the power: another one in any case.
    expect((await report(again)).counter).toBe(1 + 2 ** 20);
    expect((await again.trustState()).counter).toBe(1 + 2 ** 20);
    await again.reset();
    expect((await report(again)).counter).toBe(2 + 2 ** 20);
  });

  it('of an ECU that waits in its bootloader says that it runs nothing', async () => {
    const bench = await EcuBench.start();
    bench.storage.corrupt('bank-a.bin', 0);
    await bench.reset();
    expect(await report(bench)).toMatchObject({
      installed: { name: 'none', version: 'none', length: 0 },
    });
  });
});

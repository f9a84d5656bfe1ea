// The Primary between two repositories: what it verifies, keeps, reports to the Director and gives to its ECUs.

import { describe, expect, it } from 'vitest';
import { InputError } from '../../../src/core/errors.ts';
import type { EcuTrustState } from '../../../src/trust/bundle.ts';
import { decodeBundle } from '../../../src/trust/bundle.ts';
import { verifyBundle } from '../../../src/trust/partial-verification.ts';
import { trustRoot, versionsOf } from '../../../src/trust/repository.ts';
import { checkTime } from '../../../src/trust/time-attestation.ts';
import { MOCK_NOW_MS } from '../../support/mock-repositories.ts';
import { away, SERIALS, TMU_SERIAL, UptaneWorld, VIN, vehicle } from './support.ts';

const DAY = 86_400_000;
const never = new AbortController().signal;

/** One release for EDT, assigned by the Director. */
function world() {
  const w = new UptaneWorld();
  const release = w.mock.release('EDT');
  w.mock.assign(SERIALS.EDT, release);
  return { w, release };
}

describe('a check that passes', () => {
  it('gives the offers of both repositories, by the names of the vehicle file', async () => {
    const { w, release } = world();
    const sha256 = release.target.hashes.sha256;
    expect(await w.once()).toEqual({
      kind: 'offers',
      checkedIn: true,
      offers: [
        {
          ecu: 'EDT',
          version: '2.0.0',
          targetName: release.name,
          size: release.image.length,
          sha256,
          releaseCounter: 2,
          download: { file: release.name, size: release.image.length, sha256 },
          encryption: null,
          dependencies: {},
          forced: false,
          notes: '',
        },
      ],
    });
    expect(w.eventsOf('verified')).toEqual([
      {
        kind: 'verified',
        director: { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
        images: { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
      },
    ]);
    expect(w.json('trust/time.json')).toMatchObject({ timeMs: MOCK_NOW_MS });
    const names = ['1.root.json', 'root.json', 'snapshot.json', 'targets.json', 'timestamp.json'];
    expect(await w.storage.list('trust/director')).toEqual(names);
    expect(await w.storage.list('trust/images')).toEqual(names);
  });

  it('knows an encrypted image by its blob', async () => {
    const w = new UptaneWorld();
    const release = w.mock.release('EDT', { encrypt: true });
    const encryption = {
      file: 'EDT-for-this-vehicle.bin',
      length: 900,
      sha256: 'c'.repeat(64),
      method: 'X25519-HKDF-SHA256-AES-256-GCM',
    };
    w.mock.assign(SERIALS.EDT, release, { encryption });
    const result = await w.once();
    expect(result.kind === 'offers' && result.offers[0]).toMatchObject({
      sha256: release.target.hashes.sha256,
      size: release.image.length,
      download: { file: encryption.file, size: 900, sha256: 'c'.repeat(64) },
      encryption,
    });
  });

  it('knows a safety release', async () => {
    const w = new UptaneWorld();
    w.mock.assign(SERIALS.EDT, w.mock.release('EDT', { forced: true }));
    expect(await w.once()).toMatchObject({ kind: 'offers', offers: [{ forced: true }] });
  });

  it('asks for nothing twice, and not for images that are installed', async () => {
    const { w, release } = world();
    await w.once();
    w.backend.fetched.length = 0;
    w.running.set('EDT', { version: '2.0.0', sha256: release.target.hashes.sha256! });
    expect((await w.once()).kind).toBe('offers');
    expect(w.backend.fetched).toEqual(['director 2.root.json', 'director timestamp.json']);
  });

  it('follows a vehicle that was off for two months, through new keys for everything', async () => {
    const { w } = world();
    await w.once();
    await w.clock.advance(60 * DAY);
    w.mock.skip(60 * DAY);
    for (const repository of [w.mock.director, w.mock.images]) {
      repository.rotate('timestamp', 'snapshot', 'targets');
      repository.newRoot();
    }
    w.mock.director.rotate('time');
    const release = w.mock.release('EDT', { version: '3.0.0', releaseCounter: 3 });
    w.mock.director.clearTargets();
    w.mock.assign(SERIALS.EDT, release);
    const result = await w.once();
    expect(result).toMatchObject({ kind: 'offers', offers: [{ version: '3.0.0' }] });
    expect(await w.storage.list('trust/director')).toContain('4.root.json');
    const { timeMs } = w.json('trust/time.json') as { timeMs: number };
    expect(timeMs).toBeGreaterThanOrEqual(MOCK_NOW_MS + 60 * DAY);
  });
});

describe('what is refused', () => {
  type Case = [what: string, code: string, spoil: (w: UptaneWorld) => void];
  const cases: Case[] = [
    ['an expired Timestamp', 'FREEZE', (w) => w.mock.director.expire('timestamp')],
    ['an expired Snapshot of the images', 'FREEZE', (w) => w.mock.images.expire('snapshot')],
    [
      'Targets that nobody signed',
      'ARBITRARY_SOFTWARE',
      (w) => w.mock.director.foreignKeys('targets'),
    ],
    [
      'an image that only the Director knows',
      'UNKNOWN_TARGET',
      (w) => w.mock.images.clearTargets(),
    ],
    [
      'an image of which the repositories say different things',
      'REPOSITORIES_DISAGREE',
      (w) => w.mock.assign(SERIALS.EDT, w.mock.release('EDT'), { custom: { releaseCounter: 9 } }),
    ],
    [
      'an image for an ECU that is not here',
      'UNKNOWN_ECU',
      (w) => w.mock.assign('CO-999999', w.mock.release('EDT')),
    ],
    [
      'Targets of another vehicle',
      'WRONG_VEHICLE',
      (w) => w.mock.director.setCustom({ vin: 'WCANOTA0000000002' }),
    ],
    ['a file that is missing', 'MISSING_METADATA', (w) => w.mock.director.omit('timestamp.json')],
  ];

  it.each(cases)('%s: %s', async (_what, code, spoil) => {
    const { w } = world();
    spoil(w);
    const result = await w.once();
    expect(result).toMatchObject({ kind: 'untrusted', code });
    expect(w.eventsOf('attack')).toMatchObject([{ code }]);
    expect(w.eventsOf('verified')).toEqual([]);
    expect(w.json('trust/report.json')).toMatchObject({ attack: code });
  });

  it('is in the next manifest, and in none after a check that passed', async () => {
    const { w } = world();
    await w.once();
    w.mock.director.publish();
    w.mock.director.omit('timestamp.json');
    await w.once();
    w.mock.director.behave();
    await w.once();
    const attacks = w.backend.manifests.map(({ reports }) => reports[TMU_SERIAL]!.attack);
    expect(attacks).toEqual(['', '', 'MISSING_METADATA']);
    await w.once();
    expect(w.backend.manifests.at(-1)!.reports[TMU_SERIAL]!.attack).toBe('');
  });

  it('an older state of the Director', async () => {
    const { w } = world();
    await w.once();
    w.mock.director.publish();
    await w.once();
    w.mock.director.replay(0);
    expect(await w.once()).toMatchObject({ kind: 'untrusted', code: 'ROLLBACK' });
  });

  it('an older release, after a newer one was installed', async () => {
    const { w } = world();
    const source = await w.open();
    await w.check(source);
    await source.installed([{ ecu: 'EDT', releaseCounter: 5 }]);
    expect(w.json('trust/counters.json')).toMatchObject({ [SERIALS.EDT]: 5 });
    expect(await w.once()).toMatchObject({ kind: 'untrusted', code: 'ROLLBACK' });
    await source.installed([{ ecu: 'EDT', releaseCounter: 1 }]);
    expect(w.json('trust/counters.json')).toMatchObject({ [SERIALS.EDT]: 5 });
  });

  it('data without end, after no more than the limit was read', async () => {
    const { w } = world();
    w.backend.faults.set('director timestamp.json', ['endless']);
    expect(await w.once()).toMatchObject({ kind: 'untrusted', code: 'ENDLESS_DATA' });
    expect(w.backend.sentBytes).toBeLessThan(25_000);
  });

  it.each(['drip', 'stall'] as const)('a server that is slow on purpose (%s)', async (fault) => {
    const { w } = world();
    w.backend.faults.set('director timestamp.json', [fault, fault, fault, fault]);
    const before = w.clock.nowMs();
    expect(await w.once()).toMatchObject({ kind: 'untrusted', code: 'SLOW_RETRIEVAL' });
    expect(w.clock.nowMs() - before).toBeLessThan(90_000);
    expect(w.eventsOf('retry')).toHaveLength(3);
    // A single slow answer is no attack.
    w.backend.faults.set('director timestamp.json', [fault]);
    expect((await w.once()).kind).toBe('offers');
  });
});

describe('the time', () => {
  type Case = [
    what: string,
    code: string,
    make: (w: UptaneWorld, nonces: readonly string[]) => unknown,
  ];
  const cases: Case[] = [
    ['that is missing', 'FREEZE', () => null],
    ['for another nonce', 'FREEZE', (w) => w.backend.attest(MOCK_NOW_MS, ['00'.repeat(16)])],
    ['before the last one', 'ROLLBACK', (w, nonces) => w.backend.attest(MOCK_NOW_MS - 1, nonces)],
    ['that is garbage', 'MALFORMED', () => ({ now: 'noon' })],
    [
      'that was changed',
      'ARBITRARY_SOFTWARE',
      (w, nonces) => {
        const time = w.backend.attest(MOCK_NOW_MS, nonces) as { signed: object };
        return { ...time, signed: { ...time.signed, time: '2020-01-01T00:00:00.000Z' } };
      },
    ],
  ];
  it.each(cases)('%s is refused before any metadata is fetched: %s', async (_what, code, make) => {
    const { w } = world();
    await w.once();
    w.backend.fetched.length = 0;
    w.backend.makeTime = (nonces) => make(w, nonces);
    expect(await w.once()).toMatchObject({ kind: 'untrusted', code });
    // Asks only whether there are newer time keys.
    expect(w.backend.fetched.every((file) => /^director \d+\.root\.json$/.test(file))).toBe(true);
    expect(w.json('trust/time.json')).toMatchObject({ timeMs: MOCK_NOW_MS });
  });

  it('has another nonce in every request', async () => {
    const { w } = world();
    const seen: string[] = [];
    w.backend.makeTime = (nonces) => {
      seen.push(...nonces);
      return w.backend.attest(w.clock.wallMs(), nonces);
    };
    for (let count = 0; count < 5; count++) await w.once();
    expect(new Set(seen).size).toBe(5);
    expect(seen.every((nonce) => /^[0-9a-f]{32}$/.test(nonce))).toBe(true);
  });
});

describe('a network that fails', () => {
  it('is no attack, and what came is kept', async () => {
    const { w } = world();
    w.backend.faults.set(
      'images targets.json',
      Array.from({ length: 4 }, () => away),
    );
    w.backend.faults.set(
      'images 1.targets.json',
      Array.from({ length: 4 }, () => away),
    );
    expect(await w.once()).toMatchObject({ kind: 'failed', code: 'ECONNREFUSED' });
    expect(w.json('trust/report.json')).toMatchObject({ attack: null });
    w.backend.fetched.length = 0;
    expect((await w.once()).kind).toBe('offers');
    expect(w.backend.fetched.filter((file) => /^director .*targets/.test(file))).toEqual([]);
  });

  it('for once does not matter', async () => {
    const { w } = world();
    w.backend.faults.set('director timestamp.json', ['cut']);
    w.backend.faults.set('images timestamp.json', [away]);
    w.backend.checkinFaults = [away];
    expect((await w.once()).kind).toBe('offers');
  });

  it('at the check-in is told as it is', async () => {
    const { w } = world();
    w.backend.checkinFaults = Array.from({ length: 4 }, () => away);
    expect(await w.once()).toMatchObject({ kind: 'failed', code: 'ECONNREFUSED' });
    expect(w.backend.fetched).toEqual([]);
  });
});

describe('the manifest', () => {
  it('goes with what the TMU tells of itself, and without where it tells nothing', async () => {
    const { w } = world();
    await w.once();
    w.telemetry = { daemonUptimeS: 7, supplyV: 12.4, buses: [] };
    await w.once();
    expect(w.backend.told).toEqual([undefined, w.telemetry]);
  });

  it('has a fresh report of every ECU, those of other makes in the words of the Primary', async () => {
    const { w, release } = world();
    w.running.set('OTHER', { version: '7', sha256: 'd'.repeat(64) });
    await w.once();
    await w.once();
    const [first, second] = w.backend.manifests;
    expect(Object.keys(first!.reports).sort()).toEqual([TMU_SERIAL, SERIALS.EDT, SERIALS.OTHER]);
    expect(first).toMatchObject({ vin: VIN, primary: TMU_SERIAL });
    expect(first!.reports[SERIALS.OTHER]).toMatchObject({
      installed: { version: '7', hashes: { sha256: 'd'.repeat(64) } },
      attack: '',
    });
    for (const serial of [TMU_SERIAL, ...Object.values(SERIALS)]) {
      expect(second!.reports[serial]!.counter).toBeGreaterThan(first!.reports[serial]!.counter);
    }
    expect(first!.reports[TMU_SERIAL]!.time).toBe(null);
    expect(second!.reports[TMU_SERIAL]!.time).toBe(new Date(MOCK_NOW_MS).toISOString());
    expect(release.ecu).toBe('EDT');
  });

  it('counts on when the state directory was lost', async () => {
    const { w } = world();
    await w.once();
    await w.clock.advance(1000);
    w.storage = new UptaneWorld().storage;
    await w.once();
    const counters = w.backend.manifests.map(({ reports }) => reports[TMU_SERIAL]!.counter);
    expect(counters[1]).toBeGreaterThan(counters[0]!);
  });

  it('leaves out an ECU that is silent or speaks for another, with a warning', async () => {
    const { w } = world();
    const source = await w.open();
    w.edtReport = () => ({
      ok: false,
      code: 'SILENT',
      reason: 'no answer',
      transient: true,
      changed: 'no',
    });
    expect((await w.check(source)).kind).toBe('offers');
    w.edtReport = () => ({ ok: true, value: undefined, warnings: [] });
    await w.check(source);
    const forged = { signatures: [], signed: { _type: 'version-report', ecu: SERIALS.OTHER } };
    const value = new TextEncoder().encode(JSON.stringify(forged));
    w.edtReport = () => ({ ok: true, value, warnings: [] });
    await w.check(source);
    for (const { reports } of w.backend.manifests) expect(reports[SERIALS.EDT]).toBeUndefined();
    expect(w.eventsOf('warning').filter(({ ecu }) => ecu === 'EDT')).toHaveLength(3);
  });

  it('tells here what an ECU has refused', async () => {
    const { w } = world();
    w.edtAttack = 'IMAGE_MISMATCH';
    await w.once();
    expect(w.eventsOf('attack')).toMatchObject([
      { code: 'IMAGE_MISMATCH', where: 'version report of EDT' },
    ]);
  });

  it('lets an ECU forget what it has refused once the Director has its report, and not before', async () => {
    const { w } = world();
    await w.once();
    expect(w.received).toEqual([]); // nothing was refused
    w.edtAttack = 'IMAGE_MISMATCH';
    w.backend.checkinFaults = Array.from({ length: 4 }, () => away);
    await w.once();
    expect(w.received).toEqual([]);
    w.backend.checkinFaults = [{ ...away, code: 'HTTP_400', transient: false }];
    await w.once();
    expect(w.received).toEqual([]);
    await w.once();
    expect(w.received).toEqual([`EDT ${w.edtReports}`]);
  });

  it('that the Director refuses does not keep the vehicle from verifying', async () => {
    const { w } = world();
    const refused = { ...away, code: 'HTTP_400', transient: false };
    // Without any metadata of this vehicle there is nothing to verify; that is no attack.
    w.backend.checkinFaults = [refused];
    expect(await w.once()).toMatchObject({ kind: 'failed', code: 'HTTP_400' });
    await w.once();
    w.backend.checkinFaults = [refused];
    expect(await w.once()).toMatchObject({ kind: 'offers', checkedIn: false });
    expect(w.eventsOf('warning')[0]!.text).toContain('refuses the manifest');
    expect(w.backend.timeRequests).toBe(1);
    // This does not apply when the vehicle itself is refused.
    w.backend.checkinFaults = [{ ...refused, code: 'HTTP_403' }];
    expect(await w.once()).toMatchObject({ kind: 'failed', code: 'HTTP_403' });
  });

  it('says which ECU kept silent, when the Director does not take it', async () => {
    const { w } = world();
    const incomplete = { ...away, code: 'HTTP_422', transient: false };
    w.edtReport = () => ({
      ok: false,
      code: 'SILENT',
      reason: 'EDT is silent: check power',
      transient: true,
      changed: 'no',
    });
    w.backend.checkinFaults = [incomplete];
    expect(await w.once()).toMatchObject({
      kind: 'incomplete',
      reason: expect.stringContaining('EDT is silent: check power'),
    });
    await w.once();
    w.backend.checkinFaults = [incomplete];
    expect(await w.once()).toMatchObject({
      kind: 'offers',
      incomplete: expect.stringContaining('EDT is silent: check power'),
    });
  });

  it('can be sent by itself', async () => {
    const { w } = world();
    const source = await w.open();
    expect(await w.run(source.checkIn(never))).toMatchObject({ kind: 'checked-in' });
    expect(w.backend.fetched).toEqual([]);
    expect(await w.run(source.checkIn(AbortSignal.abort()))).toEqual({ kind: 'interrupted' });
  });
});

describe('a bundle for an ECU', () => {
  const nonce = '5a'.repeat(16);
  const state: EcuTrustState = {
    verification: 'partial',
    director: { root: 1 },
    counter: 0,
    time: null,
    nonce,
  };

  it.each(['partial', 'full'] as const)('is what %s verification needs', async (verification) => {
    const { w, release } = world();
    w.mock.director.newRoot();
    const source = await w.open();
    await w.check(source);
    const images = verification === 'full' ? { images: { root: 1 } } : {};
    const made = await w.run(source.bundle('EDT', { ...state, verification, ...images }, never));
    if (!made.ok) throw new Error(made.reason);
    const bundle = decodeBundle(made.value);
    const director = trustRoot(w.mock.director.anchor);
    const imagesRoot = trustRoot(w.mock.images.anchor);
    if (!bundle.ok || !director.ok || !imagesRoot.ok) throw new Error('unreadable');
    expect(checkTime(bundle.value.time, director.value.root, nonce, 0)).toMatchObject({ ok: true });
    const verified = verifyBundle({
      trust: {
        director: director.value,
        ...(verification === 'full' ? { images: imagesRoot.value } : {}),
      },
      verification,
      bundle: bundle.value,
      nowMs: MOCK_NOW_MS,
      vin: VIN,
      ecu: { serial: SERIALS.EDT, hardwareId: 'EDT-HW-1', name: 'EDT' },
    });
    if (!verified.ok) throw new Error(verified.reason);
    expect(verified.value.target?.name).toBe(release.name);
    expect(versionsOf(verified.value.trust.director).root).toBe(2);
  });

  it('needs a time for the ECU’s own nonce: another one is a freeze, and none is the network', async () => {
    const { w } = world();
    const source = await w.open();
    await w.check(source);
    w.backend.timeFaults = Array.from({ length: 4 }, () => away);
    expect(await w.run(source.bundle('EDT', state, never))).toMatchObject({
      ok: false,
      code: 'BACKEND',
      transient: true,
      reason: expect.stringContaining('the network is away'),
    });
    expect(w.json('trust/report.json')).toMatchObject({ attack: null });
    w.backend.makeTime = () => w.backend.attest(MOCK_NOW_MS, ['11'.repeat(16)]);
    expect(await w.run(source.bundle('EDT', state, never))).toMatchObject({ attack: 'FREEZE' });
    const { nonce: _nonce, ...silent } = state;
    expect(await w.run(source.bundle('EDT', silent, never))).toMatchObject({ attack: 'FREEZE' });
    expect(w.json('trust/report.json')).toMatchObject({ attack: 'FREEZE' });
    expect(await w.run(source.bundle('EDT', state, AbortSignal.abort()))).toMatchObject({
      code: 'INTERRUPTED',
    });
  });
});

describe('an image for an ECU that verifies nothing', () => {
  function other() {
    const w = new UptaneWorld();
    const release = w.mock.release('OTHER');
    w.mock.assign(SERIALS.OTHER, release);
    const wanted = {
      ecu: 'OTHER',
      targetName: release.name,
      to: { sha256: release.target.hashes.sha256!, size: release.image.length },
    };
    return { w, wanted };
  }

  it('stands as long as the last verification is fresh', async () => {
    const { w, wanted } = other();
    const source = await w.open();
    await w.check(source);
    w.backend.fetched.length = 0;
    expect(await w.run(source.stands(wanted, never))).toEqual({ ok: true });
    expect(w.backend.fetched).toEqual([]);
    const changed = { ...wanted, to: { ...wanted.to, sha256: 'e'.repeat(64) } };
    expect(await w.run(source.stands(changed, never))).toMatchObject({
      ok: false,
      code: 'UNTRUSTED',
      attack: 'UNKNOWN_TARGET',
    });
  });

  it('is verified again after a restart, and after a day', async () => {
    const { w, wanted } = other();
    await w.once();
    const source = await w.open();
    w.backend.fetched.length = 0;
    expect(await w.run(source.stands(wanted, never))).toEqual({ ok: true });
    expect(w.backend.fetched.length).toBeGreaterThan(0);
    await w.clock.advance(DAY);
    w.mock.skip(DAY);
    w.mock.director.clearTargets();
    w.mock.director.publish();
    expect(await w.run(source.stands(wanted, never))).toMatchObject({ attack: 'UNKNOWN_TARGET' });
    await w.clock.advance(DAY);
    w.backend.checkinFaults = Array.from({ length: 4 }, () => away);
    expect(await w.run(source.stands(wanted, never))).toMatchObject({ code: 'BACKEND' });
  });
});

describe('the state directory', () => {
  it('without a Root is refused with what to do', async () => {
    const w = new UptaneWorld();
    await expect(w.open({ anchors: undefined as never })).rejects.toThrow('can-ota provision');
  });

  it('whose files are damaged fetches them again, all but the Root', async () => {
    const { w } = world();
    await w.once();
    w.storage.corrupt('trust/director/targets.json', 200);
    w.storage.corrupt('trust/images/snapshot.json', 100);
    expect((await w.once()).kind).toBe('offers');
    w.storage.corrupt('trust/director/root.json', 100);
    await expect(w.once()).rejects.toThrow('trust/director');
  });

  it.each([
    ['time', 'time.json', 'latest attested time'],
    ['counters', 'counters.json', 'release counters'],
    ['report numbers', 'report.json', 'last version report'],
  ])('whose floor of %s is damaged is refused, until a person decides', async (_, name, what) => {
    const { w } = world();
    const source = await w.open();
    await w.check(source);
    await source.installed([{ ecu: 'EDT', releaseCounter: 1 }]);
    const file = `trust/${name}`;
    const whole = (await w.storage.read(file))!;
    const text = new TextDecoder().decode(whole);
    const lower = text.replace(/:\d/, (digits) => (digits === ':1' ? ':0' : ':1'));
    for (const damage of [
      '',
      '{',
      '[]',
      'null',
      '{"sha256":"x"}',
      text.slice(0, -3),
      `${text}${text}`,
      '\0'.repeat(text.length),
      lower,
      text.replace(/:\d+/, ':-1').replace(/,"sha256":"[0-9a-f]*"/, ''),
    ]) {
      await w.storage.replace(file, new TextEncoder().encode(damage));
      const opened = w.open();
      await expect(opened, damage).rejects.toThrow(InputError);
      await expect(opened, damage).rejects.toThrow(`${file}: is damaged (`);
      await expect(opened, damage).rejects.toThrow(what);
    }
    // The ways to repair it: the copy, a file written by hand, or no file.
    for (const bytes of [
      whole,
      new TextEncoder().encode(text.replace(/,"sha256":"[0-9a-f]*"/, '')),
      undefined,
    ]) {
      if (bytes === undefined) await w.storage.remove(file);
      else await w.storage.replace(file, bytes);
      expect((await w.once()).kind).toBe('offers');
    }
  });

  it('an ECU that the identity does not know is named', async () => {
    const w = new UptaneWorld();
    await w.open({ identity: { serial: TMU_SERIAL, ecus: {} } });
    expect(w.eventsOf('warning').map(({ ecu }) => ecu)).toEqual(
      vehicle.ecus.map(({ name }) => name),
    );
  });
});

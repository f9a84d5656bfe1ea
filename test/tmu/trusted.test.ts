// Which releases the daemon acts on, how often it checks signatures, and what it does when a check fails.

import { describe, expect, it } from 'vitest';
import type { Offer } from '../../src/campaign/ports.ts';
import { STALENESS_MS } from '../../src/tmu/check.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';
import { bytesOf, offerOf, refused, sha256, vehicle, World } from './support.ts';

const edt = bytesOf(5000, 1);
const HOUR = 3_600_000;

function world(): World {
  const made = new World();
  made.backend.release('EDT', '2.0.0', edt);
  return made;
}

const checks = (w: World): number => w.trusted.calls.filter((call) => call === 'check').length;

describe('the poll', () => {
  it('checks no signature while the hint says that nothing is new', async () => {
    const w = world();
    const tmu = w.tmu();
    const run = () => w.clock.within(600_000, tmu.runOnce(new AbortController().signal));
    expect((await run()).outcome).toBe('SUCCESS');
    w.trusted.calls.length = 0;
    w.backend.calls.length = 0;
    for (let poll = 0; poll < 40; poll++) {
      expect((await run()).outcome).toBe('UP_TO_DATE');
      await w.clock.advance(60_000);
    }
    expect(w.trusted.calls).toEqual([]);
    expect(new Set(w.backend.calls.filter((call) => call.startsWith('latest')))).toEqual(
      new Set(['latest 304']),
    );
    // An hour, plus or minus a fifth, after the last check.
    await w.clock.advance(HOUR);
    expect((await run()).outcome).toBe('UP_TO_DATE');
    expect(w.trusted.calls).toEqual(['check']);
    await run();
    expect(w.trusted.calls).toEqual(['check']);
  });

  it('checks again after a restart only when it is due', async () => {
    const w = world();
    await w.once();
    expect(checks(w)).toBe(1);
    await w.once();
    expect(checks(w)).toBe(1);
    await w.clock.advance(2 * HOUR);
    await w.once();
    expect(checks(w)).toBe(2);
  });

  it('is not fooled by a clock that was put back', async () => {
    const w = world();
    await w.once();
    const { wallMs } = w.clock;
    w.clock.wallMs = () => wallMs.call(w.clock) - 365 * 24 * HOUR;
    await w.once();
    expect(checks(w)).toBe(2);
  });

  it('believes nothing that only the hint says', async () => {
    const w = world();
    w.trusted.offers = [];
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    expect(w.backend.calls.filter((call) => call.startsWith('download'))).toEqual([]);
    expect(w.ecu('EDT').calls).toEqual([]);
  });

  it('installs what is signed, whatever the hint says of it', async () => {
    const w = world();
    const other = bytesOf(300, 9);
    w.backend.images.set('signed.bin', other);
    const signed = offerOf({
      ecu: 'EDT',
      version: '2.0.0',
      file: 'signed.bin',
      size: other.length,
      sha256: sha256(other),
      notes: '',
    });
    w.trusted.offers = [signed];
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(w.ecu('EDT').received).toEqual(other);
  });

  it('verifies afresh before a campaign that was only put off', async () => {
    const w = world();
    const untilWallMs = w.clock.wallMs() + 600_000;
    w.approver.answers = [{ kind: 'later', untilWallMs }];
    expect((await w.once()).outcome).toBe('DEFERRED');
    await w.clock.advance(600_000);
    w.backend.calls.length = 0;
    // The release was withdrawn meanwhile.
    w.trusted.offers = [];
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    expect(w.backend.calls).toContain('latest 304');
    expect(checks(w)).toBe(2);
  });
});

describe('a manifest that lacks an ECU', () => {
  const incomplete = 'the Director refuses the manifest; INV: it gives no version report';

  it('is not "up to date": nothing was decided, and every poll looks again', async () => {
    const w = world();
    const aside = { kind: 'offers', offers: [], checkedIn: false, incomplete } as const;
    w.trusted.checks = [aside, aside];
    for (const tries of [1, 2]) {
      expect(await w.once()).toMatchObject({
        outcome: 'PRECONDITION_FAILED',
        code: 'MANIFEST_INCOMPLETE',
        reason: incomplete,
      });
      expect(checks(w)).toBe(tries);
    }
    // The ECU answers again.
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('does not hold up what was decided before', async () => {
    const w = world();
    const offers = w.backend.releases.map(offerOf);
    w.trusted.checks = [{ kind: 'offers', offers, checkedIn: false, incomplete }];
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('of a vehicle that never had metadata ends the same way', async () => {
    const w = world();
    w.trusted.checks = [{ kind: 'incomplete', reason: incomplete }];
    expect(await w.once()).toMatchObject({
      outcome: 'PRECONDITION_FAILED',
      code: 'MANIFEST_INCOMPLETE',
    });
    expect((await w.once()).outcome).toBe('SUCCESS');
  });
});

describe('a check that is not believed', () => {
  const rollback = {
    kind: 'untrusted',
    code: 'ROLLBACK',
    reason: 'director targets: 3 < 4',
  } as const;

  it('touches nothing, tells its code, and is tried again', async () => {
    const w = world();
    w.trusted.checks = [rollback, rollback];
    expect(await w.once()).toMatchObject({
      outcome: 'SECURITY_VALIDATION_FAILED',
      code: 'ROLLBACK',
      reason: 'director targets: 3 < 4',
    });
    expect(w.ecu('EDT').calls).toEqual([]);
    expect(JSON.parse(w.file('status.json')!)).toMatchObject({
      outcome: 'SECURITY_VALIDATION_FAILED',
      code: 'ROLLBACK',
    });
    expect(w.file('progress.txt')).toBe('ERROR\n');
    await w.once();
    expect(w.backend.reports).toMatchObject([
      { outcome: 'SECURITY_VALIDATION_FAILED', code: 'ROLLBACK' }, // reported once
    ]);
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('makes the daemon ask less and less often', async () => {
    const w = world();
    w.trusted.checks = Array.from({ length: 1000 }, () => rollback);
    const abort = new AbortController();
    const tmu = w.tmu();
    const running = tmu.run(abort.signal);
    await w.clock.advance(HOUR);
    abort.abort();
    await w.clock.within(5000, running);
    expect(checks(w)).toBeLessThan(15);
  });

  it('that never comes is no attack, and after a day people are told since when', async () => {
    const w = world();
    await w.once();
    await w.clock.advance(2 * HOUR);
    w.trusted.checks = Array.from({ length: 100 }, () => refused('ECONNREFUSED'));
    expect((await w.once()).outcome).toBe('BACKEND_UNAVAILABLE');
    await w.clock.advance(STALENESS_MS - HOUR);
    expect((await w.once()).outcome).toBe('BACKEND_UNAVAILABLE');
    await w.clock.advance(HOUR);
    const reports = w.backend.reports.length;
    for (let day = 0; day < 21; day++) {
      expect(await w.once()).toMatchObject({
        outcome: 'BACKEND_UNAVAILABLE',
        code: 'ECONNREFUSED',
        reason: expect.stringMatching(/no check has passed since .* \(last on .*gets no updates/),
      });
      await w.clock.advance(STALENESS_MS);
    }
    w.trusted.checks = [];
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    // It is not reported afterwards either.
    expect(w.backend.reports.slice(reports).map(({ code }) => code ?? 'none')).not.toContain(
      'FREEZE',
    );
    // And a new day begins.
    await w.clock.advance(2 * HOUR);
    w.trusted.checks = [refused('ECONNREFUSED')];
    expect((await w.once()).reason).not.toContain('no check has passed');
  });

  it('is told in the same way when the hint never comes, or a captive portal answers', async () => {
    const w = world();
    w.backend.latestFaults = Array.from({ length: 100 }, () =>
      refused('FOREIGN_ANSWER', { transient: false }),
    );
    expect((await w.once()).outcome).toBe('BACKEND_UNAVAILABLE');
    await w.clock.advance(STALENESS_MS);
    expect(await w.once()).toMatchObject({
      outcome: 'BACKEND_UNAVAILABLE',
      code: 'FOREIGN_ANSWER',
      reason: expect.stringMatching(/no check has passed since .* \(never before\)/),
    });
    expect(w.backend.reports).toEqual([]);
  });

  it('a vehicle that was off for two months catches up without help', async () => {
    const w = world();
    await w.once();
    w.backend.release('EDT', '3.0.0', bytesOf(100, 4));
    await w.clock.advance(60 * 24 * HOUR);
    expect((await w.once()).outcome).toBe('SUCCESS');
    // Failures before the vehicle was off count, too: the next one is reported without another day.
    await w.clock.advance(2 * HOUR);
    w.trusted.checks = [refused('ECONNREFUSED'), refused('ECONNREFUSED')];
    expect((await w.once()).outcome).toBe('BACKEND_UNAVAILABLE');
    await w.clock.advance(60 * 24 * HOUR);
    expect(await w.once()).toMatchObject({
      outcome: 'BACKEND_UNAVAILABLE',
      reason: expect.stringContaining('no check has passed since'),
    });
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
  });
});

describe('metadata for an ECU', () => {
  it('is made for what it trusts, and given to it before its bank is erased', async () => {
    const w = world();
    await w.once();
    expect(w.trusted.calls).toEqual(['check', 'bundle EDT', 'checkin']);
    expect(w.ecu('EDT').metadata).toBe('{"for":"EDT"}');
  });

  it('that cannot be had keeps the ECU untouched, and is a freeze', async () => {
    const w = world();
    const frozen = {
      ok: false,
      code: 'UNTRUSTED',
      attack: 'FREEZE',
      reason: 'no time',
      transient: false,
      changed: 'unknown',
    } as const;
    w.trusted.bundles = [frozen];
    expect(await w.once()).toMatchObject({
      outcome: 'SECURITY_VALIDATION_FAILED',
      code: 'FREEZE',
      reason: 'no time',
    });
    expect(w.ecu('EDT').inactive).toBeUndefined();
    expect(w.ecu('EDT').active.version).toBe('1.0.0');
    expect(w.backend.reports.at(-1)).toMatchObject({ code: 'FREEZE' });
    expect(await w.once()).toMatchObject({ code: 'FREEZE', remembered: true });
    // An attacker who disturbs the network must not end updates for good.
    await w.clock.advance(600_000);
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('that the network keeps away is tried again, and is no attack', async () => {
    const w = world();
    const away = {
      ok: false,
      code: 'BACKEND',
      reason: 'a page of somebody else',
      transient: true,
      changed: 'no',
    } as const;
    w.trusted.bundles = [away, away];
    expect((await w.once()).outcome).toBe('SUCCESS');
    w.backend.release('EDT', '3.0.0', bytesOf(300, 3));
    w.trusted.bundles = [away, away, away];
    const { length } = w.backend.reports;
    expect(await w.once()).toMatchObject({ outcome: 'BACKEND_UNAVAILABLE', code: 'BACKEND' });
    expect(w.backend.reports).toHaveLength(length);
    // The driver has approved it and is not asked again at once.
    expect(await w.once()).toMatchObject({ outcome: 'BACKEND_UNAVAILABLE', remembered: true });
    await w.clock.advance(60_000);
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('that the ECU refuses ends the campaign before anything was touched', async () => {
    const w = world();
    w.ecu('EDT').faults.stage = [
      {
        ok: false,
        code: 'UNTRUSTED',
        attack: 'WRONG_ECU',
        reason: 'EDT says no',
        transient: false,
        changed: 'unknown',
      },
    ];
    expect(await w.once()).toMatchObject({
      outcome: 'SECURITY_VALIDATION_FAILED',
      code: 'WRONG_ECU',
      reason: 'EDT says no',
    });
    expect(w.ecu('EDT').calls).toEqual(['identify', 'stage', 'rollback']);
  });

  it('is not for an ECU of another make: there the Primary vouches for the image', async () => {
    const { $schema: _schema, ...plain } = vehicle;
    const other = vehicleSchema.parse({
      ...plain,
      ecus: vehicle.ecus.map((ecu) => ({
        ...ecu,
        programming: { ...ecu.programming, metadata: 'skip' },
      })),
    });
    const w = world();
    expect((await w.once({ vehicle: other })).outcome).toBe('SUCCESS');
    expect(w.trusted.calls).toEqual(['check', 'stands EDT', 'checkin']);
    expect(w.ecu('EDT').metadata).toBeUndefined();
    w.backend.release('EDT', '3.0.0', bytesOf(10, 3));
    w.trusted.standing = [
      { ok: false, code: 'UNTRUSTED', attack: 'UNKNOWN_TARGET', reason: 'gone', transient: false },
    ];
    expect(await w.once({ vehicle: other })).toMatchObject({
      outcome: 'SECURITY_VALIDATION_FAILED',
      code: 'UNKNOWN_TARGET',
    });
    expect(w.ecu('EDT').calls.filter((call) => call === 'stage')).toHaveLength(1);
  });
});

describe('an encrypted image', () => {
  it('is fetched, kept and sent as the blob, and counts as what is inside', async () => {
    const w = world();
    const blob = bytesOf(5200, 8);
    const digest = sha256(blob);
    w.backend.images.set('EDT-blob.bin', blob);
    const plain = offerOf(w.backend.releases[0]!);
    const encryption = {
      file: 'EDT-blob.bin',
      length: blob.length,
      sha256: digest,
      method: 'X25519-HKDF-SHA256-AES-256-GCM',
    } as const;
    const offer: Offer = {
      ...plain,
      download: { file: encryption.file, size: blob.length, sha256: digest },
      encryption,
    };
    w.trusted.offers = [offer];
    const result = await w.once();
    expect(result).toMatchObject({
      outcome: 'SUCCESS',
      ecus: [{ name: 'EDT', sha256: sha256(edt), bytes: 5200 }],
    });
    expect(w.ecu('EDT').received).toEqual(blob);
    expect(await w.storage.list('images')).toEqual([`${digest}.bin`]);
    expect(w.file('downloaded_sha.txt')).toBe(`${sha256(edt)}  EDT 2.0.0\n`);
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    expect(await w.storage.list('images')).toEqual([`${digest}.bin`]);
  });
});

describe('after a campaign', () => {
  it('the Director hears of it, whatever its end', async () => {
    const w = world();
    w.ecu('EDT').fail('verify', 'SELF_TEST');
    expect((await w.once()).outcome).toBe('ROLLBACK_COMPLETED');
    expect(w.trusted.calls.at(-1)).toBe('checkin');
    expect(w.trusted.counters).toEqual({});
  });

  it('a check-in that fails waits in the outbox, through restarts', async () => {
    const w = world();
    w.trusted.checkins = [refused('HTTP_503')];
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(JSON.parse(w.file('outbox.json')!)).toEqual([{ id: 'checkin', checkin: true }]);
    w.trusted.calls.length = 0;
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    expect(w.trusted.calls).toEqual(['checkin']);
    expect(w.file('outbox.json')).toBe('[]\n');
  });

  it('a check that told the Director makes the waiting one needless', async () => {
    const w = world();
    w.trusted.checkins = [refused('HTTP_503')];
    await w.once();
    w.trusted.calls.length = 0;
    await w.clock.advance(2 * HOUR);
    await w.once();
    expect(w.trusted.calls).toEqual(['check']);
  });

  it('what was installed is the least that may come from now on', async () => {
    const w = world();
    w.trusted.offers = [{ ...offerOf(w.backend.releases[0]!), releaseCounter: 7 }];
    await w.once();
    expect(w.trusted.counters).toEqual({ EDT: 7 });
  });
});

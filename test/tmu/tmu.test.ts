// Whole cycles of the daemon: outcomes, memory, files, polls.

import { describe, expect, it } from 'vitest';
import { decodeJournal, JOURNAL_FILE } from '../../src/campaign/journal.ts';
import {
  type ApprovalAnswer,
  alwaysReady,
  type ConditionQuery,
  type VehicleCondition,
  type VehicleState,
} from '../../src/campaign/ports.ts';
import { StorageError } from '../../src/core/storage.ts';
import { bytesOf, refused, sha256, vehicle, World } from './support.ts';

const edt = bytesOf(5000, 1);
const inv = bytesOf(7000, 2);

function world(): World {
  const made = new World();
  made.backend.release('EDT', '2.0.0', edt);
  made.backend.release('INV', '2.0.0', inv);
  return made;
}

describe('an update of two ECUs', () => {
  it('goes the whole way, and says so', async () => {
    const w = world();
    const result = await w.once();
    expect(result).toMatchObject({
      outcome: 'SUCCESS',
      ecus: [
        {
          name: 'EDT',
          from: '1.0.0',
          to: '2.0.0',
          reported: '2.0.0',
          sha256: sha256(edt),
          bytes: 5000,
          seconds: 2,
        },
        { name: 'INV', from: '1.0.0', to: '2.0.0', reported: '2.0.0', sha256: sha256(inv) },
      ],
    });
    expect(w.ecu('EDT').received).toEqual(edt);
    expect(w.ecu('INV').mode).toBe('confirmed');
    expect(w.ecu('CGW').calls).toEqual([]);
    expect(w.backend.calls).toEqual([
      'latest',
      'nonce',
      'download EDT 0 nonce-1',
      'nonce',
      'download INV 0 nonce-2',
      'report SUCCESS',
    ]);
    expect(w.backend.reports).toEqual([
      {
        vin: vehicle.vin,
        outcome: 'SUCCESS',
        campaign: result.campaign,
        ecus: [
          {
            name: 'EDT',
            hardwareId: 'EDT-HW',
            from: '1.0.0',
            version: '2.0.0',
            sha256: sha256(edt),
          },
          {
            name: 'INV',
            hardwareId: 'INV-HW',
            from: '1.0.0',
            version: '2.0.0',
            sha256: sha256(inv),
          },
        ],
      },
    ]);
    expect(w.eventsOf('state').map(({ state }) => state)).toEqual([
      'checking',
      'downloading',
      'awaiting-approval',
      'staging',
      'activating',
      'verifying',
      'committing',
      'idle',
    ]);
    expect(w.events.at(-1)).toEqual({ kind: 'outcome', ...result });
    for (const event of w.events) expect(JSON.parse(JSON.stringify(event))).toEqual(event);
  });

  it('keeps its files', async () => {
    const w = world();
    await w.once();
    expect(w.file('downloaded_sha.txt')).toBe(
      `${sha256(edt)}  EDT 2.0.0\n${sha256(inv)}  INV 2.0.0\n`,
    );
    expect(w.file('progress.txt')).toBe('100\n');
    expect(JSON.parse(w.file('status.json')!)).toMatchObject({
      state: 'idle',
      outcome: 'SUCCESS',
      progress: 100,
      lastError: null,
      ecus: { EDT: { from: '1.0.0', to: '2.0.0', step: 'commit done' } },
    });
    expect(await w.storage.list('images')).toEqual(
      [`${sha256(edt)}.bin`, `${sha256(inv)}.bin`].sort(),
    );
    expect(w.file('state.json')).toContain('"EDT"');
  });

  it('asks the driver with the facts of the plan', async () => {
    const w = world();
    await w.once();
    expect(w.approver.asked).toHaveLength(1);
    expect(w.approver.asked[0]!.facts).toMatchObject({
      vin: vehicle.vin,
      ecus: [
        { name: 'EDT', from: '1.0.0', to: '2.0.0', changes: 'notes of EDT' },
        { name: 'INV', from: '1.0.0', to: '2.0.0', changes: 'notes of INV' },
      ],
      unavailable: ['the EDT', 'the INV'],
      timeoutSeconds: 30,
    });
  });

  it('progress goes up from 0 to 100 and is written seldom', async () => {
    const w = world();
    const seen: string[] = [];
    let writes = 0;
    const replace = w.storage.replace.bind(w.storage);
    w.storage.replace = async (name, bytes) => {
      if (name === 'progress.txt') seen.push(new TextDecoder().decode(bytes).trim());
      if (name === 'status.json') writes++;
      return replace(name, bytes);
    };
    w.backend.chunkBytes = 10;
    await w.once();
    expect(Number(seen[0])).toBeLessThan(20);
    expect(seen.at(-1)).toBe('100');
    expect(seen.map(Number)).toEqual([...seen.map(Number)].sort((a, b) => a - b));
    expect(writes).toBeLessThan(5 * (w.clock.nowMs() / 1000 + 1) + 5);
    const progress = w.eventsOf('download-progress').filter(({ ecu }) => ecu === 'EDT');
    expect(progress.length).toBeLessThan(20);
    expect(progress.at(-1)).toMatchObject({ received: 5000, total: 5000 });
  });
});

describe('nothing new', () => {
  it('costs one conditional request, no bus, and no write', async () => {
    const w = world();
    const tmu = w.tmu();
    const run = () => w.clock.within(600_000, tmu.runOnce(new AbortController().signal));
    await run();
    expect((await run()).outcome).toBe('UP_TO_DATE'); // asks the ECUs once more after the change
    w.backend.calls.length = 0;
    for (const ecu of w.ecus.values()) ecu.calls.length = 0;
    const durable = ['state.json', JOURNAL_FILE, 'downloaded_sha.txt', 'outbox.json'];
    const before = durable.map((name) => w.file(name));
    expect((await run()).outcome).toBe('UP_TO_DATE');
    expect(w.backend.calls).toEqual(['latest 304']);
    expect([...w.ecus.values()].flatMap(({ calls }) => calls)).toEqual([]);
    expect(durable.map((name) => w.file(name))).toEqual(before);
  });

  it('is known again after a restart', async () => {
    const w = world();
    await w.once();
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    expect(w.approver.asked).toHaveLength(1);
    expect(w.backend.calls.filter((call) => call.startsWith('download'))).toHaveLength(2);
  });

  it('is what an ECU says that runs the release already', async () => {
    const w = world();
    w.ecu('EDT').active = { version: '2.0.0', sha256: sha256(edt) };
    w.ecu('INV').active = { version: '9.0.0', sha256: sha256(edt) }; // never rolled back to 2.0.0
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    expect(w.file('downloaded_sha.txt')).toContain(`${sha256(edt)}  EDT 2.0.0`);
    expect(w.backend.reports).toMatchObject([{ outcome: 'UP_TO_DATE' }]);
  });

  it('the ECU is right where the file is wrong', async () => {
    const w = world();
    await w.once();
    w.ecu('EDT').active = { version: '1.5.0', sha256: sha256(bytesOf(10)) };
    const result = await w.once();
    expect(result.outcome).toBe('SUCCESS');
    expect(result.ecus.map(({ name, from }) => `${name} ${from}`)).toEqual(['EDT 1.5.0']);
  });
});

describe('the driver', () => {
  const answers: [ApprovalAnswer, string][] = [
    [{ kind: 'denied' }, 'USER_REJECTED'],
    [{ kind: 'timed-out' }, 'DEFERRED'],
    [{ kind: 'unreachable', reason: 'no CGW' }, 'PRECONDITION_FAILED'],
    [{ kind: 'forged', reason: 'MAC' }, 'SECURITY_VALIDATION_FAILED'],
  ];
  it.each(answers)('%o is %s, and no ECU is touched', async (answer, outcome) => {
    const w = world();
    w.approver.answers = [answer];
    const result = await w.once();
    expect(result.outcome).toBe(outcome);
    expect(w.ecu('EDT').calls).toEqual(['identify']);
    expect(w.ecu('EDT').active.version).toBe('1.0.0');
    expect(w.backend.reports.at(-1)).toMatchObject({ outcome });
    expect(w.file('progress.txt')).toBe(/REJ|DEF/.test(outcome) ? '0\n' : 'ERROR\n');
  });

  it('who denied is not asked again until the releases change', async () => {
    const w = world();
    w.approver.answers = [{ kind: 'denied' }];
    await w.once();
    await w.clock.advance(30 * 86_400_000);
    expect(await w.once()).toMatchObject({
      outcome: 'USER_REJECTED',
      code: 'DENIED',
      remembered: true,
    });
    expect(w.approver.asked).toHaveLength(1);
    expect(await w.storage.list('images')).toEqual([]);
    w.backend.release('EDT', '2.0.1', bytesOf(10, 5));
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('who said "later" is asked again then, without another download', async () => {
    const w = world();
    const untilWallMs = w.clock.wallMs() + 3_600_000;
    w.approver.answers = [{ kind: 'later', untilWallMs }];
    expect(await w.once()).toMatchObject({ outcome: 'DEFERRED', untilWallMs });
    expect(await w.once()).toMatchObject({ outcome: 'DEFERRED', remembered: true, untilWallMs });
    await w.clock.advance(3_600_000);
    w.backend.calls.length = 0;
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(w.backend.calls.filter((call) => call.startsWith('download'))).toEqual([]);
  });

  it('who withdraws before the activation gets the old software back', async () => {
    const w = world();
    // At the gate, before the first erase, at the second gate.
    w.approver.rechecks = [{ kind: 'approved' }, { kind: 'approved' }, { kind: 'withdrawn' }];
    expect(await w.once()).toMatchObject({ outcome: 'USER_REJECTED', code: 'WITHDRAWN' });
    expect(w.ecu('EDT').calls).toEqual(['identify', 'stage', 'rollback']);
    expect(w.ecu('EDT').inactive).toBeUndefined();
  });
});

describe('failures', () => {
  it('a backend that is away: three retries with growing, jittered pauses', async () => {
    const w = world();
    w.backend.latestFaults = Array.from({ length: 4 }, () => refused('ECONNREFUSED'));
    expect(await w.once()).toMatchObject({ outcome: 'BACKEND_UNAVAILABLE', code: 'ECONNREFUSED' });
    expect(w.backend.calls).toEqual(['latest', 'latest', 'latest', 'latest']);
    const delays = w.eventsOf('retry').map(({ delayMs }) => delayMs);
    expect(delays).toHaveLength(3);
    for (const [index, delayMs] of delays.entries()) {
      expect(delayMs).toBeGreaterThanOrEqual(700 * 2 ** index);
      expect(delayMs).toBeLessThanOrEqual(1300 * 2 ** index);
      expect(delayMs % 500).not.toBe(0);
    }
    expect(w.file('progress.txt')).toBe('ERROR\n');
    expect(w.file(JOURNAL_FILE)).toBe('');
  });

  it('an ECU that fails in the middle: both go back, and the release is not tried again', async () => {
    const w = world();
    w.ecu('INV').fail('activate', 'SELF_TEST');
    const result = await w.once();
    expect(result).toMatchObject({ outcome: 'ROLLBACK_COMPLETED', code: 'SELF_TEST' });
    expect(w.ecu('EDT').active.version).toBe('1.0.0');
    expect(w.ecu('EDT').calls).toEqual(['identify', 'stage', 'activate', 'rollback']);
    expect(w.backend.reports[0]).toMatchObject({
      outcome: 'ROLLBACK_COMPLETED',
      ecus: [{ version: '1.0.0' }, { version: '1.0.0', error: 'INV SELF_TEST' }],
    });
    await w.clock.advance(86_400_000);
    expect(await w.once()).toMatchObject({ outcome: 'ROLLBACK_COMPLETED', remembered: true });
    expect(w.approver.asked).toHaveLength(1);
    w.backend.release('INV', '2.0.1', bytesOf(10, 5));
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('a rollback that fails: the mixed state is spelled out', async () => {
    const w = world();
    w.ecu('INV').fail('verify', 'SELF_TEST');
    w.ecu('EDT').fail('rollback', 'REFUSED');
    const result = await w.once();
    expect(result.outcome).toBe('ROLLBACK_FAILED');
    expect(result.reason).toContain('EDT may run 2.0.0');
    expect(result.reason).toContain('INV runs 1.0.0 (old)');
  });

  it('an ECU that is silent for a moment is tried again', async () => {
    const w = world();
    w.ecu('EDT').fail('stage', 'SILENT', 'SILENT');
    w.ecu('INV').fail('verify', 'SILENT');
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('a silent ECU with news: nothing is started', async () => {
    const w = world();
    w.ecu('INV').fail('identify', 'SILENT');
    expect(await w.once()).toMatchObject({ outcome: 'PRECONDITION_FAILED', code: 'SILENT' });
    expect(w.backend.calls).toEqual(['latest']);
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('a silent ECU without news is a warning', async () => {
    const w = world();
    await w.once();
    w.ecu('INV').fail('identify', 'SILENT');
    w.backend.release('EDT', '3.0.0', bytesOf(20, 8));
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(w.eventsOf('warning')).toMatchObject([{ ecu: 'INV', text: 'INV SILENT' }]);
  });

  it('an image that is too large for its bank is not even fetched', async () => {
    const w = world();
    w.backend.release('EDT', '2.0.0', bytesOf(64 * 1024 + 1));
    expect(await w.once()).toMatchObject({
      outcome: 'PRECONDITION_FAILED',
      code: 'IMAGE_TOO_LARGE',
    });
    expect(w.backend.calls).toEqual(['latest', 'report PRECONDITION_FAILED']);
    expect(await w.once()).toMatchObject({ code: 'IMAGE_TOO_LARGE', remembered: true });
    expect(w.backend.reports).toHaveLength(1);
  });

  it('wrong bytes are tried again at once, then after longer and longer pauses, and never end a release', async () => {
    const w = world();
    const wrong = { bytes: bytesOf(5000, 66) };
    const hours = [1 / 6, 1 / 3, 2 / 3, 4 / 3, 8 / 3, 16 / 3, 32 / 3, 64 / 3, 24, 24];
    for (const pause of hours) {
      w.backend.downloadFaults = [wrong, wrong, wrong, wrong];
      expect(await w.once()).toMatchObject({
        outcome: 'DOWNLOAD_INTEGRITY_FAILED',
        code: 'DIGEST_MISMATCH',
      });
      await w.clock.advance(pause * 3_600_000 - 60_000);
      expect(await w.once()).toMatchObject({ remembered: true });
      await w.clock.advance(60_000);
    }
    const calls = w.backend.calls.filter((call) => call.startsWith('download'));
    expect(calls).toHaveLength(4 * hours.length);
    expect(new Set(calls.map((call) => call.split(' ').at(-1))).size).toBe(calls.length);
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('a right image of the same set lets the pauses begin with the shortest again', async () => {
    const w = world();
    w.backend.release('INV', '2.0.0', bytesOf(400, 9));
    const wrong = { bytes: bytesOf(5000, 66) };
    const spoilt = { outcome: 'DOWNLOAD_INTEGRITY_FAILED' };
    for (const minutes of [10, 20, 40]) {
      w.backend.downloadFaults = [wrong, wrong, wrong, wrong];
      expect(await w.once()).toMatchObject(spoilt);
      await w.clock.advance(minutes * 60_000);
    }
    // The first one comes; the second one does not.
    w.backend.downloadFaults = [{}, wrong, wrong, wrong, wrong];
    expect(await w.once()).toMatchObject(spoilt);
    await w.clock.advance(9 * 60_000);
    expect(await w.once()).toMatchObject({ remembered: true });
    // An image that is stored already does not count as a successful download.
    for (const minutes of [1, 20]) {
      await w.clock.advance(minutes * 60_000);
      w.backend.downloadFaults = [wrong, wrong, wrong, wrong];
      expect(await w.once()).toMatchObject(spoilt);
    }
    await w.clock.advance(39 * 60_000);
    expect(await w.once()).toMatchObject({ remembered: true });
    await w.clock.advance(60_000);
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('conditions of the vehicle, before the first erase and before the activation', async () => {
    const w = world();
    const moving = { ok: false, condition: 'standing', reason: 'the vehicle moves' } as const;
    const states: VehicleCondition[] = [moving];
    const queries: ConditionQuery[] = [];
    const vehicleState: VehicleState = {
      ...alwaysReady,
      check: async (query) => {
        queries.push(query);
        return states.shift() ?? { ok: true };
      },
    };
    expect(await w.once({ vehicleState })).toMatchObject({
      outcome: 'PRECONDITION_FAILED',
      reason: 'the vehicle moves',
    });
    expect(w.ecu('EDT').calls).toEqual(['identify']);
    await w.clock.advance(120_000);
    states.push({ ok: true }, moving);
    expect((await w.once({ vehicleState })).outcome).toBe('PRECONDITION_FAILED');
    expect(w.ecu('EDT').calls.slice(-2)).toEqual(['stage', 'rollback']);
    await w.clock.advance(240_000);
    expect((await w.once({ vehicleState })).outcome).toBe('SUCCESS');
    // Two banks: a rollback takes two restarts, as does the work after the staging.
    expect(queries.slice(-2)).toEqual([
      { gate: 'stage', updateSeconds: 11, rollbackSeconds: 10 },
      { gate: 'activate', updateSeconds: 10, rollbackSeconds: 10 },
    ]);
  });

  it('a full disk: a clear error, and the next try carries on', async () => {
    const w = world();
    w.backend.chunkBytes = 500;
    const original = w.storage.open.bind(w.storage);
    w.storage.open = async (name) => {
      const file = await original(name);
      if (!name.endsWith('.part')) return file;
      const write = file.write.bind(file);
      file.write = async (offset, bytes) => {
        if (offset >= 2000) throw new StorageError('NO_SPACE', name, 'no space left');
        await write(offset, bytes);
      };
      return file;
    };
    await expect(w.once()).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect(await w.storage.list('images')).toEqual([]); // no partial file fills the disk
    expect(w.file('progress.txt')).toBe('ERROR\n');
    expect(JSON.parse(w.file('status.json')!).lastError).toContain('no space left');
    w.storage.open = original;
    expect((await w.once()).outcome).toBe('SUCCESS');
  });
});

describe('reports', () => {
  it('wait for the backend, through restarts, in order', async () => {
    const w = world();
    w.backend.reportFaults = [refused('HTTP_503')];
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(w.backend.reports).toEqual([]);
    expect(JSON.parse(w.file('outbox.json')!)).toHaveLength(2); // and the check-in after it
    await w.once();
    expect(w.backend.reports.map(({ outcome }) => outcome)).toEqual(['SUCCESS', 'UP_TO_DATE']);
    expect(w.file('outbox.json')).toBe('[]\n');
  });

  it('that the backend will never take do not keep others back', async () => {
    const w = world();
    w.backend.reportFaults = [refused('HTTP_400', { transient: false })];
    await w.once();
    expect(w.file('outbox.json')).toBe('[]\n');
  });
});

it('the journal of a campaign is what happened', async () => {
  const w = world();
  await w.once();
  const { records } = decodeJournal(w.storage.contents(JOURNAL_FILE)!);
  expect(records.map(({ event }) => event.kind)).toEqual([
    'offered',
    'downloaded',
    'downloaded',
    'answered',
    'gate',
    'changing',
    'staged',
    'changing',
    'staged',
    'gate',
    'changing',
    'activated',
    'changing',
    'activated',
    'verified',
    'verified',
    'confirmed',
    'confirmed',
    'committed',
    'committed',
    'closed',
  ]);
});

// The journal: what is torn does not count, what is damaged is told, what fails leaves it as it was.

import { describe, expect, it } from 'vitest';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import {
  decodeJournal,
  encodeRecord,
  JOURNAL_FILE,
  Journal,
  OLD_JOURNAL_FILE,
} from '../../src/campaign/journal.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { HAPPY, staged } from './support.ts';

const records = HAPPY.map((event, sequence) => ({ sequence, wallMs: 1000 + sequence, event }));
const whole = concatBytes(...records.map(encodeRecord));

describe('records', () => {
  it('have a form that stays', () => {
    expect(
      new TextDecoder().decode(encodeRecord({ sequence: 3, wallMs: 5, event: staged('EDT') })),
    ).toBe(
      'eb034ed85610a1f3 {"n":3,"at":5,"event":{"kind":"staged","ecu":"EDT","bytes":1000,"seconds":2,"changed":"yes"}}\n',
    );
  });

  it('come back', () => {
    expect(decodeJournal(whole)).toEqual({ records, goodBytes: whole.length, end: 'whole' });
  });

  it('count up to where the file was cut, wherever that is', () => {
    for (let length = 0; length < whole.length; length += 13) {
      const { records: read, end, goodBytes } = decodeJournal(whole.subarray(0, length));
      expect(read).toEqual(records.slice(0, read.length));
      expect(end).toBe(goodBytes === length ? 'whole' : 'torn');
    }
  });

  it('behind a damaged one are not trusted, and the damage is told', () => {
    const damaged = Uint8Array.from(whole);
    damaged[encodeRecord(records[0]!).length + 30]! ^= 1;
    const content = decodeJournal(damaged);
    expect(content).toMatchObject({ end: 'damaged', records: records.slice(0, 1) });
    const missing = concatBytes(encodeRecord(records[0]!), encodeRecord(records[2]!));
    expect(decodeJournal(missing).records).toHaveLength(1);
  });
});

describe('the file', () => {
  it('never gets a record that would be taken for damage', async () => {
    const storage = new FaultStorage();
    const { journal } = await Journal.open(storage);
    await journal.append(HAPPY[0]!, 1);
    // The types do not stop a member that comes along with another one's object.
    const answer = { kind: 'unreachable' as const, reason: 'silent', refused: true };
    const event: CampaignEvent = { kind: 'answered', phase: 'install', by: 'driver', answer };
    await expect(journal.append(event, 2)).rejects.toThrow(/cannot be read again/);
    await journal.append(HAPPY[1]!, 3);
    const { records: read, end } = decodeJournal(storage.contents(JOURNAL_FILE)!);
    expect(read.map((record) => record.event)).toEqual(HAPPY.slice(0, 2));
    expect(end).toBe('whole');
  });

  it('holds what was appended before the power went, and nothing torn after it', async () => {
    for (const when of ['before', 'after'] as const) {
      for (let at = 1; ; at++) {
        const storage = new FaultStorage();
        storage.cut = { at, when };
        let appended = 0;
        const run = async (): Promise<void> => {
          const { journal } = await Journal.open(storage);
          for (const event of HAPPY.slice(0, 4)) {
            await journal.append(event, 1);
            appended++;
          }
        };
        await run().catch(() => {});
        if (!storage.powerLost) break;
        for (const fate of ['lost', 'kept', { keep: () => true }] as const) {
          const after = storage.afterPowerCut(fate);
          const { journal, content } = await Journal.open(after);
          expect(content.end).not.toBe('damaged');
          expect(content.records.length).toBeGreaterThanOrEqual(appended);
          expect(content.records.length).toBeLessThanOrEqual(appended + 1);
          // And it goes on from there.
          await journal.append(staged('EDT'), 2);
          const again = decodeJournal((await after.read(JOURNAL_FILE))!);
          expect(again.end).toBe('whole');
          expect(again.records.at(-1)!.event).toEqual(staged('EDT'));
        }
      }
    }
  });

  it('is as before after a full disk', async () => {
    const storage = new FaultStorage();
    const { journal } = await Journal.open(storage);
    await journal.append(staged('EDT'), 1);
    storage.failing = 'NO_SPACE';
    await expect(journal.append(staged('INV'), 2)).rejects.toMatchObject({ code: 'NO_SPACE' });
    storage.failing = undefined;
    await journal.append(staged('BMS'), 3);
    const { content } = await Journal.open(storage);
    expect(content.records.map(({ event }) => event)).toEqual([staged('EDT'), staged('BMS')]);
  });

  it('is begun anew by a rotation, and the old one stays', async () => {
    const storage = new FaultStorage();
    const { journal } = await Journal.open(storage);
    await journal.append(staged('EDT'), 1);
    await journal.rotate();
    expect(journal.sizeBytes).toBe(0);
    await journal.append(staged('INV'), 2);
    expect(decodeJournal(storage.contents(OLD_JOURNAL_FILE)!).records).toHaveLength(1);
    expect(decodeJournal(storage.contents(JOURNAL_FILE)!).records).toHaveLength(1);
  });
});

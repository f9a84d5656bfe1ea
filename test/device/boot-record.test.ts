// Every decision about which bank runs: new ones on trial, unconfirmed ones not for ever, left ones never again.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  activated,
  confirmed,
  type DeviceBootRecord,
  decideBoot,
  fellBack,
  installed,
  TRIAL_BOOTS,
  writing,
} from '../../src/device/boot-record.ts';

const image = (counter: number) => ({
  version: `${counter}.0.0`,
  counter,
  length: 100,
  sha256: String(counter).repeat(64),
  signed: '{}',
});
const factory = installed({ ...image(0), signed: null });

/** As a boot does it: the record is stored, the bank runs. */
function boot(record: DeviceBootRecord): {
  record: DeviceBootRecord;
  version: string;
  trial: boolean;
} {
  const decision = decideBoot(record);
  if (decision.run === 'recovery') return { record: decision.record, version: '', trial: false };
  const { bank, trial } = decision.run;
  return { record: decision.record, version: decision.record.banks[bank].version, trial };
}

describe('the boot record', () => {
  it('runs what the factory put there, and does not count its boots', () => {
    expect(boot(factory)).toEqual({ record: factory, version: '0.0.0', trial: false });
  });

  it('leaves the running bank alone while the other one is written', () => {
    const record = writing(factory);
    expect(record.banks[0]).toEqual(factory.banks[0]);
    expect(boot(record)).toMatchObject({ version: '0.0.0', trial: false });
  });

  it('tries a new image so often and no oftener, then leaves it', () => {
    let record = activated(writing(factory), image(2));
    for (let tries = 0; tries < TRIAL_BOOTS; tries++) {
      const tried = boot(record);
      expect(tried).toMatchObject({ version: '2.0.0', trial: true });
      record = tried.record;
    }
    const after = boot(record);
    expect(after).toMatchObject({ version: '0.0.0', trial: false });
    expect(after.record.left).toMatchObject({ sha256: '2'.repeat(64) });
    expect(boot(after.record).version).toBe('0.0.0');
  });

  it('runs a confirmed image for good, and raises the counter with it', () => {
    const { record } = boot(activated(writing(factory), image(2)));
    expect(record.counter).toBe(0);
    const done = confirmed(record);
    expect(done.counter).toBe(2);
    expect(boot(done)).toEqual({ record: done, version: '2.0.0', trial: false });
  });

  it('never runs again what was left', () => {
    const { record } = boot(activated(writing(factory), image(2)));
    const back = fellBack(record, 'it hangs');
    expect(boot(back)).toMatchObject({ version: '0.0.0', trial: false });
    expect(boot(fellBack(back, 'damaged')).version).toBe('');
  });

  it('always has something to run, as long as banks keep what was confirmed in them', () => {
    const step = fc.constantFrom('write', 'activate', 'boot', 'confirm', 'fall-back');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let record = factory;
        let counter = 1;
        for (const each of steps) {
          const onTrial = record.trial !== null;
          // As the client does it: nothing is written during a trial, nothing confirmed without one.
          if (each === 'write' && !onTrial) record = writing(record);
          if (each === 'activate' && !onTrial)
            record = activated(writing(record), image(counter++));
          if (each === 'confirm' && onTrial) record = confirmed(record);
          if (each === 'fall-back' && onTrial) record = fellBack(record, 'x');
          if (each === 'boot') {
            const booted = boot(record);
            expect(booted.version).not.toBe('');
            record = booted.record;
          }
        }
        expect(boot(record).version).not.toBe('');
      }),
    );
  });
});

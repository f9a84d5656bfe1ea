// Remote configuration: checked parameter by parameter, applied without a restart, never lost, and not trusted when
// damaged.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Configuration,
  checkParameter,
  DEFAULT_CONFIGURATION,
  PARAMETER_NAMES,
} from '../../src/contract/configuration.ts';
import { configurationReport } from '../../src/contract/sync.ts';
import { checkConfiguration } from '../../src/tmu/remote/configuration-check.ts';
import { ModelEcus, ServicesWorld } from './remote-support.ts';

const vehicle = {
  ecus: new ModelEcus(new ServicesWorld().clock),
  approval: { download: 'none', install: 'ask', activate: 'none' },
  canAsk: true,
} as const;

function judged(wanted: Record<string, unknown>, before: Partial<Configuration> = {}) {
  const { results, inForce } = checkConfiguration(
    wanted,
    { ...DEFAULT_CONFIGURATION, ...before },
    vehicle,
  );
  const byName = Object.fromEntries(
    results.map((result) => [
      result.parameter,
      result.status === 'rejected' ? result.code : result.status,
    ]),
  );
  return { byName, inForce, results };
}

describe('the judgement', () => {
  it('accepts what is right, and keeps the old value of what is not', () => {
    const { byName, inForce } = judged(
      { pollInterval: 5, uploadInterval: '60', dids: ['INV.FD40'], colour: 'red' },
      { uploadInterval: 120 },
    );
    expect(byName).toEqual({
      pollInterval: 'accepted',
      uploadInterval: 'WRONG_TYPE',
      dids: 'accepted',
      limits: 'unchanged',
      approval: 'unchanged',
      colour: 'UNKNOWN_PARAMETER',
    });
    expect(inForce).toMatchObject({ pollInterval: 5, uploadInterval: 120, dids: ['INV.FD40'] });
  });

  it('takes a parameter that is not wanted back to its default', () => {
    const { byName, inForce } = judged({}, { pollInterval: 5, dids: ['INV.FD40'] });
    expect(byName).toMatchObject({ pollInterval: 'accepted', dids: 'accepted' });
    expect(inForce).toEqual(DEFAULT_CONFIGURATION);
  });

  it.each([
    [{ pollInterval: 0 }, 'OUT_OF_RANGE', /pollInterval/],
    [{ dids: ['INV.FD40', 'INV.FD40'] }, 'WRONG_TYPE', /each DID once/],
    [{ dids: ['GONE.FD40'] }, 'UNKNOWN_ECU', /no ECU GONE/],
    [{ dids: ['INV.DEAD'] }, 'UNKNOWN_DID', /INV\.DEAD/],
    [{ limits: { GONE: { 'a.b': { max: 1 } } } }, 'UNKNOWN_ECU', /expected one of INV, EDT/],
    [{ limits: { INV: { 'boil.power': { max: 1 } } } }, 'UNKNOWN_ACTION', /setPowerLimit/],
    [{ limits: { INV: { 'setPowerLimit.colour': { max: 1 } } } }, 'UNKNOWN_ACTION', /power/],
    [{ limits: { INV: { 'blink.colour': { max: 1 } } } }, 'UNKNOWN_ACTION', /choice/],
    [{ limits: { INV: { setPowerLimit: { max: 1 } } } }, 'UNKNOWN_ACTION', /no such argument/],
    [{ approval: { install: 'none' } }, 'NOT_ALLOWED', /vehicle file asks/],
    [{ uploadInterval: 5 }, 'CONFLICT', /shorter than pollInterval/],
  ])('says what is wrong with %j', (wanted, code, reason) => {
    const { results, inForce } = judged(wanted);
    const [name] = Object.keys(wanted);
    const result = results.find(({ parameter }) => parameter === name);
    expect(result).toMatchObject({ status: 'rejected', code });
    expect(result).toHaveProperty('reason', expect.stringMatching(reason));
    expect(inForce).toEqual(DEFAULT_CONFIGURATION);
  });

  it('lets a configuration ask more of the driver, where there is somebody to ask', () => {
    const approval = { download: 'ask', activate: 'none' } as const;
    expect(judged({ approval }).inForce.approval).toEqual(approval);
    const alone = { ...vehicle, canAsk: false };
    const { results } = checkConfiguration({ approval }, DEFAULT_CONFIGURATION, alone);
    expect(results.find(({ parameter }) => parameter === 'approval')).toMatchObject({
      code: 'NOT_ALLOWED',
      reason: expect.stringContaining('no console'),
    });
  });

  it('puts a conflict on what has changed', () => {
    const before = { pollInterval: 60, uploadInterval: 100 };
    expect(judged({ ...before, uploadInterval: 30 }, before).byName).toMatchObject({
      pollInterval: 'unchanged',
      uploadInterval: 'CONFLICT',
    });
    expect(judged({ ...before, pollInterval: 200 }, before).byName).toMatchObject({
      pollInterval: 'CONFLICT',
      uploadInterval: 'unchanged',
    });
  });

  it('keeps the reading within what the bus has room for', () => {
    const dids = Array.from({ length: 21 }, (_, n) => `INV.FD${String(n).padStart(2, '0')}`);
    expect(judged({ dids, pollInterval: 2 }).byName).toMatchObject({
      dids: 'CONFLICT',
      pollInterval: 'CONFLICT',
    });
    expect(judged({ dids, pollInterval: 3 }).byName).toMatchObject({ dids: 'accepted' });
  });

  it('never puts in force what is wrong alone or together, whatever is wanted', () => {
    const value = fc.oneof(
      fc.integer({ min: -5, max: 100_000 }),
      fc.constantFrom('ask', null, {}, { install: 'none' }, { download: 'ask' }),
      fc.array(fc.constantFrom('INV.FD40', 'INV.FD41', 'EDT.F195', 'INV.DEAD', 'x')),
    );
    const wanted = fc.dictionary(fc.constantFrom(...PARAMETER_NAMES, 'other'), value);
    fc.assert(
      fc.property(fc.array(wanted, { minLength: 1, maxLength: 4 }), (steps) => {
        let before: Configuration = DEFAULT_CONFIGURATION;
        for (const step of steps) {
          const { results, inForce } = checkConfiguration(step, before, vehicle);
          for (const name of PARAMETER_NAMES) {
            expect(checkParameter(name, inForce[name]).ok).toBe(true);
            const result = results.find(({ parameter }) => parameter === name)!;
            const same = JSON.stringify(inForce[name]) === JSON.stringify(before[name]);
            expect(same).toBe(result.status !== 'accepted');
          }
          expect(inForce.uploadInterval).toBeGreaterThanOrEqual(inForce.pollInterval);
          expect(inForce.approval.install).not.toBe('none');
          before = inForce;
        }
      }),
    );
  });

  it('reports no more than a report has room for', () => {
    const many = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`x${n}`, n]));
    const { results, inForce } = checkConfiguration(
      many,
      { ...DEFAULT_CONFIGURATION, pollInterval: 5 },
      vehicle,
    );
    const report = { version: 1, at: '2026-01-01T00:00:00Z', results, inForce };
    expect(configurationReport.safeParse(report).success).toBe(true);
    expect(results.map(({ parameter }) => parameter)).toEqual(
      expect.arrayContaining([...PARAMETER_NAMES]),
    );
  });
});

describe('a configuration that the backend wants', () => {
  it('is judged once, and reported until that is acknowledged', async () => {
    const w = new ServicesWorld();
    w.backend.want({ pollInterval: 5, uploadInterval: 2 });
    w.backend.syncFaults = [undefined!, 'lost', 'away'];
    const { configuration } = await w.live(120_000);
    expect(configuration).toMatchObject({ pollInterval: 5, uploadInterval: 60 });
    expect(w.eventsOf('configuration')).toHaveLength(1);
    // The report whose answer was lost, and the one that was acknowledged.
    expect(w.backend.configurations).toHaveLength(2);
    expect(w.backend.configurations[1]).toMatchObject({
      version: 1,
      inForce: { pollInterval: 5, uploadInterval: 60, dids: [] },
    });
    const [, ...later] = w.backend.syncs;
    expect(later.every(({ request }) => request.configuration.version === 1)).toBe(true);
  });

  it('comes again and again from a backend that does not listen, and is judged once', async () => {
    const w = new ServicesWorld();
    w.backend.want({ pollInterval: 5 });
    w.backend.spoil = (answer) => ({
      ...answer,
      configuration: { ...answer.configuration, wanted: w.backend.wanted },
    });
    await w.live(60_000);
    expect(w.eventsOf('configuration')).toHaveLength(1);
  });

  it('with other values under another version is judged against what is in force', async () => {
    const w = new ServicesWorld();
    w.backend.want({ pollInterval: 5 });
    await w.live(1000);
    w.backend.want({ pollInterval: 5 });
    await w.live(1000);
    const [, second] = w.eventsOf('configuration');
    expect(second?.version).toBe(2);
    expect(second?.results.every(({ status }) => status === 'unchanged')).toBe(true);
  });

  it('stays in force over a restart without the backend', async () => {
    const w = new ServicesWorld();
    w.backend.want({ dids: ['INV.FD40'], pollInterval: 1 });
    await w.live(1000);
    w.backend.away = true;
    const before = w.ecus.reads.length;
    await w.live(10_000);
    expect(w.ecus.reads.length - before).toBeGreaterThan(8);
  });

  it('that is damaged on disk gives way to the defaults, says so, and is judged anew', async () => {
    const w = new ServicesWorld();
    w.backend.want({ pollInterval: 5 });
    await w.live(1000);
    w.storage.corrupt('config.json', 0);
    const services = await w.open();
    expect(services.configuration).toEqual(DEFAULT_CONFIGURATION);
    expect(w.eventsOf('warning')).toEqual([
      expect.objectContaining({ text: expect.stringContaining('the defaults are in force') }),
    ]);
    await services.close();
    const { configuration } = await w.live(1000);
    expect(configuration.pollInterval).toBe(5);
  });

  it('that another vehicle file rules out goes back to its default', async () => {
    const w = new ServicesWorld();
    w.backend.want({ limits: { INV: { 'setPowerLimit.power': { max: 60 } } }, pollInterval: 7 });
    await w.live(1000);
    w.ecus.catalogue = {};
    const services = await w.open();
    expect(services.configuration).toMatchObject({ limits: {}, pollInterval: 7 });
    expect(w.eventsOf('warning')[0]?.text).toContain('the configured limits is not possible');
    await services.close();
  });

  it('is not in force before it is on disk', async () => {
    const w = new ServicesWorld();
    w.backend.want({ pollInterval: 5 });
    const services = await w.open();
    const abort = new AbortController();
    const running = services.run(abort.signal);
    w.storage.failing = 'NO_SPACE';
    await w.clock.advance(1000);
    expect(services.configuration).toEqual(DEFAULT_CONFIGURATION);
    expect(w.backend.configurations).toEqual([]);
    w.storage.failing = undefined;
    await w.clock.advance(60_000);
    expect(services.configuration.pollInterval).toBe(5);
    abort.abort();
    await w.clock.within(1000, running);
  });
});

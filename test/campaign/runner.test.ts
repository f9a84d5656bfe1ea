// The runner: durable before it acts, several commands at once, events from outside at any time, a journal that stays short.

import { describe, expect, it } from 'vitest';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import { decodeJournal, JOURNAL_FILE, OLD_JOURNAL_FILE } from '../../src/campaign/journal.ts';
import { CampaignRunner, type Execute } from '../../src/campaign/runner.ts';
import { type CampaignState, DEFAULT_CAMPAIGN_CONFIG, IDLE } from '../../src/campaign/state.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { Model } from './model.ts';
import {
  activated,
  changing,
  commandText,
  failedStep,
  HAPPY,
  offered,
  offeredWith,
  play,
  resumed,
  rolledBack,
  SAFE,
  staged,
  UNTIL_ACTIVATING,
  UNTIL_STAGING,
} from './support.ts';

const cancel: CampaignEvent = { kind: 'cancelled', order: 'o', by: 'eva', reason: '' };

interface Answer {
  readonly text: string;
  readonly signal: AbortSignal;
  readonly give: (event: CampaignEvent | undefined) => void;
  readonly fail: (error: unknown) => void;
}

/** Commands wait here until the test answers them. */
class Bench {
  readonly open: Answer[] = [];
  readonly begun: string[] = [];
  readonly clock = new VirtualClock();
  readonly states: CampaignState['kind'][] = [];
  runner!: CampaignRunner;

  static async make(
    storage: FaultStorage,
    more: { rotateBytes?: number; execute?: Execute } = {},
  ): Promise<Bench> {
    const bench = new Bench();
    bench.runner = await CampaignRunner.open({
      storage,
      clock: bench.clock,
      logger: silentLogger,
      config: DEFAULT_CAMPAIGN_CONFIG,
      execute: (command, _state, signal) => bench.#execute(commandText(command), signal),
      onState: (state) => bench.states.push(state.kind),
      ...more,
    });
    return bench;
  }

  #execute(text: string, signal: AbortSignal): Promise<CampaignEvent | undefined> {
    this.begun.push(text);
    return new Promise((resolve, reject) => {
      this.open.push({ text, signal, give: resolve, fail: reject });
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
  }

  async answer(text: string, event: CampaignEvent | undefined): Promise<void> {
    await settle();
    const index = this.open.findIndex((open) => open.text === text);
    if (index < 0) throw new Error(`${text} is not under way, only ${this.begun.join(', ')}`);
    this.open.splice(index, 1)[0]!.give(event);
    await settle();
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function storageWith(events: readonly CampaignEvent[]): Promise<FaultStorage> {
  const storage = new FaultStorage();
  const { runner } = await Bench.make(storage);
  for (const event of events) await runner.feed(event);
  await runner.close();
  return storage;
}

const journalOf = (storage: FaultStorage): CampaignEvent[] =>
  decodeJournal(storage.contents(JOURNAL_FILE)!).records.map(({ event }) => event);

describe('commands at the same time', () => {
  const together = [
    offeredWith({ ranks: [0, 0, 0] }),
    ...UNTIL_ACTIVATING.slice(2, 10),
    UNTIL_ACTIVATING[10]!,
  ];

  it('begin together, and end in any order', async () => {
    const bench = await Bench.make(await storageWith(together));
    const run = bench.runner.run(new AbortController().signal);
    await settle();
    expect(bench.begun).toEqual(['activate EDT', 'activate INV', 'activate BMS']);
    await bench.answer('activate INV', activated('INV'));
    await bench.answer('activate BMS', activated('BMS'));
    expect(bench.begun).toHaveLength(3);
    await bench.answer('activate EDT', activated('EDT'));
    expect(bench.begun.slice(3)).toEqual(['verify EDT', 'verify INV', 'verify BMS']);
    // Commands that end without an event are left for the next run.
    for (const { give } of bench.open) give(undefined);
    expect(await run).toBe('interrupted');
  });

  it('that are not wanted any more have ended before the way back begins', async () => {
    const bench = await Bench.make(await storageWith(together));
    const stop = new AbortController();
    const run = bench.runner.run(stop.signal);
    await settle();
    const inverter = bench.open.find(({ text }) => text === 'activate INV')!;
    let ended = false;
    inverter.signal.addEventListener('abort', () => {
      expect(bench.begun.some((text) => text.startsWith('roll-back'))).toBe(false);
      ended = true;
    });
    await bench.answer('activate EDT', failedStep('activate', 'EDT'));
    expect(ended).toBe(true);
    expect(bench.begun.slice(3)).toEqual(['roll-back BMS', 'roll-back INV', 'roll-back EDT']);
    stop.abort();
    expect(await run).toBe('interrupted');
  });

  it('say how long a try took, with its pause', async () => {
    const storage = await storageWith(UNTIL_STAGING);
    const bench = await Bench.make(storage);
    const stop = new AbortController();
    const run = bench.runner.run(stop.signal);
    const silent = { ...failedStep('stage', 'EDT', 'SILENT', true), tookMs: 77 };
    await settle();
    await bench.clock.advance(300);
    await bench.answer('stage EDT', silent);
    expect(bench.begun).toEqual(['stage EDT']);
    await bench.clock.advance(2000);
    await settle();
    expect(bench.begun).toEqual(['stage EDT', 'stage EDT after 2000']);
    await bench.clock.advance(500);
    await bench.answer('stage EDT after 2000', silent);
    stop.abort();
    await run;
    const tries = journalOf(storage).filter(({ kind }) => kind === 'step-failed');
    expect(tries).toMatchObject([{ tookMs: 300 }, { tookMs: 2500 }]);
    expect(bench.runner.state).toMatchObject({ tries: { EDT: { failed: 2, spentMs: 2500 } } });
  });
});

/** EDT may have been changed by now. */
const STAGING_EDT = [...UNTIL_STAGING, changing('stage', 'EDT')];

describe('an event from outside', () => {
  it('in the middle of a command is durable, stops it, and what follows is done', async () => {
    const storage = await storageWith(STAGING_EDT);
    const bench = await Bench.make(storage);
    const run = bench.runner.run(new AbortController().signal);
    await settle();
    const { before, after } = await bench.runner.inject(cancel);
    expect([before.kind, after.kind]).toEqual(['staging', 'rolling-back']);
    expect(journalOf(storage).at(-1)).toEqual(cancel);
    await bench.answer('roll-back EDT', rolledBack('EDT'));
    await bench.answer('finish USER_REJECTED', { kind: 'closed' });
    expect(await run).toBe('done');
    expect(bench.begun).toEqual(['stage EDT', 'roll-back EDT', 'finish USER_REJECTED']);
    expect(bench.runner.state).toBe(IDLE);
  });

  it('that comes too late changes nothing but a warning', async () => {
    const bench = await Bench.make(await storageWith(UNTIL_ACTIVATING));
    const stop = new AbortController();
    const run = bench.runner.run(stop.signal);
    await settle();
    const { after } = await bench.runner.inject(cancel);
    expect(after).toMatchObject({ kind: 'activating', campaign: { warnings: { length: 1 } } });
    expect(bench.open[0]!.signal.aborted).toBe(false);
    const again = await bench.runner.inject(cancel);
    expect(again.after).toBe(again.before);
    stop.abort();
    await run;
  });

  it('may be waited for by the command that it stops', async () => {
    const storage = await storageWith(STAGING_EDT);
    const texts: string[] = [];
    const bench: Bench = await Bench.make(storage, {
      execute: async (command) => {
        texts.push(commandText(command));
        if (command.kind === 'ecu' && command.step === 'stage') {
          await bench.runner.inject(cancel);
          return undefined;
        }
        return command.kind === 'finish' ? { kind: 'closed' } : rolledBack('EDT');
      },
    });
    expect(await bench.runner.run(new AbortController().signal)).toBe('done');
    expect(texts).toEqual(['stage EDT', 'roll-back EDT', 'finish USER_REJECTED']);
  });

  it('between two runs is taken, too', async () => {
    const bench = await Bench.make(await storageWith(STAGING_EDT));
    const change = bench.runner.inject(cancel);
    const stop = new AbortController();
    const run = bench.runner.run(stop.signal);
    expect((await change).after.kind).toBe('rolling-back');
    await settle();
    expect(bench.begun).toEqual(['roll-back EDT']);
    stop.abort();
    await run;
  });

  it('on a full disk has not happened, and its bringer is told', async () => {
    const storage = await storageWith(STAGING_EDT);
    const bench = await Bench.make(storage);
    const stop = new AbortController();
    const run = bench.runner.run(stop.signal);
    await settle();
    storage.failing = 'NO_SPACE';
    await expect(bench.runner.inject(cancel)).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect(bench.runner.state.kind).toBe('staging');
    storage.failing = undefined;
    await bench.answer('stage EDT', staged('EDT'));
    expect(bench.runner.state).toMatchObject({ staged: { EDT: {} } });
    stop.abort();
    expect(await run).toBe('interrupted');
    expect(journalOf(storage)).not.toContainEqual(cancel);
  });

  it('that waits when a command breaks the run is still taken', async () => {
    const storage = await storageWith(STAGING_EDT);
    const bench = await Bench.make(storage);
    const run = bench.runner.run(new AbortController().signal);
    await settle();
    bench.open[0]!.fail(new Error('broken'));
    const change = bench.runner.inject(cancel);
    await expect(run).rejects.toThrow('broken');
    expect((await change).after.kind).toBe('rolling-back');
    expect(journalOf(storage).at(-1)).toEqual(cancel);
  });
});

describe('a command', () => {
  it('puts a note into the journal before it goes on, and hears that it is still wanted', async () => {
    const storage = await storageWith(UNTIL_STAGING);
    const stop = new AbortController();
    const heard: [boolean, CampaignEvent][] = [];
    const { runner } = await Bench.make(storage, {
      execute: async (_command, _state, _signal, note) => {
        const isWanted = await note(changing('stage', 'EDT'));
        heard.push([isWanted, journalOf(storage).at(-1)!]);
        stop.abort();
        return undefined;
      },
    });
    await runner.run(stop.signal);
    expect(heard).toEqual([[true, changing('stage', 'EDT')]]);
  });

  it('that is not wanted any more hears so, and leaves no note', async () => {
    const storage = await storageWith(UNTIL_STAGING);
    const heard: boolean[] = [];
    const bench: Bench = await Bench.make(storage, {
      execute: async (command, _state, _signal, note) => {
        if (command.kind === 'finish') return { kind: 'closed' };
        // The order to cancel is read while this command still runs.
        await bench.runner.inject(cancel);
        heard.push(await note(changing('stage', 'EDT')));
        return undefined;
      },
    });
    expect(await bench.runner.run(new AbortController().signal)).toBe('done');
    expect(heard).toEqual([false]);
    expect(journalOf(storage)).not.toContainEqual(changing('stage', 'EDT'));
  });

  it('hears of a full disk instead', async () => {
    const storage = await storageWith(UNTIL_STAGING);
    const { runner } = await Bench.make(storage, {
      execute: async (_command, _state, _signal, note) => {
        storage.failing = 'NO_SPACE';
        await note(changing('stage', 'EDT'));
        return undefined;
      },
    });
    await expect(runner.run(new AbortController().signal)).rejects.toMatchObject({
      code: 'NO_SPACE',
    });
  });
});

describe('the limits', () => {
  it('are written into the journal with the offer, and count from then on', async () => {
    const storage = await storageWith([offered]);
    expect(journalOf(storage)[0]).toMatchObject({ limits: DEFAULT_CAMPAIGN_CONFIG });
    const other = await CampaignRunner.open({
      storage,
      clock: new VirtualClock(),
      logger: silentLogger,
      config: { ...DEFAULT_CAMPAIGN_CONFIG, retryDelayMs: 1, restartLimit: 0 },
      execute: async () => undefined,
    });
    expect(other.state).toMatchObject({ campaign: { limits: DEFAULT_CAMPAIGN_CONFIG } });
  });
});

describe('a long journal', () => {
  it('is begun anew when nothing is under way', async () => {
    const storage = await storageWith(HAPPY);
    const bench = await Bench.make(storage, { rotateBytes: 100 });
    const run = bench.runner.run(new AbortController().signal);
    await bench.answer('finish SUCCESS', { kind: 'closed' });
    expect(await run).toBe('done');
    expect(journalOf(storage)).toEqual([]);
    expect(decodeJournal(storage.contents(OLD_JOURNAL_FILE)!).records.length).toBeGreaterThan(15);
    await bench.runner.feed(offered);
    const { runner } = await Bench.make(storage);
    expect(runner.state.kind).toBe('downloading');
  });

  it('stays as it is on a full disk, and nothing else fails', async () => {
    const storage = await storageWith(HAPPY);
    const bench = await Bench.make(storage, { rotateBytes: 100 });
    const replace = storage.replace.bind(storage);
    storage.replace = async () => {
      throw new Error('no space');
    };
    const run = bench.runner.run(new AbortController().signal);
    await bench.answer('finish SUCCESS', { kind: 'closed' });
    expect(await run).toBe('done');
    storage.replace = replace;
    await bench.runner.feed(offered);
    expect(journalOf(storage).at(-1)).toMatchObject({ kind: 'offered' });
    expect(journalOf(storage).length).toBeGreaterThan(15);
  });

  it('of a safe state forgets the attempts, and nothing else', async () => {
    const lost = failedStep('roll-back', 'INV', 'SILENT');
    const many = Array.from({ length: 40 }, () => [resumed, lost]).flat();
    const storage = await storageWith([...SAFE, ...many, resumed]);
    const before = journalOf(storage).length;
    const bench = await Bench.make(storage, { rotateBytes: 100 });
    // The attempt under way at the time of the kill is forgotten, too: the start makes a new one.
    expect(bench.runner.state).toEqual(
      play([{ ...offered, limits: DEFAULT_CAMPAIGN_CONFIG }, ...SAFE.slice(2)]).state,
    );
    expect(before - journalOf(storage).length).toBe(81);
    // In the middle of a life: a failed attempt leaves no trace.
    const stop = new AbortController();
    await bench.runner.feed(resumed);
    const run = bench.runner.run(stop.signal);
    await bench.answer('roll-back INV', lost);
    expect(await run).toBe('done');
    expect(journalOf(storage).length).toBe(before - 81);
    expect(bench.runner.state.kind).toBe('safe-state');
  });

  it('is the old one or the new one after a power cut, never none', async () => {
    const { state } = play([{ ...offered, limits: DEFAULT_CAMPAIGN_CONFIG }, ...SAFE.slice(2)]);
    for (const when of ['before', 'after'] as const) {
      for (let at = 1; ; at++) {
        const storage = (await storageWith([...SAFE, resumed])).afterPowerCut();
        storage.cut = { at, when };
        await Bench.make(storage, { rotateBytes: 100 }).catch(() => {});
        const isOver = !storage.powerLost;
        const { runner } = await Bench.make(storage.afterPowerCut());
        if (runner.state.kind === 'rolling-back') {
          expect(runner.state).toMatchObject({ attempt: 1, pending: ['INV'] });
        } else {
          expect(runner.state).toEqual(state);
        }
        if (isOver) break;
      }
    }
  });
});

it('a campaign of the model runs through the runner to its end', async () => {
  const storage = new FaultStorage();
  const model = new Model(offered);
  const bench = await Bench.make(storage, {
    execute: async (command) => {
      const before = model.journal.length;
      model.turn({ kind: 'done', pick: 0, code: 'BUS', transient: true, effects: 0 });
      const event = model.journal.slice(before).at(-1);
      return command.kind === 'finish' ? { kind: 'closed' } : event;
    },
  });
  await bench.runner.feed(model.offer);
  expect(await bench.runner.run(new AbortController().signal)).toBe('done');
  expect(bench.runner.state).toBe(IDLE);
  expect(bench.states.at(-2)).toBe('idle');
  expect([...model.ecus.values()].every(({ counterRaised }) => counterRaised)).toBe(true);
});

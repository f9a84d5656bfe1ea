// Commands to real ECUs over UDS: done, refused, not begun, in doubt, and the truth afterwards.

import { describe, expect, it } from 'vitest';
import type { CommandOrder } from '../../src/contract/command.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { UdsEcuServices } from '../../src/drivers/ecu-services.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { plainOf } from '../support/secured-message.ts';
import { benchAuthority, EcuLink } from './ecu-link.ts';
import { numberIn, order, start, vehicleOf, type World } from './services-bench.ts';

const settled = ({ within, services }: World, given: CommandOrder) => ({
  probe: () => within((signal) => services.probe(given, signal)),
  run: () => within((signal) => services.run(given, signal)),
  hasRun: (mark: string) => within((signal) => services.hasRun(given, mark, signal)),
});

/** Answers to this service are lost on the way. */
const loseAnswers = (link: EcuLink, sid: number): void => {
  link.changes = (answer) => {
    const plain = fromHex(plainOf(answer));
    const isOfIt = plain[0] === sid + 0x40 || (plain[0] === 0x7f && plain[1] === sid);
    return isOfIt ? undefined : answer;
  };
};

describe('a command', () => {
  it('writes, and says what the ECU holds then', async () => {
    const world = await start();
    expect(await world.run('setPowerLimit', { power: 60 })).toEqual({
      kind: 'done',
      result: 'powerLimit 60 kW',
    });
    expect(world.link.requests.map(plainOf)).toEqual([
      '1003',
      '22FD24', // whether it takes orders at all: until here nothing is begun
      '22FD24',
      '2EFD500258',
      '22FD50',
      '1001',
    ]);
    // What decides has its own authority; no level is opened for it.
    expect(world.link.requests[3]).toMatch(/^8400690100100001/);
    expect(await numberIn(world, 0xfd50)).toBe(60);
  });

  it('of another ECU as well', async () => {
    const world = await start({ ecu: 'EDT' });
    expect(await world.run('setBrightness', { brightness: 40 })).toEqual({
      kind: 'done',
      result: 'brightness 40 %',
    });
  });

  it('starts a routine, waits for its end, and says which run it was', async () => {
    const world = await start();
    expect(await world.run('calibrate')).toEqual({ kind: 'done', result: 'run 1' });
    expect(await world.run('calibrate')).toEqual({ kind: 'done', result: 'run 2' });
    expect(world.link.requests.filter((sent) => plainOf(sent) === '31010230')).toHaveLength(2);
    expect(world.link.requests.at(-1)).toBe('1001');
  });

  it('takes an output over and holds it, other commands notwithstanding, until it is given back', async () => {
    const world = await start();
    expect(await world.run('setFan', { duty: 80 })).toEqual({
      kind: 'done',
      result: 'fanDuty 80 %',
    });
    await world.clock.advance(60_000);
    expect(await numberIn(world, 0xfd52)).toBe(80);
    expect(await world.run('setPowerLimit', { power: 10 })).toMatchObject({ kind: 'done' });
    await world.clock.advance(60_000);
    expect(await numberIn(world, 0xfd52)).toBe(80);
    expect(world.link.requests).not.toContain('1001');
    expect(await world.run('releaseFan')).toMatchObject({
      kind: 'done',
      result: expect.stringMatching(/^fanDuty \d+ %$/),
    });
    expect(await numberIn(world, 0xfd52)).not.toBe(80);
    expect(world.link.requests.at(-2)).toBe('1001');
    world.link.requests.length = 0;
    await world.clock.advance(60_000);
    expect(world.link.requests).toEqual([]);
  });

  it('whose output was lost with a reset does not keep the next session open', async () => {
    const world = await start();
    await world.run('setFan', { duty: 80 });
    world.link.ecu!.reset('fault');
    await world.clock.advance(5000);
    expect(await numberIn(world, 0xfd52)).not.toBe(80);
    await world.run('setPowerLimit', { power: 10 });
    expect(world.link.requests.at(-1)).toBe('1001');
  });

  it('waits for the one before it', async () => {
    const world = await start();
    const results = await Promise.all([
      world.run('calibrate'),
      world.run('setPowerLimit', { power: 1 }),
      world.run('calibrate'),
    ]);
    expect(results).toEqual([
      { kind: 'done', result: 'run 1' },
      { kind: 'done', result: 'powerLimit 1 kW' },
      { kind: 'done', result: 'run 2' },
    ]);
  });
});

describe('a refusal says which, and that nothing was done', () => {
  const wide: [string, string] = ['unit: kW, min: 0, max: 120', 'unit: kW, min: 0, max: 200'];
  it.each([
    // The vehicle file promises more than the hardware can do.
    [[wide], 'setPowerLimit', { power: 150 }, 'key', 0x31, 'requestOutOfRange (0x31)'],
    [
      [['power: { length: 2, scale', 'power: { length: 3, scale']],
      'setPowerLimit',
      { power: 60 },
      'key',
      0x13,
      'incorrectMessageLengthOrInvalidFormat (0x13)',
    ],
    [
      [['write: 0xFD50', 'session: default\n        write: 0xFD50']],
      'setPowerLimit',
      { power: 60 },
      'no key',
      0x7f,
      'serviceNotSupportedInActiveSession (0x7F)',
    ],
    [
      [['write: 0xFD50', 'security: none\n        write: 0xFD50']],
      'setPowerLimit',
      { power: 60 },
      'no key',
      0x33,
      'securityAccessDenied (0x33)',
    ],
    [
      [['routine: 0x0230', 'routine: 0x0231']],
      'calibrate',
      {},
      'key',
      0x31,
      'refused calibrate: requestOutOfRange (0x31)',
    ],
    [[], 'setPowerLimit', { power: 60 }, 'no key', 0x38, 'secureDataTransmissionRequired (0x38)'],
    [
      [['c0de0002c0de', 'c0de0009c0de']],
      'setPowerLimit',
      { power: 60 },
      'no key',
      0x35,
      'setPowerLimit was not begun: INV (0x7E2 -> 0x7EA) refused securityAccess',
    ],
  ] satisfies readonly (readonly [
    [string, string][],
    string,
    CommandOrder['arguments'],
    'key' | 'no key',
    number,
    string,
  ])[])('%#: %s', async (changes, action, args, held, nrc, text) => {
    // The ECU is that of the bench, whatever the file of the tester says.
    const vehicle = vehicleOf();
    const clock = new VirtualClock();
    const link = await EcuLink.start(vehicle, 'INV', clock);
    const told = vehicleOf(...changes);
    const services = new UdsEcuServices({
      vehicle: told,
      requesterFor: () => link.client,
      clock,
      ...(held === 'key' && { authorityFor: benchAuthority }),
    });
    const { signal } = new AbortController();
    const result = await clock.within(60_000, services.run(order(action, args), signal));
    expect(result).toMatchObject({ kind: 'refused', nrc, reason: expect.stringContaining(text) });
    const read = await clock.within(60_000, services.read('INV', [0xfd50], signal));
    expect(read).toMatchObject({ readings: [{ value: 120 }] });
  });

  it.each([
    ['setPowerLimit', { power: 60 }],
    ['setFan', { duty: 80 }],
    ['calibrate', {}],
  ])('while the power stage is too hot: %s', async (action, args) => {
    const world = await start({ faults: { hot: true } });
    expect(await world.run(action, args)).toEqual({
      kind: 'refused',
      nrc: 0x86,
      reason: `INV (0x7E2 -> 0x7EA) refused ${action}: temperatureTooHigh (0x86)`,
    });
    expect(world.link.requests.at(-1)).toBe('1001');
    expect(await world.run('setPowerLimit', { power: 30 })).toMatchObject({ kind: 'done' });
  });

  it('of what the file does not have is none of the ECU', async () => {
    const world = await start();
    expect(await world.run('explode')).toMatchObject({ kind: 'not-begun', code: 'UNKNOWN_ACTION' });
    expect(await world.run('setPowerLimit', { power: 121 })).toMatchObject({
      kind: 'not-begun',
      code: 'BAD_ARGUMENT',
    });
    expect(world.link.requests).toEqual([]);
  });
});

describe('a command is not begun', () => {
  it('when the ECU is silent', async () => {
    const world = await start();
    world.link.loses = () => true;
    expect(await world.run('setPowerLimit', { power: 60 })).toMatchObject({
      kind: 'not-begun',
      code: 'SILENT',
      reason: expect.stringContaining('no answer'),
    });
    // Entering a session may be repeated, the command may not.
    expect(world.link.requests).toEqual(['1003', '1003', '1003']);
  });

  it('when the ECU falls silent before the decisive request', async () => {
    const world = await start();
    world.link.loses = (request) => request === '22FD24';
    expect(await world.run('calibrate')).toMatchObject({ kind: 'not-begun', code: 'SILENT' });
    expect(world.link.requests.map(plainOf)).not.toContain('31010230');
    expect(world.link.requests.at(-1)).toBe('1001');
  });

  it('when it is stopped in time', async () => {
    const world = await start();
    const abort = new AbortController();
    world.clock.after('stop', 1, () => abort.abort());
    const stopped = await world.clock.within(
      60_000,
      world.services.run(order('calibrate'), abort.signal),
    );
    expect(stopped).toMatchObject({ kind: 'not-begun', code: 'INTERRUPTED' });
    expect(world.link.requests.map(plainOf)).not.toContain('31010230');
  });
});

describe('a lost answer is a doubt that is settled later', () => {
  it.each([
    ['setPowerLimit', { power: 60 }, 0x2e],
    ['setFan', { duty: 80 }, 0x2f],
    ['calibrate', {}, 0x31],
  ])('%s: the answer is lost, it has run', async (action, args, sid) => {
    const world = await start();
    const { probe, run, hasRun } = settled(world, order(action, args));
    const before = await probe();
    if (before.kind !== 'mark') throw new Error(before.kind);
    loseAnswers(world.link, sid);
    expect(await run()).toMatchObject({
      kind: 'in-doubt',
      reason: expect.stringContaining('no answer'),
    });
    world.link.changes = undefined;
    expect(await hasRun(before.mark)).toBe('yes');
    await world.clock.advance(10_000);
    expect(await hasRun(before.mark)).toBe('yes');
  });

  it.each([
    ['setPowerLimit', { power: 60 }, '2E'],
    ['setFan', { duty: 80 }, '2F'],
    ['calibrate', {}, '3101'],
  ])('%s: the request is lost, it has not run', async (action, args, request) => {
    const world = await start();
    const { probe, run, hasRun } = settled(world, order(action, args));
    const before = await probe();
    if (before.kind !== 'mark') throw new Error(before.kind);
    world.link.loses = (sent) => plainOf(sent).startsWith(request);
    expect(await run()).toMatchObject({ kind: 'in-doubt' });
    world.link.loses = undefined;
    expect(await hasRun(before.mark)).toBe('no');
    // Doing it again is safe, and leaves nothing open.
    expect(await run()).toMatchObject({ kind: 'done' });
    expect(await hasRun(before.mark)).toBe('yes');
  });

  it('releaseFan: the answer or the request is lost', async () => {
    for (const lost of ['answer', 'request'] as const) {
      const world = await start();
      await world.run('setFan', { duty: 80 });
      const { probe, run, hasRun } = settled(world, order('releaseFan'));
      const before = await probe();
      expect(before).toEqual({ kind: 'mark', mark: '50' });
      if (lost === 'answer') loseAnswers(world.link, 0x2f);
      else world.link.loses = (sent) => plainOf(sent).startsWith('2F');
      expect(await run()).toMatchObject({ kind: 'in-doubt' });
      world.link.changes = undefined;
      world.link.loses = undefined;
      expect(await hasRun('50')).toBe(lost === 'answer' ? 'yes' : 'no');
      if (lost === 'request') expect(await run()).toMatchObject({ kind: 'done' });
      expect(world.link.requests.at(-1)).toBe('1001');
    }
  });

  it('stays unknown as long as the ECU does not answer, and is settled after a reset of it', async () => {
    const world = await start();
    const { probe, run, hasRun } = settled(world, order('calibrate'));
    expect(await probe()).toEqual({ kind: 'mark', mark: 'run 0' });
    loseAnswers(world.link, 0x31);
    await run();
    world.link.loses = () => true;
    expect(await hasRun('run 0')).toBe('unknown');
    world.link.loses = undefined;
    world.link.changes = undefined;
    world.link.ecu!.reset('fault');
    await world.clock.advance(5000);
    expect(await hasRun('run 0')).toBe('yes');
  });

  it('of a value that was wanted before is the same either way', async () => {
    const world = await start();
    const { probe, hasRun } = settled(world, order('setPowerLimit', { power: 120 }));
    expect(await probe()).toEqual({ kind: 'mark', mark: '04b0' });
    expect(await hasRun('04b0')).toBe('yes');
  });

  it('of an output that fell back meanwhile: it is not as wanted', async () => {
    const world = await start();
    const { probe, run, hasRun } = settled(world, order('setFan', { duty: 80 }));
    const before = await probe();
    if (before.kind !== 'mark') throw new Error(before.kind);
    loseAnswers(world.link, 0x2f);
    await run();
    world.link.changes = undefined;
    world.link.ecu!.reset('fault');
    await world.clock.advance(5000);
    expect(await hasRun(before.mark)).toBe('no');
    world.link.requests.length = 0;
    await world.clock.advance(10_000);
    expect(world.link.requests).toEqual([]);
  });

  it('cannot be settled where nothing tells', async () => {
    const vehicle = vehicleOf(
      ['counter: { offset: 1, length: 4 }', 'security: ecu'],
      ['write: 0xFD50', 'readBack: false\n        write: 0xFD50'],
    );
    const world = await start({ vehicle });
    for (const given of [order('calibrate'), order('setPowerLimit', { power: 60 })]) {
      expect(await settled(world, given).probe()).toEqual({ kind: 'blind' });
      expect(await settled(world, given).hasRun('')).toBe('unknown');
    }
    expect(world.link.requests).toEqual([]);
    expect(await world.run('setPowerLimit', { power: 60 })).toEqual({
      kind: 'done',
      result: 'power 60 kW',
    });
    expect(await world.run('calibrate')).toEqual({ kind: 'done' });
  });

  it('has no mark when the ECU is silent', async () => {
    const world = await start();
    world.link.loses = () => true;
    for (const given of [order('calibrate'), order('setPowerLimit', { power: 60 })]) {
      expect(await settled(world, given).probe()).toMatchObject({
        kind: 'failed',
        code: 'SILENT',
      });
    }
  });
});

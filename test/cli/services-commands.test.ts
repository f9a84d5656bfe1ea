// `can-ota config`, `command` and `telemetry` against a backend in memory: requests, output, waiting, exit codes.

import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import { send } from '../../src/cli/services/command.ts';
import { set, show } from '../../src/cli/services/config.ts';
import { assignments } from '../../src/cli/services/operator.ts';
import { show as showTelemetry } from '../../src/cli/services/telemetry.ts';
import { DEFAULT_CONFIGURATION } from '../../src/contract/configuration.ts';
import { InputError } from '../../src/core/errors.ts';
import { ExitCode } from '../../src/core/exit-code.ts';
import { textTable } from '../../src/core/text-table.ts';
import { BackendError } from '../../src/link/backend-connection.ts';
import { OperatorBackend, RefusedError } from '../../src/link/operator-backend.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { reportOf, VIN } from '../server/services-support.ts';
import { problemResponse } from '../support/problem-response.ts';
import { POWER, startWorld, WISH } from './services-commands-support.ts';

describe('config set', () => {
  it('says what will be refused before the vehicle has said so', async () => {
    const world = await startWorld();
    const values = { pollInterval: 0, uploadInterval: 60 };
    expect(await set(world, VIN, { ...WISH, values })).toBe(ExitCode.preconditionFailed);
    expect(world.said.at(-1)).toMatch(/^ {2}pollInterval OUT_OF_RANGE: /);
  });

  it.each([
    ['accepted', ExitCode.success],
    ['rejected', ExitCode.preconditionFailed],
  ] as const)('waits until the vehicle has %s it', async (status, code) => {
    const world = await startWorld();
    const running = set(world, VIN, { ...WISH, values: { pollInterval: 5 }, waitS: 60 });
    await world.clock.advance(3000);
    const result =
      status === 'accepted'
        ? { parameter: 'pollInterval', status }
        : {
            parameter: 'pollInterval',
            status,
            code: 'CONFLICT' as const,
            reason: 'too\u001bmuch',
          };
    const pollInterval = status === 'accepted' ? 5 : 10;
    const inForce = { ...DEFAULT_CONFIGURATION, pollInterval } as never;
    const report = { version: 1, at: '2026-01-01T00:00:00Z', results: [result], inForce };
    await world.contact({ version: 1, report });
    expect(await world.clock.within(3000, running)).toBe(code);
    expect(world.said.at(-1)).toContain('has checked version 1');
    // The server rejects characters that control a terminal.
    const kept = 'reason' in result ? { ...result, reason: 'too much' } : result;
    expect(world.emitted.at(-1)).toMatchObject({ version: 1, report: { results: [kept] } });
    if (status === 'rejected') expect(world.said).toContain('  pollInterval CONFLICT: too much');
    await show(world, VIN);
    expect(world.said.find((line) => line.startsWith('pollInterval '))).toMatch(
      status === 'accepted' ? /5 s +5 s +set/ : /5 s +10 s +rejected: too/,
    );
  });

  it('does not wait for ever, nor for what somebody else has replaced', async () => {
    const world = await startWorld();
    const values = { pollInterval: 5 };
    const running = set(world, VIN, { ...WISH, values, waitS: 5 });
    expect(await world.clock.within(6000, running)).toBe(ExitCode.deferred);
    const overtaken = set(world, VIN, { ...WISH, values: { pollInterval: 6 }, waitS: 60 });
    await world.clock.advance(1000);
    await set(world, VIN, { ...WISH, values });
    expect(await world.clock.within(6000, overtaken)).toBe(ExitCode.preconditionFailed);
    expect(world.said.at(-1)).toContain('version 3 of tool came after it');
  });
});

describe('command', () => {
  it.each([
    ['completed', { runs: 1, result: 'powerLimit 60 kW' }, ExitCode.success, 'ran once'],
    ['failed', { code: 'REFUSED', reason: 'too hot' }, ExitCode.preconditionFailed, 'too hot'],
    ['expired', {}, ExitCode.preconditionFailed, 'expired'],
  ] as const)('send waits until it is %s', async (state, more, code, text) => {
    const world = await startWorld();
    const running = send(world, VIN, { ...POWER, waitS: 60 });
    await world.clock.advance(1000);
    const { orders } = (await world.contact()).commands;
    await world.contact({ reports: [reportOf(orders[0]!.id, state, more)] });
    expect(await world.clock.within(3000, running)).toBe(code);
    expect(world.said.at(-1)).toContain(text);
    expect(world.emitted.at(-1)).toMatchObject({ state, ...more });
  });

  it('send ends with another code when it is not over in time', async () => {
    const world = await startWorld();
    const running = send(world, VIN, { ...POWER, waitS: 5 });
    expect(await world.clock.within(6000, running)).toBe(ExitCode.deferred);
  });

  it('send tells a wrong request from one that cannot be had now', async () => {
    const world = await startWorld();
    const refused = send(world, VIN, { ...POWER, given: ['power=500'] });
    await expect(refused).rejects.toThrow(InputError);
    await expect(refused).rejects.toThrow('0 to 120 kW');
    await expect(send(world, 'NONE', POWER)).rejects.toThrow(/VEHICLE_UNKNOWN/);
    await send(world, VIN, { ...POWER, key: 'one-key-1' });
    const other = send(world, VIN, { ...POWER, given: ['power=1'], key: 'one-key-1' });
    await expect(other).rejects.toThrow(RefusedError);
    await expect(send(world, VIN, { ...POWER, given: ['power={}'] })).rejects.toThrow(InputError);
  });
});

it('telemetry show gives counts and samples since some time ago', async () => {
  const world = await startWorld();
  const at = (agoMs: number) => new Date(world.clock.wallMs() - agoMs).toISOString();
  const samples = [
    { did: 'INV.FD40', at: at(120_000), count: 3, mean: 1, unit: 'kW' },
    { did: 'INV.FD40', at: at(30_000), count: 3, mean: 2.00049, min: -1, max: 3, unit: 'kW' },
  ];
  const batch = { vin: VIN, number: 2, sender: 'a'.repeat(16), dropped: 4, samples };
  await world.onStores(({ telemetry }) => telemetry.store(batch, 'x'));
  expect(await showTelemetry(world, VIN, { since: 60, limit: 9 })).toBe(ExitCode.success);
  expect(world.said[0]).toBe(
    `${VIN}: 2 samples in 1 batches; 1 batches lost, 0 arrived twice, 4 samples dropped by the vehicle`,
  );
  expect(world.said.slice(2)).toEqual([expect.stringMatching(/INV\.FD40 +2 +-1 +3 +kW +3$/)]);
});

it('an answer that is not of such a backend is told from a refusal', async () => {
  const clock = new VirtualClock();
  const signal = new AbortController().signal;
  const ask = (response: () => Response) =>
    OperatorBackend.logIn(
      { url: 'http://backend', clock, signal, fetch: async () => response() },
      { kind: 'token', token: 'x' },
    ).then((backend) => backend.configuration(VIN));
  await expect(ask(() => Response.json({ vin: 1 }))).rejects.toThrow(BackendError);
  await expect(ask(() => new Response('gone', { status: 404 }))).rejects.toThrow(BackendError);
  await expect(ask(() => problemResponse(403, 'ROLE'))).rejects.toThrow(InputError);
});

describe('what is written on the command line', () => {
  it('is JSON where it is JSON, and text otherwise', () => {
    const given = ['power=60', 'mode=eco', 'dids=["INV.FD40"]', 'text="60"', 'empty=', 'sum=a=b'];
    expect(assignments(given)).toEqual({
      ...{ power: 60, mode: 'eco', dids: ['INV.FD40'], text: '60', empty: '', sum: 'a=b' },
    });
    for (const wrong of [['power'], ['=60'], ['Power=1'], ['a=1', 'a=2'], ['dids=["INV.FD40"']]) {
      expect(() => assignments(wrong), wrong.join(' ')).toThrow(InputError);
    }
  });

  it.each([
    [['command', 'send', 'V', 'INV', 'x', '--server', 'u', '--expires', '31d'], '30d'],
    [['command', 'send', 'V', 'INV', 'x', '--server', 'u', '--priority', '10'], '0 to 9'],
    [['command', 'list', 'V', '--server', 'u', '--state', 'odd'], 'Allowed choices'],
    [['telemetry', 'show', 'V', '--server', 'u', '--since', 'yesterday'], '10m'],
    [['telemetry', 'show', 'V', '--server', 'u', '--limit', '20001'], '20000'],
    [['config', 'set', 'V', '--server', 'u', '--wait', '0'], 'more than 0'],
    [['config', 'show', 'V'], '--server'],
  ])('%j is refused with what is expected', async (args, expected) => {
    const program = createProgram();
    let errors = '';
    const quiet = (command: typeof program): void => {
      command.exitOverride().configureOutput({
        writeErr: (text) => {
          errors += text;
        },
      });
      command.commands.forEach(quiet);
    };
    quiet(program);
    await expect(program.parseAsync(['node', 'can-ota', ...args])).rejects.toThrow();
    expect(errors).toContain(expected);
  });

  it('text of others cannot move the cursor', () => {
    expect(
      textTable([
        ['a\u001b[2J', 'b'],
        ['cc', 'd\n'],
      ]),
    ).toEqual(['a [2J  b', 'cc     d']);
  });
});

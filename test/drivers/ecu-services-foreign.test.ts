// ECUs of others behind the driver of the services: few DIDs at once, routines that run on, masks, odd answers.

import { describe, expect, it } from 'vitest';
import type { CommandOrder } from '../../src/contract/command.ts';
import { UdsEcuServices } from '../../src/drivers/ecu-services.ts';
import { parseVehicle } from '../../src/vehicle/load.ts';
import { type Answer, ScriptedEcu } from './support.ts';

const vehicle = parseVehicle(
  `vin: 1CANXTABENCH00001
buses: { main: {} }
ecus:
  - name: EDT
    hardwareId: EDT-HW-1
    address: { mode: normal, request: 0x7E1, response: 0x7E9 }
    timing: { pendingLimitMs: 2000 }
    data:
      mirrors: { did: 0x0155, offset: 1, signed: true, unit: deg }
      mode: { did: 0x0155, values: { 0: off, 1: day } }
    commands:
      run:
        title: a routine whose start is answered at once
        routine: 0x0301
        arguments: { speed: { values: { 1: slow, 2: fast } } }
        counter: { offset: 1, length: 2 }
        running: { value: 1 }
      tilt:
        title: one parameter of several
        control: 0x0155
        option: adjust
        mask: "40"
        arguments: { mode: { values: { 1: day } }, angle: { signed: true, min: -30, max: 30 } }
      write:
        title: in the default session
        write: 0x0156
        session: default
        arguments: { a: { min: 0, max: 9 } }
`,
  'v.yaml',
);

const order = (action: string, args: CommandOrder['arguments'] = {}): CommandOrder => ({
  id: '1',
  ecu: 'EDT',
  action,
  arguments: args,
  expiresAt: '2026-03-01T00:00:00Z',
  priority: 5,
});
const RUN = order('run', { speed: 'fast' });

function world(table: Record<string, Answer | Answer[]>) {
  const ecu = new ScriptedEcu({ '1003': '5003', '1001': '5001', ...table });
  const services = new UdsEcuServices({ vehicle, requesterFor: () => ecu, clock: ecu.clock });
  const { signal } = new AbortController();
  return {
    ecu,
    run: (given: CommandOrder, until = signal) =>
      ecu.clock.within(60_000, services.run(given, until)),
    probe: (given: CommandOrder) => ecu.clock.within(60_000, services.probe(given, signal)),
    hasRun: (given: CommandOrder, mark: string) =>
      ecu.clock.within(60_000, services.hasRun(given, mark, signal)),
    read: (...dids: number[]) => ecu.clock.within(60_000, services.read('EDT', dids, signal)),
  };
}

describe('a routine whose start is answered at once', () => {
  it('is waited for in its session, which would end it', async () => {
    const { ecu, run } = world({
      '3101030102': '71010301',
      '31030301': ['71030301010004', '71030301010004', '71030301000005'],
    });
    expect(await run(RUN)).toEqual({ kind: 'done', result: 'run 5' });
    const asked = ['31030301', '31030301', '31030301', '31030301'];
    expect(ecu.log).toEqual(['1003', '3101030102', ...asked, '1001']);
    expect(ecu.keptAlive).toBe(false);
  });

  it('that does not end, is lost, or must not be waited for any longer is a doubt', async () => {
    const endless = world({ '3101': '71010301', '31030301': '71030301010004' });
    expect(await endless.run(RUN)).toMatchObject({
      kind: 'in-doubt',
      reason: expect.stringContaining('run still runs after 2000 ms'),
    });
    const lost = world({ '3101': '71010301', '31030301': 'silent' });
    expect(await lost.run(RUN)).toMatchObject({
      kind: 'in-doubt',
      reason: expect.stringContaining('run was begun: EDT'),
    });
    const stopped = world({ '3101': '71010301', '31030301': '71030301010004' });
    const abort = new AbortController();
    stopped.ecu.clock.after('stop', 300, () => abort.abort());
    expect(await stopped.run(RUN, abort.signal)).toMatchObject({ kind: 'in-doubt' });
    expect(stopped.ecu.log.at(-1)).toBe('1001');
  });

  it('has no results before its first run', async () => {
    const { probe, hasRun, ecu } = world({ '31030301': '7F3124' });
    const mark = 'run none';
    expect(await probe(RUN)).toEqual({ kind: 'mark', mark });
    expect(await hasRun(RUN, mark)).toBe('no');
    ecu.set('31030301', '71030301000001');
    expect(await hasRun(RUN, mark)).toBe('yes');
  });

  it('whose results are too short has no mark', async () => {
    const { probe } = world({ '31030301': '710303010000' });
    expect(await probe(RUN)).toMatchObject({
      kind: 'failed',
      code: 'MALFORMED',
      reason: expect.stringContaining('the results have 2 bytes, the counter in the vehicle file'),
    });
  });
});

describe('the decisive request', () => {
  it('is made of the arguments, and a mask where there is one', async () => {
    const { ecu, run } = world({ '2F0155': '6F01550301E2' });
    expect(await run(order('tilt', { mode: 'day', angle: -30 }))).toEqual({
      kind: 'done',
      result: 'mirrors -30 deg, mode day',
    });
    expect(ecu.log).toContain('2F01550301E240');
    expect(ecu.keptAlive).toBe(true);
  });

  it('of a command in the default session changes no session', async () => {
    const { ecu, run } = world({ '2E0156': '6E0156', '220156': '62015605' });
    expect(await run(order('write', { a: 5 }))).toEqual({ kind: 'done', result: 'a 5' });
    expect(ecu.log).toEqual(['2E015605', '220156']);
    expect(ecu.keptAlive).toBe(false);
  });

  it('is not sent after a stop', async () => {
    const { ecu, run } = world({});
    const stopped = await run(order('write', { a: 5 }), AbortSignal.abort());
    expect(stopped).toMatchObject({ kind: 'not-begun', code: 'INTERRUPTED' });
    expect(ecu.log).toEqual([]);
  });

  it('to an ECU that stays busy is not begun', async () => {
    const { run } = world({ '2E0156': '7F2E21' });
    expect(await run(order('write', { a: 5 }))).toMatchObject({ kind: 'not-begun', code: 'BUSY' });
  });

  it.each([
    ['silent', 'no answer'],
    ['transport', 'was not carried'],
    ['bus', 'vcan0 is down'],
  ] as const)('that ends %s is a doubt', async (answer, text) => {
    const { run } = world({ '2E0156': answer });
    expect(await run(order('write', { a: 5 }))).toMatchObject({
      kind: 'in-doubt',
      reason: expect.stringContaining(text),
    });
  });

  it('is not sent to an ECU that refuses the session', async () => {
    const { ecu, run } = world({ '1003': '7F1022' });
    expect(await run(RUN)).toMatchObject({ kind: 'refused', nrc: 0x22 });
    expect(ecu.log).toEqual(['1003']);
    expect(ecu.keptAlive).toBe(false);
  });
});

describe('reading', () => {
  const one = { '220001': '62000101', '220002': '62000202', '220003': '62000303' };
  const all = [
    { did: 'EDT.0001', raw: Uint8Array.of(1) },
    { did: 'EDT.0002', raw: Uint8Array.of(2) },
    { did: 'EDT.0003', raw: Uint8Array.of(3) },
  ];

  it('asks for fewer at once when the ECU says that it is too much', async () => {
    const { ecu, read } = world({
      ...one,
      '22000100020003': '7F2213',
      '2200010002': '7F2213',
    });
    for (let round = 0; round < 4; round++) {
      expect(await read(1, 2, 3)).toEqual({ ok: true, readings: all });
    }
    const alone = ['220001', '220002', '220003'];
    expect(ecu.log).toEqual([...alone, '22000100020003', ...alone, ...alone, ...alone]);
  });

  it('reads each alone when one of them is not known any more, or left out', async () => {
    const { ecu, read } = world(one);
    await read(1, 2, 3);
    ecu.set('22000100020003', '7F2231');
    ecu.set('220002', '7F2231');
    expect(await read(1, 2, 3)).toEqual({ ok: true, readings: [all[0], all[2]] });
    ecu.set('22000100020003', '6200010100030303');
    ecu.set('220002', '62000202');
    await read(2);
    expect(await read(1, 2, 3)).toEqual({ ok: true, readings: all });
  });

  it.each([
    ['the last one has grown', ['62000101', '62000202'], '620001010002020404'],
    ['one has grown and one has shrunk', ['6200010101', '62000202'], '6200010100020202'],
    ['one is another one', ['62000101', '62000202'], '62000101000302'],
  ])('reads each alone when %s', async (_what, [first, second], together) => {
    const { read, ecu } = world({ '220001': first!, '220002': second! });
    await read(1, 2);
    ecu.set('2200010002', together);
    ecu.set('220001', '62000177');
    ecu.set('220002', '62000288');
    expect(await read(1, 2)).toMatchObject({
      readings: [{ raw: Uint8Array.of(0x77) }, { raw: Uint8Array.of(0x88) }],
    });
  });

  it('has a value where the file describes one and the ECU has one', async () => {
    const { read } = world({ '220155': ['62015501FE', '62015501'] });
    expect(await read(0x155)).toMatchObject({ readings: [{ value: -2, unit: 'deg' }] });
    expect(await read(0x155)).toEqual({
      ok: true,
      readings: [{ did: 'EDT.0155', raw: Uint8Array.of(1) }],
    });
  });

  it('of a broken answer fails', async () => {
    const { read } = world({ '220001': '6200' });
    expect(await read(1)).toMatchObject({ ok: false, code: 'MALFORMED' });
  });
});

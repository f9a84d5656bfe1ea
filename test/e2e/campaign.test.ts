// Events of operator and driver during a campaign: a kill in the middle, a cancel, a condition, a safety release.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { eventually, freshBus, type Json, type Run, run, scenario } from './support/processes.ts';
import {
  cycle,
  image,
  outcomeOf,
  sha256,
  startTmu,
  TestFactory,
  type TestVehicle,
} from './support/vehicle.ts';

const VIN = '1CANXTABENCH00001';
/** Routine FF00 (erase) and RequestDownload, as the requests to EDT (7E1) and INV (7E2) begin. */
const ERASE = { EDT: /7E1#\S*3101FF00/g, INV: /7E2#\S*3101FF00/g };

async function told(command: 'history' | 'status', state: string): Promise<Json[]> {
  const done = await run([command, '--state-dir', state, '--json']);
  expect(done.exit?.code, String(done)).toBe(0);
  return done.events;
}

/** The same as text output. */
async function said(command: 'history' | 'status', state: string): Promise<string> {
  const done = await run([command, '--state-dir', state]);
  expect(done.exit?.code, String(done)).toBe(0);
  return done.lines.join('\n');
}

async function erases(trace: string): Promise<{ EDT: number; INV: number }> {
  const text = await readFile(trace, 'utf8');
  const count = (pattern: RegExp): number => [...text.matchAll(pattern)].length;
  return { EDT: count(ERASE.EDT), INV: count(ERASE.INV) };
}

/** Changes the state as if the minute until the next try had passed. */
async function overTheMinute(state: string): Promise<void> {
  const file = path.join(state, 'state.json');
  const memory = JSON.parse(await readFile(file, 'utf8')) as { remembered: Json[] };
  expect(memory.remembered).toHaveLength(1);
  const remembered = memory.remembered.map((entry) => ({ ...entry, notBeforeWallMs: 0 }));
  await writeFile(file, JSON.stringify({ ...memory, remembered }));
}

/** Waits until the driver's screen shows the question. */
function asked(vehicle: TestVehicle): Promise<string> {
  return vehicle.ecu('CGW').line(/answer within/);
}

function answersTo(tmu: Run): unknown[] {
  return tmu.events.filter(({ kind }) => kind === 'approval').map(({ status }) => status);
}

describe('campaign', () => {
  scenario('killed in a transfer: says what comes next, and does not begin at zero', async () => {
    const factory = await TestFactory.open();
    const backend = await factory.backend();
    await backend.release(await image('EDT', 100_000), await image('INV', 4000));
    // Paced like a real bus, so that a moment in the middle can be hit.
    const vehicle = await factory.vehicle({ bus: freshBus('bitrate=500000') });
    const state = await factory.state();
    const killed = startTmu({ vehicle, server: backend.url, state });
    await killed.event({ kind: 'ecu-progress', ecu: 'EDT' }, ({ sent }) => Number(sent) > 40_000);
    // The process is stopped while it is inspected; it cannot report its pid then.
    killed.kill('SIGSTOP');
    const [alive] = await told('status', state);
    expect(alive).toMatchObject({
      ...{ state: 'staging', daemon: { running: true } },
      ecus: [{ name: 'EDT', step: 'stage', transfer: { total: 100_000 } }, { name: 'INV' }],
    });
    killed.kill('SIGKILL');
    await killed.exited;

    const [dead] = await told('status', state);
    expect(dead).toMatchObject({
      ...{ state: 'staging', daemon: { running: false, pid: null } },
      next: 'when the daemon is started again, it checks once more the conditions of the vehicle and the approval, then stages EDT next, then activates both',
      ecus: [
        { name: 'EDT', from: '1.0.0', to: '2.0.0', step: null },
        { name: 'INV', from: '1.0.0', to: '2.0.0' },
      ],
    });
    const shown = await said('status', state);
    expect(shown).toContain(`staging, campaign ${String(dead!.campaign)} since `);
    expect(shown).toMatch(/^ {2}EDT {2}1\.0\.0 -> 2\.0\.0$/m);
    expect(shown).toContain('daemon: none is running');
    expect(shown).toContain(`next: ${String(dead!.next)}`);
    expect(await said('history', state)).toMatch(/Z {2}under way {2}approved by the driver$/m);
    const [underWay, ...older] = await told('history', state);
    expect(older).toEqual([]);
    expect(underWay).toMatchObject({
      ...{ id: dead!.campaign, outcome: null, ended: null, approvedBy: 'driver', restarts: 0 },
      ecus: [{ name: 'EDT' }, { name: 'INV' }],
    });

    const trace = path.join(state, 'resumed.log');
    const more = ['--once', '--trace', trace];
    const resumed = await cycle({ vehicle, server: backend.url, state, more });
    expect(outcomeOf(resumed)).toMatchObject({ outcome: 'SUCCESS', campaign: dead!.campaign });
    // What was erased and written before the kill stays. INV had not begun, which shows that the trace would contain it.
    expect(await erases(trace)).toEqual({ EDT: 0, INV: 1 });
    for (const ecu of ['EDT', 'INV']) expect(await vehicle.version(ecu), ecu).toBe('2.0.0');
    const [ended, ...others] = await told('history', state);
    expect(others).toEqual([]);
    expect(ended).toMatchObject({
      ...{ id: dead!.campaign, outcome: 'SUCCESS', approvedBy: 'driver', restarts: 1 },
      ecus: [
        { name: 'EDT', from: '1.0.0', to: '2.0.0', reported: '2.0.0' },
        { name: 'INV', from: '1.0.0', to: '2.0.0', reported: '2.0.0', bytes: 4000 },
      ],
    });
    const [edt, inv] = ended!.ecus as { bytes: number; resumedAt?: number }[];
    // The ECU reports whole steps of 32 KiB.
    expect(edt!.resumedAt).toBeGreaterThanOrEqual(32 * 1024);
    expect(edt!.resumedAt).toBeLessThan(100_000);
    expect(edt!.bytes).toBeLessThanOrEqual(100_000 - edt!.resumedAt!);
    expect(inv).not.toHaveProperty('resumedAt');
    const listed = await said('history', state);
    expect(listed).toMatch(/Z {2}SUCCESS {2}approved by the driver, .*, 1 restart$/m);
    expect(listed).toMatch(/^ {2}EDT {2}1\.0\.0 -> 2\.0\.0 {2}runs 2\.0\.0, .*, resumed at /m);
    const [quiet] = await told('status', state);
    expect(quiet).toMatchObject({
      ...{ state: 'idle', campaign: null, last: { outcome: 'SUCCESS' } },
      next: 'when the daemon is started again, it asks the backend for news at the next poll',
    });
    expect(await said('status', state)).toContain('last: SUCCESS');
  });

  scenario('an ECU killed in a transfer: it goes on where its flash is durable', async () => {
    const factory = await TestFactory.open();
    const backend = await factory.backend();
    const edt = await image('EDT', 100_000);
    await backend.release(edt, await image('INV', 4000));
    const vehicle = await factory.vehicle({ bus: freshBus('bitrate=500000') });
    const state = await factory.state();
    const trace = path.join(state, 'ecu-killed.log');
    const more = ['--once', '--trace', trace];
    const tmu = startTmu({ vehicle, server: backend.url, state, more });
    await tmu.event({ kind: 'ecu-progress', ecu: 'EDT' }, ({ sent }) => Number(sent) > 40_000);
    vehicle.ecu('EDT').kill('SIGKILL');
    await vehicle.ecu('EDT').exited;
    const again = await vehicle.start('EDT');
    expect(await tmu.code(), String(tmu)).toBe(0);
    expect(outcomeOf(tmu)).toMatchObject({ outcome: 'SUCCESS' });
    // Erased once, before the kill; the ECU itself reports where it resumed.
    expect(await erases(trace)).toEqual({ EDT: 1, INV: 1 });
    expect(again.events.filter(({ kind }) => kind === 'erase')).toEqual([]);
    const { received } = await again.event({ kind: 'resume' });
    expect(received).toBeGreaterThanOrEqual(32 * 1024);
    expect(received).toBeLessThan(100_000);
    const [entry] = await told('history', state);
    expect(entry).toMatchObject({ outcome: 'SUCCESS', restarts: 0 });
    expect((entry!.ecus as Json[])[0]).toMatchObject({ name: 'EDT', resumedAt: received });
    expect((await vehicle.banks('EDT')).map(sha256)).toContain(edt.sha256);
  });

  scenario('cancelled by the operator while the driver is asked: nothing is touched', async () => {
    const factory = await TestFactory.open();
    const backend = await factory.backend();
    await backend.release(await image('EDT', 5000), await image('INV', 5000));
    const vehicle = await factory.vehicle({ approve: 'ask' });
    const state = await factory.state();
    const trace = path.join(state, 'cancelled.log');
    const more = ['--once', '--trace', trace];
    const cancel = (): Promise<Run> =>
      run([
        ...['campaign', 'cancel', VIN, '--reason', 'It has a defect', '--wait', '60', '--json'],
        ...['--server', backend.url, '--token-file', tokenFile],
      ]);
    const tokenFile = await backend.tokenFile();
    const nothing = await cancel();
    expect(await nothing.code()).toBe(8);
    expect(nothing.last).toMatchObject({ vin: VIN, state: 'no-campaign' });

    const tmu = startTmu({ vehicle, server: backend.url, state, more });
    await asked(vehicle);
    const order = await cancel();
    expect(order.exit?.code, String(order)).toBe(0);
    expect(order.last).toMatchObject({ vin: VIN, state: 'accepted' });
    expect(await tmu.code()).toBe(3);
    expect(outcomeOf(tmu)).toMatchObject({ outcome: 'USER_REJECTED', code: 'CANCELLED' });
    expect(String(outcomeOf(tmu).reason)).toContain('It has a defect');
    expect(await erases(trace)).toEqual({ EDT: 0, INV: 0 });
    // The question is off the screen: a late answer has no effect.
    vehicle.ecu('CGW').type('approve\n');
    await vehicle.ecu('CGW').line(/nothing is waiting/);
    expect(await backend.pages()).toContain('It has a defect');
  });

  scenario('cancelled too late: it is finished, and the operator is told why', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const backend = await factory.backend();
    await backend.release(await image('EDT', 5000));
    const vehicle = await factory.vehicle();
    const headers = {
      ...(await backend.logIn()),
      ...{ 'content-type': 'application/json', accept: 'application/json' },
    };
    const tmu = startTmu({ vehicle, server: backend.url, state: await factory.state() });
    // From here on the new software is watched for two seconds, so the order arrives before the end.
    await tmu.event({ kind: 'state', state: 'activating' });
    const ordered = await fetch(`${backend.url}/vehicles/${VIN}/cancel`, {
      ...{ method: 'POST', headers, body: JSON.stringify({ reason: 'It has a defect' }) },
    });
    expect(ordered.status, await ordered.text()).toBeLessThan(300);
    expect(await tmu.code()).toBe(0);
    expect(tmu.events.filter(({ kind }) => kind === 'cancel')).toMatchObject([{ accepted: false }]);
    expect(outcomeOf(tmu)).toMatchObject({ outcome: 'SUCCESS' });
    expect(await vehicle.version('EDT')).toBe('2.0.0');
    const { reason } = tmu.events.find(({ kind }) => kind === 'cancel')!;
    await eventually(async () => {
      expect((await backend.pages()).replaceAll('&#39;', "'")).toContain(String(reason));
    });
  });

  scenario('a vehicle that drives is not updated, and is told what to do', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const backend = await factory.backend();
    await backend.release(await image('EDT', 5000));
    const cgw = ['--signal', 'speed=50'];
    const vehicle = await factory.vehicle({ approve: 'ask', cgw });
    const state = await factory.state();
    const trace = path.join(state, 'driving.log');
    const more = ['--once', '--trace', trace];
    const driving = startTmu({ vehicle, server: backend.url, state, more });
    await asked(vehicle);
    vehicle.ecu('CGW').type('approve\n');
    expect(await driving.code()).toBe(8);
    expect(outcomeOf(driving)).toMatchObject({ outcome: 'PRECONDITION_FAILED', code: 'CONDITION' });
    for (const text of ['standing', 'Stop the vehicle.']) {
      expect(String(outcomeOf(driving).reason)).toContain(text);
    }
    expect(await erases(trace)).toEqual({ EDT: 0, INV: 0 });
    expect(await vehicle.version('EDT')).toBe('1.0.0');
  });

  scenario('a vehicle that drives off is left as it was, and updated when it stands', async () => {
    const factory = await TestFactory.open();
    const backend = await factory.backend();
    await backend.release(await image('EDT', 100_000), await image('INV', 4000));
    const bus = freshBus('bitrate=500000');
    const vehicle = await factory.vehicle({ approve: 'ask', bus });
    const cgw = vehicle.ecu('CGW');
    const state = await factory.state();
    const approved = async (question: number): Promise<Run> => {
      const tmu = startTmu({ vehicle, server: backend.url, state });
      await eventually(() => {
        const questions = cgw.lines.filter((line) => /answer within/.test(line));
        expect(questions).toHaveLength(question);
      });
      cgw.type('approve\n');
      return tmu;
    };
    const driving = await approved(1);
    await driving.event({ kind: 'ecu-progress', ecu: 'EDT' }, ({ sent }) => Number(sent) > 10_000);
    cgw.type('signal speed 50\n');
    expect(await driving.code()).toBe(8);
    expect(outcomeOf(driving)).toMatchObject({ outcome: 'PRECONDITION_FAILED', code: 'CONDITION' });
    expect(String(outcomeOf(driving).reason)).toContain('standing');
    for (const ecu of ['EDT', 'INV']) expect(await vehicle.version(ecu), ecu).toBe('1.0.0');
    await cgw.line(/The update was stopped, nothing has changed/);

    cgw.type('signal speed 0\n');
    await cgw.line(/speed is 0/);
    await overTheMinute(state);
    const standing = await approved(2);
    expect(await standing.code(), String(standing)).toBe(0);
    expect(outcomeOf(standing)).toMatchObject({ outcome: 'SUCCESS' });
    for (const ecu of ['EDT', 'INV']) expect(await vehicle.version(ecu), ecu).toBe('2.0.0');
    expect((await told('history', state)).map(({ outcome }) => outcome)).toEqual([
      'PRECONDITION_FAILED',
      'SUCCESS',
    ]);
  });

  scenario('a safety release is installed without a question, and the driver is told', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const backend = await factory.backend();
    await backend.releaseForced(await image('EDT', 5000));
    // There is no answer here; for an ordinary release the question would time out.
    const vehicle = await factory.vehicle({ approve: 'ask' });
    const state = await factory.state();
    const tmu = await cycle({ vehicle, server: backend.url, state });
    expect(outcomeOf(tmu), String(tmu)).toMatchObject({ outcome: 'SUCCESS' });
    expect(answersTo(tmu)).toEqual(['informed']);
    expect(vehicle.ecu('CGW').lines.join('\n')).toMatch(/safety update/i);
    expect(vehicle.ecu('CGW').lines.join('\n')).not.toMatch(/answer within/);
    expect(await vehicle.version('EDT')).toBe('2.0.0');
    const [entry] = await told('history', state);
    expect(entry).toMatchObject({ outcome: 'SUCCESS', approvedBy: 'forced' });
  });

  scenario('simulated under one seed, everything happens again', async () => {
    const args = ['simulate', '--campaigns', '20', '--faults', 'all', '--json', '--seed'];
    const [first, second, other] = await Promise.all(
      ['7', '7', '8'].map((seed) => run([...args, seed])),
    );
    for (const done of [first!, second!, other!]) {
      expect(done.exit?.code, String(done)).toBe(0);
      const { campaigns, success, rolledBack, rejected, safeState, faults } = done.last;
      expect(campaigns).toBe(20);
      expect(Number(success) + Number(rolledBack) + Number(rejected) + Number(safeState)).toBe(20);
      expect(done.last).toMatchObject({
        ...{ violations: [], digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
        ...{ virtualSeconds: expect.any(Number), seconds: expect.any(Number) },
      });
      for (const kind of ['power', 'bus', 'network', 'disk', 'ecu']) {
        expect(faults, kind).toHaveProperty(kind, expect.any(Number));
      }
    }
    const whatHappened = ({ last }: Run): Json => {
      const { seconds: _, campaignsPerSecond: __, limits: ___, ...same } = last;
      return same;
    };
    expect(whatHappened(second!)).toEqual(whatHappened(first!));
    expect(other!.last.digest).not.toBe(first!.last.digest);
  });

  scenario('simulated with a way back that is none, it is found out', async () => {
    const args = ['simulate', '--campaigns', '100', '--seed', '7', '--no-shrink', '--json'];
    const broken = await run([...args, '--sabotage', 'no-rollback']);
    expect(broken.exit?.code, String(broken)).toBe(1);
    const { violations } = broken.last as { violations: Json[] };
    expect(violations.length).toBeGreaterThan(0);
    for (const { replay } of violations) expect(replay).toContain('--sabotage no-rollback');
    const unknown = await run([...args, '--sabotage', 'no-such']);
    expect(unknown.exit?.code).toBe(2);
    expect(unknown.stderr).toContain('no-rollback');
  });
});

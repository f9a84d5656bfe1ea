// What goes wrong in the device itself: the image before runs again, whatever and whenever it was.

import { describe, expect, it } from 'vitest';
import { DEVICE_STATES } from '../../src/device/device-state.ts';
import { CHECKS } from '../../src/device/diagnostics.ts';
import { type DeviceFaults, DevicePowerCut } from '../../src/device/faults.ts';
import type { OpenClientOptions } from '../../src/device/open-client.ts';
import type { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { DeviceWorld, imageOf } from './support.ts';

async function updated(faults: DeviceFaults, options: Partial<OpenClientOptions> = {}) {
  const world = await DeviceWorld.start();
  const { disk } = await world.enrolled();
  await world.release(imageOf(20_000));
  const device = await world.device(disk, { faults, ...options });
  await device.start();
  return { world, disk, device };
}

async function expectFactory(world: DeviceWorld, disk: SimulatedDisk): Promise<void> {
  expect(await world.status(disk)).toMatchObject({
    bank: 'A',
    version: '1.0.0',
    trial: false,
    counter: 0,
    transfer: null,
  });
}

describe('new software', () => {
  for (const check of CHECKS) {
    it(`whose ${check} is not right is left again`, async () => {
      const { world, disk, device } = await updated({ badDiagnostics: check });
      const end = await device.once();
      expect(end).toMatchObject({ outcome: 'rolled-back', code: 'DIAGNOSTICS' });
      expect((end as { reason: string }).reason).toContain(`${check}: expected `);
      expect(device.states().slice(-3)).toEqual(['applying', 'rollback', 'idle']);
      await expectFactory(world, disk);
      expect(world.transfers()).toMatchObject([
        { state: 'rolled-back', version: '1.0.0', code: 'DIAGNOSTICS' },
      ]);
      expect(device.events.findLast((event) => event.kind === 'work')).toMatchObject({
        running: true,
      });
    });
  }

  it('with too little memory left is left again', async () => {
    const { world, disk, device } = await updated({}, { freeBytes: () => 1000 });
    const { outcome, reason } = (await device.once()) as { outcome: string; reason: string };
    expect(outcome).toBe('rolled-back');
    expect(reason).toContain('memory: expected at least 8192 bytes, found 1000');
    await expectFactory(world, disk);
  });

  it('that reaches no backend is left again, and the backend hears of it later', async () => {
    const { world, disk, device } = await updated({});
    world.network.fault = ({ path }) =>
      ['/ota/status', '/ota/complete', '/healthz'].includes(path)
        ? { kind: 'drop', what: 'request' }
        : undefined;
    const { outcome, reason } = (await device.once()) as { outcome: string; reason: string };
    expect(outcome).toBe('rolled-back');
    expect(reason).toMatch(/network: expected reachable.*backend: expected reachable/);
    await expectFactory(world, disk);
    expect(world.transfers()).toMatchObject([{ state: 'verified' }]);
    expect((await world.status(disk)).owesReport).toBe(true);
    world.network.fault = undefined;
    const restarted = await world.device(disk);
    await restarted.start();
    expect(await restarted.once()).toMatchObject({ outcome: 'up-to-date' });
    expect(world.transfers()).toMatchObject([{ state: 'rolled-back' }]);
  });

  it('that never starts is left after three boots', async () => {
    const { world, disk, device } = await updated({ refuseBoot: true });
    const end = await device.once();
    expect(end).toMatchObject({ outcome: 'rolled-back', code: 'BOOT' });
    expect(device.events.filter((event) => event.kind === 'boot-refused')).toHaveLength(3);
    await expectFactory(world, disk);
  });

  it('that flash memory does not keep is never booted', async () => {
    const { world, disk, device } = await updated({ badFlash: true });
    expect(await device.once()).toMatchObject({ outcome: 'failed', code: 'DIGEST_MISMATCH' });
    expect(device.events.filter((event) => event.kind === 'boot')).toHaveLength(1);
    await expectFactory(world, disk);
    expect(world.transfers()).toMatchObject([{ state: 'failed', code: 'DIGEST_MISMATCH' }]);
  });

  it('that was left is not taken again by itself, but when it is asked for', async () => {
    const { world, disk, device } = await updated({ badDiagnostics: 'version' });
    await device.once();
    const mended = await world.device(disk);
    await mended.start();
    expect(await mended.once()).toMatchObject({ outcome: 'up-to-date' });
    expect(await mended.once(true)).toEqual({ outcome: 'success' });
    expect(await world.status(disk)).toMatchObject({ bank: 'B', version: '2.0.0', counter: 2 });
  });
});

describe('a power cut in state', () => {
  for (const state of DEVICE_STATES.filter((each) => each !== 'error')) {
    it(`${state} costs nothing but time`, async () => {
      const badDiagnostics = state === 'rollback' ? { badDiagnostics: 'version' as const } : {};
      const { world, disk, device } = await updated({ powerCut: state, ...badDiagnostics });
      await expect(device.once()).rejects.toThrow(DevicePowerCut);
      disk.cut(world.random.fork(state));
      const next = await world.device(disk, { faults: badDiagnostics });
      const settled = await next.start();
      const end = settled ?? (await next.once());
      const isOver = ['completed', 'idle'].includes(state);
      if (state === 'rollback') {
        expect(end.outcome).toBe('up-to-date');
        await expectFactory(world, disk);
        expect(world.transfers()).toMatchObject([{ state: 'rolled-back' }]);
        return;
      }
      expect(end.outcome).toBe(isOver ? 'up-to-date' : 'success');
      expect(await world.status(disk)).toMatchObject({ bank: 'B', version: '2.0.0', trial: false });
      expect(world.transfers().at(-1)).toMatchObject({ state: 'success' });
    });
  }

  it('error costs nothing but time', async () => {
    const { world, disk, device } = await updated({ powerCut: 'error' });
    world.network.fault = ({ path }) => (path === '/ota/chunk' ? { kind: 'cut' } : undefined);
    await expect(device.once()).rejects.toThrow(DevicePowerCut);
    disk.cut(world.random.fork('error'));
    world.network.fault = undefined;
    const next = await world.device(disk);
    await next.start();
    expect(await next.once()).toEqual({ outcome: 'success' });
  });
});

describe('a device', () => {
  it('whose running image is damaged and whose other bank is older runs nothing, and is still updated', async () => {
    const { world, disk, device } = await updated({});
    await device.once();
    disk.put('bank-b.bin', imageOf(10, 5));
    const next = await world.device(disk);
    await next.start();
    expect(next.events.map((event) => event.kind)).toEqual([
      'boot-refused',
      'boot-refused',
      'boot',
    ]);
    expect(next.events.at(-1)).toMatchObject({ mode: 'recovery' });
    await world.release(imageOf(3000, 9), { version: '3.0.0', counter: 3 });
    expect(await next.once()).toEqual({ outcome: 'success' });
    expect(await world.status(disk)).toMatchObject({ version: '3.0.0', counter: 3 });
  });

  it('does not run an image that was exchanged together with its entry in the boot record', async () => {
    const { world, disk, device } = await updated({});
    await device.once();
    const record = JSON.parse(Buffer.from(disk.durable('boot-record.json')!).toString());
    record.banks[1].signed = record.banks[1].signed.replace(
      '"version":"2.0.0"',
      '"version":"2.0.1"',
    );
    disk.put('boot-record.json', Buffer.from(JSON.stringify(record)));
    const next = await world.device(disk);
    await next.start();
    expect(next.events[0]).toMatchObject({
      kind: 'boot-refused',
      reason: expect.stringContaining('SIGNATURE'),
    });
  });
});

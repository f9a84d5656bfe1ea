// Which keys a device may be asked to prove: the new ones, the one of now, and the one before it for a restored backend.

import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { MemoryStorage } from '../../src/core/memory-storage.ts';
import { DeviceKeys } from '../../src/link/device-keys.ts';
import { deviceKeyOf } from '../../src/trust/device-session.ts';

const DEVICE = { serial: 'CO-000001', hwId: 'tmu-1', deviceSecret: new Uint8Array(32).fill(7) };
const FACTORY = toHex(deviceKeyOf(DEVICE.deviceSecret));
const SECOND = new Uint8Array(32).fill(2);
const THIRD = new Uint8Array(32).fill(3);

const hex = (keys: DeviceKeys): string[] => keys.candidates.map(toHex);

describe('the keys of a device', () => {
  it('keep the one before the last change, over restarts, until the next change', async () => {
    const storage = new MemoryStorage();
    const open = (): Promise<DeviceKeys> => DeviceKeys.open(DEVICE, storage, systemClock);
    const keys = await open();
    expect(hex(keys)).toEqual([FACTORY]);
    await keys.propose(SECOND);
    expect(hex(keys)).toEqual([toHex(SECOND), FACTORY]);
    await keys.proven(SECOND, 1000);
    expect(hex(await open())).toEqual([toHex(SECOND), FACTORY]);
    await keys.propose(THIRD);
    await keys.proven(THIRD, 2000);
    expect(hex(await open())).toEqual([toHex(THIRD), toHex(SECOND)]);
  });

  it('go back with a backend that was restored, and forth again with one that was not', async () => {
    const keys = await DeviceKeys.open(DEVICE, new MemoryStorage(), systemClock);
    await keys.propose(SECOND);
    await keys.proven(SECOND, 1000);
    await keys.proven(keys.candidates.at(-1)!, 2000);
    expect(toHex(keys.current)).toBe(FACTORY);
    expect(hex(keys)).toEqual([FACTORY, toHex(SECOND)]);
    await keys.proven(SECOND, 3000);
    expect([toHex(keys.current), keys.changedAtMs]).toEqual([toHex(SECOND), 3000]);
  });
});

// An ECU that was never provisioned: that is named first, and no condition of the vehicle is blamed.

import { describe, expect, it } from 'vitest';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { benchAuthority } from './ecu-link.ts';
import { PROVISIONS, provision, type Setup, setUp, VEHICLE } from './provisioner-support.ts';
import { imageOf } from './support.ts';

const TARGET = {
  campaign: '00'.repeat(16),
  version: '2.0.0',
  image: imageOf(Uint8Array.of(1, 2, 3)),
  metadata: Uint8Array.of(0x7b, 0x7d),
};

function driverOf({ link }: Setup): UdsEcuDriver {
  const ecu = findEcu(VEHICLE, 'EDT');
  const { client: requester, clock } = link;
  return new UdsEcuDriver({ ecu, requester, clock, authority: benchAuthority('EDT') });
}

describe('an ECU that is not provisioned', () => {
  it('is called so when it shall be programmed', async () => {
    const setup = await setUp();
    const staged = await setup.within(driverOf(setup).stage(TARGET));
    expect(staged.ok).toBe(false);
    expect(staged.ok ? '' : staged.reason).toMatch(/^EDT \(.*\) is not provisioned: run "can-ota/);
    expect(staged.ok ? '' : staged.reason).not.toContain('bring the vehicle');
  });

  it('is told apart from one whose provisioning was broken off', async () => {
    const setup = await setUp();
    await setup.within(setup.provisioner.write(PROVISIONS));
    const key = { ...findEcu(VEHICLE, 'EDT'), security: { algorithm: 'none' } as const };
    const { client: requester, clock } = setup.link;
    const staged = await setup.within(
      new UdsEcuDriver({ ecu: key, requester, clock }).stage(TARGET),
    );
    expect(staged.ok ? '' : staged.reason).toContain('is not provisioned completely');
  });

  it('is not blamed for a condition of one that is', async () => {
    const setup = await setUp();
    await provision(setup);
    setup.link.changes = (answer) =>
      answer[0] === 0x50 && answer[1] === 2 ? Uint8Array.of(0x7f, 0x10, 0x22) : answer;
    const { client: requester, clock } = setup.link;
    const ecu = { ...findEcu(VEHICLE, 'EDT'), security: { algorithm: 'none' } as const };
    const driver = new UdsEcuDriver({ ecu, requester, clock });
    const staged = await setup.within(driver.stage(TARGET));
    expect(staged.ok ? '' : staged.reason).toContain('bring the vehicle into the condition');
  });
});

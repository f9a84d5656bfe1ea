// A device and a registry for the tests of enrolment.

import { publicPem } from '../../src/contract/chunked/sign-package.ts';
import type { DeviceRegistry } from '../../src/device/enroll.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { DeviceWorld, imageOf, MODEL, releaseKey } from './support.ts';

export async function ready() {
  const world = await DeviceWorld.start();
  const disk = new SimulatedDisk();
  const options = (registry: DeviceRegistry = world.registry()) => ({
    storage: disk.open(),
    registry,
    random: world.random,
    model: MODEL,
    releaseKey: publicPem(releaseKey('default')),
    factory: { image: imageOf(1000), version: '1.0.0' },
  });
  const devices = () => world.database.prepare('select serial, status, vin from devices').all();
  return { world, disk, options, devices };
}

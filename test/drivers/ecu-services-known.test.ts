// Which data of an ECU may be asked for: what its vehicle file describes, and the identification of the standard.

import { expect, it } from 'vitest';
import { UdsEcuServices } from '../../src/drivers/ecu-services.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { vehicleOf } from './services-bench.ts';
import { ScriptedEcu } from './support.ts';

const services = new UdsEcuServices({
  vehicle: vehicleOf(),
  requesterFor: () => new ScriptedEcu({}),
  clock: new VirtualClock(),
});

it.each([
  ['INV.F180', 'known'],
  ['INV.F19F', 'known'],
  ['INV.F17F', 'unknown-did'],
  ['INV.F1A0', 'unknown-did'],
  ['INV.f190', 'known'],
  ['INV', 'unknown-did'],
  ['XYZ.F190', 'unknown-ecu'],
])('%s is %s', (did, expected) => {
  expect(services.knows(did)).toBe(expected);
});

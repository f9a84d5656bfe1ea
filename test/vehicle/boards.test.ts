// A board with OpenBLT in a vehicle file: its defaults, and what cannot be asked of it.

import { describe, expect, it } from 'vitest';
import { findEcu, parseVehicle } from '../../src/vehicle/load.ts';

const file = (board: string, rest = '') => `
vin: 1CANXTABENCH00001
buses: { main: {} }
ecus:
  - { name: EDT, hardwareId: EDT-HW, address: { mode: normal, request: 0x7E0, response: 0x7E8 } }
  - { name: BLT, hardwareId: BLT-HW, ${board} }
${rest}`;
const load = (board: string, rest?: string) => parseVehicle(file(board, rest), 'vehicle.yaml');

describe('a board with OpenBLT', () => {
  it.each(['programming: openblt', 'programming: { protocol: openblt, identify: required }'])(
    'has the defaults of OpenBLT and one bank: %s',
    (board) => {
      const { address, programming, memory } = findEcu(load(board), 'BLT');
      expect(address).toEqual({ mode: 'normal', request: 0x667, response: 0x7e1, extended: false });
      expect(memory.banks).toBe(1);
      expect(programming).toMatchObject({
        ...{ protocol: 'openblt', activation: 'reset', metadata: 'skip', identify: 'skip' },
        openblt: {
          ...{ waitForPowerOnMs: 10_000, readBack: 'try', padding: null },
          timing: { t1Ms: 1000, t3Ms: 2000, t4Ms: 10_000, t5Ms: 1000, t6Ms: 50, t7Ms: 2000 },
        },
      });
    },
  );

  it('alone may leave out its address', () => {
    const fault = () => load('programming: standard');
    expect(fault).toThrow(
      /vehicle\.yaml:6: ecus\[1\]\.address: is missing: expected the identifiers/,
    );
  });

  it.each([
    ['programming: openblt, fd: {}', '', 'expected false'],
    [
      'programming: openblt, address: { mode: normal-fixed, ecu: 1 }',
      '',
      'expected normal, because XCP',
    ],
    ['programming: openblt', 'approval: { ecu: BLT }', 'cannot ask the driver'],
    [
      'programming: openblt',
      'signals: { speed: { ecu: BLT, did: 0x1234, unit: km/h } }',
      'has no data identifiers',
    ],
  ])('%s %s is refused', (board, rest, reason) => {
    expect(() => load(board, rest)).toThrow(reason);
  });
});

// The vehicle files of `vehicle init`: from what ECUs tell, and from templates.

import { describe, expect, it } from 'vitest';
import { type DescribedEcu, foundVehicleText } from '../../src/onboard/found-vehicle.ts';
import { profileList, readProfile } from '../../src/onboard/profiles.ts';
import { templateVehicleText } from '../../src/onboard/template-vehicle.ts';
import { parseVehicle } from '../../src/vehicle/load.ts';

describe('the vehicle file of a scan', () => {
  const found = (
    request: number,
    response: number,
    texts: Readonly<Record<number, string>> = {},
    more: Partial<DescribedEcu> = {},
  ): DescribedEcu => {
    const extended = request > 0x7ff;
    const ids = { request: { id: request, extended }, response: { id: response, extended } };
    const map = new Map(Object.entries(texts).map(([did, text]) => [Number(did), text]));
    return { ...ids, fd: false, functional: false, texts: map, ...more };
  };

  it('is one that can be loaded, with what the ECUs tell', () => {
    const text = foundVehicleText(
      [
        found(
          0x7e0,
          0x7e8,
          { 61840: 'WVWZZZ1JZ3W386752', 61841: 'HW "3": #1', 61847: 'Engine control' },
          { functional: true },
        ),
        found(0x714, 0x77e, {}, { fd: true }),
        found(
          0x18da10f1,
          0x18daf110,
          { 61841: 'H', 61847: 'Engine control' },
          { functional: true },
        ),
        found(0x18da40f1, 0x18ff0040),
      ],
      {},
    );
    const vehicle = parseVehicle(text, 'v.yaml');
    expect(vehicle.vin).toBe('WVWZZZ1JZ3W386752');
    expect(vehicle.ecus.map(({ name, hardwareId }) => [name, hardwareId])).toEqual([
      ['ENGINE_CONTROL', 'HW "3": #1'],
      ['ECU_714', 'unknown'],
      ['ECU_10', 'H'],
      ['ECU_18DA40F1', 'unknown'],
    ]);
    expect(vehicle.ecus.map(({ address }) => address)).toMatchObject([
      { mode: 'normal', request: 0x7e0, response: 0x7e8, functional: 0x7df },
      { mode: 'normal', request: 0x714, response: 0x77e },
      { mode: 'normal-fixed', ecu: 0x10 },
      { mode: 'normal', request: 0x18da40f1, response: 0x18ff0040, extended: true },
    ]);
    expect(vehicle.ecus[1]?.fd).toEqual({ txDl: 64, brs: true });
    expect(vehicle.ecus.every(({ programming }) => programming.activation === 'reset')).toBe(true);
    // A comment for what a scan cannot know.
    expect(text).toMatch(/# How it is unlocked/);
    expect(text).toMatch(/# Where an image goes/);
  });

  it('has the VIN that is given, or says that none was told', () => {
    const ecu = found(0x7e0, 0x7e8, { 61840: 'not a VIN' });
    const none = foundVehicleText([ecu], { bitrate: 250_000 });
    expect(none).toContain('# No ECU told it (F190): put yours here.');
    expect(parseVehicle(none, 'v').buses).toMatchObject({ main: { bitrate: 250_000 } });
    const vin = '1CANXTATEST000001';
    expect(parseVehicle(foundVehicleText([ecu], { vin }), 'v').vin).toBe(vin);
  });

  it('takes no text of an ECU for YAML', () => {
    const nasty = 'x"\\n  - name: EVIL # {';
    const text = foundVehicleText([found(0x7e0, 0x7e8, { 61834: nasty, 61841: nasty })], {});
    const vehicle = parseVehicle(text, 'v');
    expect(vehicle.ecus).toHaveLength(1);
    expect(vehicle.ecus[0]?.hardwareId).toBe(nasty);
  });
});

describe('a template', () => {
  it.each(profileList())('%s can be loaded', (profile) => {
    const text = templateVehicleText(profile, '1CANXTATEST000001');
    const vehicle = parseVehicle(text, 'v', (name) => readProfile(name, process.cwd()));
    expect(vehicle.ecus[0]).toMatchObject({ name: 'ENGINE', profile });
  });

  it('has the fields of its addressing', () => {
    expect(templateVehicleText('bmw-extended', 'V')).toContain('{ response: 0x612, ecu: 0x12 }');
    expect(templateVehicleText('toyota-sub-address', 'V')).toContain('{ extension: 0x10 }');
  });

  it('that does not exist is named', () => {
    expect(() => templateVehicleText('vw-lik', 'V')).toThrow(/vw-lik is not known.*vw-like/);
  });
});

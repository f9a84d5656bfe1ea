// What an ECU keeps over a reset: it is there again, byte by byte, and nothing is written once the power is off.

import { describe, expect, it } from 'vitest';
import { twoBanks } from '../../ecus/bootloader/boot/two-banks.ts';
import { builtInFactoryImage } from '../../ecus/bootloader/factory/factory-image.ts';

import { type EcuMemory, powerOff } from '../../ecus/bootloader/flash/memory.ts';
import { NvData } from '../../ecus/bootloader/flash/nv-data.ts';
import { type MemoryOptions, openMemory } from '../../ecus/bootloader/flash/open-memory.ts';
import { profileOf } from '../../ecus/profiles.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { benchVehicle, EcuBench, imageOf } from '../support/ecu-bench.ts';
import { FaultStorage } from '../support/fault-storage.ts';

const DTC = { code: 0x934200, status: 0x09 };

describe('non-volatile data', () => {
  const open = (storage: FaultStorage) => NvData.open(storage, () => 'EDT-1', [DTC]);

  it('begins with a new serial number and the trouble codes of the profile', async () => {
    const { nv, damaged } = await open(new FaultStorage());
    expect(damaged).toBeUndefined();
    expect(nv.content).toEqual({
      ...{ format: 1, serial: 'EDT-1', vin: null, fingerprint: '', failedAttempts: 0 },
      ...{ dtcs: [DTC], values: {}, runs: {} },
    });
  });

  it('is there again after a power cut, every field of it', async () => {
    const storage = new FaultStorage();
    const change = {
      ...{ vin: '1CANXTABENCH00001', fingerprint: '0102', failedAttempts: 2 },
      ...{ dtcs: [], values: { fd40: '07' }, runs: { ff00: 3 } },
    };
    await (await open(storage)).nv.store(change);
    const again = await NvData.open(storage.afterPowerCut(), () => 'another', [DTC]);
    expect(again.damaged).toBeUndefined();
    expect(again.nv.content).toEqual({ format: 1, serial: 'EDT-1', ...change });
  });

  it('that is damaged is made anew, with the attempts used up', async () => {
    const storage = new FaultStorage();
    await open(storage);
    storage.corrupt('nv', 20);
    const { nv, damaged } = await NvData.open(storage, () => 'EDT-2', []);
    expect(damaged).toEqual(expect.any(String));
    expect(nv.content).toMatchObject({ serial: 'EDT-2', failedAttempts: 3, dtcs: [] });
  });

  it('keeps what was written last when writes overlap', async () => {
    const storage = new FaultStorage();
    const { nv } = await open(storage);
    await Promise.all([nv.store({ fingerprint: '01' }), nv.store({ fingerprint: '02' })]);
    expect((await open(storage.afterPowerCut())).nv.content.fingerprint).toBe('02');
  });
});

describe('the memory of an ECU', () => {
  function optionsFor(storage: FaultStorage): MemoryOptions {
    const { name, hardwareId } = findEcu(benchVehicle, 'EDT');
    return {
      ...{ name, hardwareId, storage, random: seededRandom('memory'), logger: silentLogger },
      ...{ dtcs: profileOf('EDT').dtcs, chipId: undefined, banks: twoBanks, benchKeys: true },
      factoryImage: builtInFactoryImage('EDT'),
    };
  }
  const open = (storage: FaultStorage): Promise<EcuMemory> =>
    openMemory(optionsFor(storage), () => 'ok');

  it('is the same device after a power cut', async () => {
    const storage = new FaultStorage();
    const first = await open(storage);
    const again = await open(storage.afterPowerCut());
    expect(again.deviceId).toEqual(first.deviceId);
    expect(again.nv.content).toEqual(first.nv.content);
    expect(again.identity.content).toEqual(first.identity.content);
    expect(again.identity.locked).toBe(true);
    expect(again.flash.record).toEqual(first.flash.record);
    expect(again.hardwareId).toBe('EDT-HW1');
  });

  it('writes nothing more, whichever part is asked to, once the power is off', async () => {
    const storage = new FaultStorage();
    const memory = await open(storage);
    const { operations } = storage;
    powerOff(memory);
    const asked = await Promise.allSettled([
      memory.nv.store({ fingerprint: '01' }),
      memory.trust.noteAttack('ROLLBACK'),
      memory.trust.raiseSecurityCounter(9),
      memory.trust.storeBankRecord(0, new Uint8Array(3)),
      memory.resume.set({} as never),
      memory.flash.update(() => ({ ok: false }) as never),
      memory.flash.erase(),
    ]);
    expect(asked).toHaveLength(7);
    expect(storage.operations).toBe(operations);
  });

  it('believes the record of a bank for its own serial number alone, also once it has passed', async () => {
    const storage = new FaultStorage();
    const bench = await EcuBench.start({ storage });
    await bench.program(imageOf(3000), '2.0.0');
    const { trust, identity } = await open(storage.afterPowerCut());
    const record = (await trust.bankRecord(1))!;
    const serial = identity.content.serial!;
    const passes = (bytes: Uint8Array, of: string) => trust.checkRecord(bytes, identity, of).ok;
    expect(passes(record, serial)).toBe(true);
    expect(passes(record, `${serial}0`)).toBe(false);
    expect(passes(record.slice(0, -1), serial)).toBe(false);
    expect(passes(record, serial)).toBe(true);
  });
});

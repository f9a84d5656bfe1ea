// Each profile against a simulated ECU that follows it strictly, over a bus with frames; and against one of another make.

import { describe, expect, it } from 'vitest';
import { ForeignEcu } from '../../ecus/foreign/foreign-ecu.ts';
import { runSingle, type SingleResult } from '../../src/campaign/single.ts';
import { asciiBytes, concatBytes } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import type { CalledProgram } from '../../src/image/called-program.ts';
import type { ImageSource } from '../../src/image/image-source.ts';
import type { MemoryImage } from '../../src/image/memory-image.ts';
import { connectTester } from '../../src/onboard/bus.ts';
import { profileList, readProfile } from '../../src/onboard/profiles.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { regionsOf } from '../../src/vehicle/memory.ts';
import { underProfile } from '../../src/vehicle/profile.ts';
import { ecuSchema, type VehicleEcu } from '../../src/vehicle/schema.ts';
import { imageOf } from '../drivers/support.ts';
import { FaultStorage } from '../support/fault-storage.ts';

const OWN = 'can-ota';
const FOREIGN = profileList().filter((name) => name !== OWN);

const firmware = (version: string, length: number): Uint8Array =>
  concatBytes(asciiBytes(`can-ota firmware ${version}\n`), new Uint8Array(length).fill(0x5a));

/** What a profile leaves to the vehicle file. */
const IDENTITY: Readonly<Record<string, Record<string, unknown>>> = {
  'vw-like': {
    memory: { bankSize: 0x1_0000 },
    security: { algorithm: 'arithmetic', level: 0x11, steps: ['add 0x1234', 'rotl 3'] },
  },
  'psa-like': { security: { algorithm: 'xor', constant: 'A55A' } },
  'volvo-like': {
    memory: { regions: [{ address: 0x8000, size: 0x8000, eraseUnit: 1024 }], gaps: 'keep' },
    security: {
      algorithm: 'aes-cmac',
      secret: '00112233445566778899aabbccddeeff',
      dataRecord: '01',
    },
  },
  'toyota-sub-address': { address: { extension: 0x40 } },
  'bmw-extended': { address: { ecu: 0x12, response: 0x612 } },
};

function ecuOf(profile: string, change: Record<string, unknown> = {}): VehicleEcu {
  const identity = {
    name: 'ABC',
    hardwareId: 'ABC-HW',
    security: { algorithm: 'none' },
    ...IDENTITY[profile],
  };
  const usual = { mode: 'normal', request: 0x7e0, response: 0x7e8, functional: 0x7df };
  const fields = underProfile(readProfile(profile, '.'), identity) as Record<string, unknown>;
  return ecuSchema.parse(
    underProfile(fields, {
      ...(fields.address === undefined ? { address: usual } : {}),
      ...change,
    }),
  );
}

const bootLoader: CalledProgram = {
  image: {
    ...imageOf(new Uint8Array(700).fill(7)),
    map: { segments: [{ address: 0x4000_0000, length: 700 }], dataOffset: 0 },
  },
  call: 0x4000_0010,
};

interface Run {
  readonly result: SingleResult;
  readonly ecu: ForeignEcu;
  readonly boots: (string | undefined)[];
}

function factoryOf({ memory }: VehicleEcu): MemoryImage {
  const { address } = regionsOf(memory)[0] ?? memory;
  return { segments: [{ address, bytes: firmware('1.0.0', 500) }] };
}

async function program(tester: VehicleEcu, built: VehicleEcu, image: ImageSource): Promise<Run> {
  const clock = new VirtualClock(Date.UTC(2026, 10, 30));
  const wire = new SimulatedWire({ clock, bitrate: 500_000 });
  const boots: (string | undefined)[] = [];
  const common = { clock, logger: silentLogger };
  const ecu = await ForeignEcu.start({
    ...{ ...common, ecu: built, bus: wire.attach('ABC'), random: seededRandom('profile') },
    ...{ storage: new FaultStorage(), factoryImage: factoryOf(built) },
    ...{ maxBlockLength: 0x402, onBoot: (version) => boots.push(version) },
  });
  const requester = connectTester(wire.attach('tester'), tester, common);
  const driver = new UdsEcuDriver({
    ...{
      ...common,
      ecu: tester,
      requester,
      secondBootLoader: async (file) => {
        expect(file).toBe('second-boot-loader.vbf');
        return bootLoader;
      },
    },
  });
  const result = await clock.within(
    1_000_000,
    runSingle({
      ...{ driver, ecu: tester, hasOneBank: true, clock, random: seededRandom('retries') },
      ...{ target: { version: undefined, image }, heartbeatMs: 0, retry: {} },
    }),
  );
  requester.close();
  ecu.close();
  return { result, ecu, boots };
}

describe.each(FOREIGN)('an ECU with the profile %s', (profile) => {
  it('is programmed', async () => {
    const ecu = ecuOf(profile);
    const bytes = firmware('2.0.0', 3000);
    const run = await program(ecu, ecu, imageOf(bytes));
    expect(run.result, JSON.stringify(run.result)).toMatchObject({ ok: true });
    expect(run.boots).toEqual(['1.0.0', '2.0.0']);
    const { address } = ecu.memory.regions?.[0] ?? ecu.memory;
    expect(run.ecu.read(address, bytes.length)).toEqual(bytes);
  });
});

/** Which testers of one profile an ECU of another one refuses, by what differs between them. */
describe('an ECU', () => {
  const shared = {
    address: { mode: 'normal', request: 0x7e0, response: 0x7e8 },
    security: { algorithm: 'none' },
  };
  const image = imageOf(firmware('2.0.0', 1000));
  const built = (profile: string, change: Record<string, unknown> = {}) =>
    ecuOf(profile, { ...shared, ...change });

  it.each([
    ['vw-like', 'plain-uds', 'lengths and block numbers'],
    ['plain-uds', 'vw-like', 'lengths and block numbers'],
    ['psa-like', 'vw-like', 'arguments of the erase'],
    ['bmw-extended', 'plain-uds', 'the preconditions'],
  ])('like %s refuses a tester for %s (%s)', async (ofEcu, ofTester) => {
    const memory = { address: 0x40, bankSize: 0x1000 };
    const tester = built(ofTester, { memory: { ...memory, banks: 1 } });
    const run = await program(tester, built(ofEcu, { memory: { ...memory, banks: 1 } }), image);
    expect(run.result.ok).toBe(false);
    expect(run.boots).not.toContain('2.0.0');
  });

  it('that needs a second boot loader refuses a tester without', async () => {
    const withoutLoader = {
      programming: {
        sequence: ['extendedSession', 'programmingSession', 'security', 'transfer', 'dependencies'],
      },
    };
    const tester = ecuOf('volvo-like', withoutLoader);
    const run = await program(tester, ecuOf('volvo-like'), image);
    expect(run.result).toMatchObject({ ok: false });
    expect(run.result.ok ? '' : run.result.reason).toContain('requestSequenceError');
  });

  it('that knows another key is not unlocked', async () => {
    const tester = ecuOf('psa-like', { security: { constant: 'A55B' } });
    const run = await program(tester, ecuOf('psa-like'), image);
    expect(run.result).toMatchObject({ ok: false, code: 'SECURITY' });
  });

  it('takes an image of two segments in its two regions, and nothing else', async () => {
    const regions = [
      { address: 0x8000, size: 0x1000, eraseUnit: 256 },
      { address: 0x2_0000, size: 0x100 },
    ];
    const ecu = built('plain-uds', { memory: { banks: 1, regions, writeUnit: 8 } });
    const head = firmware('2.0.0', 901);
    const bytes = concatBytes(head, Uint8Array.of(1, 2, 3));
    const segments = [
      { address: 0x8000, length: head.length },
      { address: 0x2_0010, length: 3 },
    ];
    const run = await program(ecu, ecu, { ...imageOf(bytes), map: { segments, dataOffset: 0 } });
    expect(run.result, JSON.stringify(run.result)).toMatchObject({ ok: true });
    expect(run.ecu.read(0x8000, head.length)).toEqual(head);
    expect(run.ecu.read(0x2_000f, 6)).toEqual(Uint8Array.of(0xff, 1, 2, 3, 0xff, 0xff));
    expect(run.ecu.version).toBe('2.0.0');
  });
});

// An ECU in the factory: a virgin one gets its identity over UDS, is read back, and is locked for good.

import { beforeEach, describe, expect, it } from 'vitest';
import { asciiBytes, concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import { benchApprovalKey, benchEcuIdentity, benchWorld } from '../../src/trust/bench-keys.ts';
import { x25519PublicKey } from '../../src/trust/signing-key.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';
import {
  BANK_ADDRESS,
  BANK_SIZE,
  benchVehicle,
  downloadRequest,
  EcuBench,
  fileRequest,
  imageOf,
} from '../support/ecu-bench.ts';

const VIRGIN = { options: { benchKeys: false } };
const DEVICE_SECRET = '11'.repeat(32);
const SECURITY_KEY = '22'.repeat(16);
const APPROVAL = '33'.repeat(32);
/** X25519 pairs of a TMU and of a factory. */
const TESTER = x25519('44');
const FACTORY = x25519('55');
const TESTER_KEY = toHex(TESTER.publicKey).toUpperCase();
const FACTORY_KEY = toHex(FACTORY.publicKey).toUpperCase();

function x25519(fill: string) {
  const privateKey = fromHex(fill.repeat(32));
  return { privateKey, publicKey: x25519PublicKey(privateKey) };
}

/** The vehicle file without any secret: all of them are provisioned. */
const plainVehicle = vehicleSchema.parse({
  ...benchVehicle,
  approval: { ecu: 'CGW' },
  ecus: benchVehicle.ecus.map((ecu) =>
    ecu.name === 'ONE' ? ecu : { ...ecu, security: { algorithm: 'hmac-sha256' } },
  ),
});

/** That of EDT in ecus/bench-vehicle.yaml. */
const SHIPPED = 'c0de0001c0de0001c0de0001c0de00010000000000000000000000000000e001';
const shippedVehicle = vehicleSchema.parse({
  ...plainVehicle,
  ecus: plainVehicle.ecus.map((ecu) => ({
    ...ecu,
    security: { algorithm: 'hmac-sha256', secret: SHIPPED },
  })),
});

async function virgin(name = 'EDT', vehicle = benchVehicle): Promise<EcuBench> {
  return EcuBench.start({ name, options: { benchKeys: false, vehicle } });
}

const read = (address: number, size: number): Uint8Array =>
  concatBytes(
    fromHex('2344'),
    fromHex(address.toString(16).padStart(8, '0')),
    fromHex(size.toString(16).padStart(8, '0')),
  );

/** Every step of a factory except those in `without`. */
async function provision(
  bench: EcuBench,
  { without = [], serial = 'CO-000001' }: { without?: readonly string[]; serial?: string } = {},
): Promise<void> {
  const world = benchWorld();
  const steps: Record<string, () => Promise<string>> = {
    serial: () => bench.ask(concatBytes(fromHex('2EF18C'), asciiBytes(serial))),
    secret: () => bench.ask(`2EFD13${DEVICE_SECRET}`),
    access: () => bench.ask(`2EFD14${SECURITY_KEY}`),
    tester: () => bench.ask(`2EFD16${TESTER_KEY}`),
    approval: () => bench.ask(`2EFD15${APPROVAL}`),
    keys: () => bench.ask('31010220'),
    director: () => bench.sendFile('director.root.json', world.directorRoot),
    images: () => bench.sendFile('images.root.json', world.imagesRoot),
  };
  await bench.expect('1003');
  for (const [name, step] of Object.entries(steps)) {
    if (without.includes(name)) continue;
    expect(await step(), name).not.toMatch(/^7F|silent/);
  }
}

describe('a virgin ECU', () => {
  it('says what it is, and has a chip number that nothing changes', async () => {
    const bench = await virgin();
    const id = await bench.expect('22FD10');
    expect(id).toMatch(/^62FD10[0-9A-F]{32}$/);
    expect(await bench.ask('22FD11')).toBe('62FD1100');
    expect(await bench.text('F18C')).toMatch(/^EDT-[0-9A-F]{8}$/);
    await bench.expect('1002');
    expect(await bench.ask(`2EFD10${'00'.repeat(16)}`)).toBe('7F2E31');
    const again = await EcuBench.start({ storage: bench.storage.afterPowerCut(), ...VIRGIN });
    expect(await again.ask('22FD10')).toBe(id);
  });

  it('boots its factory image, refuses to be programmed, and says what to do', async () => {
    const bench = await virgin();
    expect(await bench.text('F195')).toBe('1.0.0');
    await bench.expect('1002');
    const refused = ['3101FF00', downloadRequest(1000), fileRequest('metadata.json', 100)];
    for (const request of refused) {
      bench.events.length = 0;
      expect((await bench.ask(request)).slice(-2)).toBe('22');
      expect(bench.events).toContainEqual({
        kind: 'not-ready',
        reason:
          'this ECU is not provisioned: run can-ota provision, or start it with --bench-keys on a bench',
      });
    }
    for (const did of ['FD12', 'FD13', 'FD14', 'FD15', 'FD16', 'FD17', 'FD20', 'FD22']) {
      expect(await bench.ask(`22${did}`), did).toBe('7F2222');
    }
  });

  it('has no key for anybody to guess', async () => {
    const bench = await virgin('EDT', plainVehicle);
    await bench.expect('1003');
    expect(await bench.ask('2701')).toBe('7F2722');
  });

  it('lets its flash be read, and only what is there', async () => {
    const bench = await virgin();
    expect(await bench.ask(read(BANK_ADDRESS, 4))).toBe('7F237F');
    await bench.expect('1003');
    const factory = bench.storage.contents('bank-a.bin')!;
    expect(await bench.ask(read(BANK_ADDRESS + 4080, 32))).toBe(
      `63${toHex(factory.subarray(4080)).toUpperCase()}${'FF'.repeat(16)}`,
    );
    expect(await bench.ask(read(BANK_ADDRESS + BANK_SIZE - 1, 2))).toBe('63FFFF');
    expect((await bench.expect(read(BANK_ADDRESS, 4094))).length).toBe(2 * 4095);
    expect(await bench.ask(read(BANK_ADDRESS, 4095))).toBe('7F2314');
    expect(await bench.ask(read(BANK_ADDRESS, 0))).toBe('7F2331');
    expect(await bench.ask(read(BANK_ADDRESS - 1, 2))).toBe('7F2331');
    expect(await bench.ask(read(BANK_ADDRESS + 2 * BANK_SIZE - 1, 2))).toBe('7F2331');
    expect(await bench.ask('35004408000000000003E8')).toBe('7F3570');
  });
});

describe('provisioning', () => {
  let bench: EcuBench;
  beforeEach(async () => {
    bench = await virgin('EDT', plainVehicle);
  });

  it('is written, read back, and locked; afterwards nothing of it can be read or written', async () => {
    await provision(bench);
    expect(await bench.ask('22FD11')).toBe('62FD1101');
    expect(await bench.ask('22FD13')).toBe(`62FD13${DEVICE_SECRET}`);
    expect(await bench.ask('22FD14')).toBe(`62FD14${SECURITY_KEY}`);
    expect(await bench.ask('22FD15')).toBe(`62FD15${APPROVAL}`);
    expect(await bench.ask('22FD16')).toBe(`62FD16${TESTER_KEY}`);
    expect(await bench.text('F18C')).toBe('CO-000001');
    const keys = await bench.expect('22FD12');
    expect(keys).toMatch(/^62FD12[0-9A-F]{128}$/);
    expect(await bench.ask('31010221')).toBe('7101022100');
    expect(bench.events).toContainEqual({ kind: 'locked', serial: 'CO-000001' });
    expect(await bench.ask('31010221')).toBe('7101022100'); // the answer was lost: asked again

    const again = await EcuBench.start({
      storage: bench.storage.afterPowerCut(),
      options: { benchKeys: false, vehicle: plainVehicle },
    });
    for (const ecu of [bench, again]) {
      await ecu.expect('1002');
      expect(await ecu.ask('22FD11')).toBe('62FD1102');
      expect(await ecu.ask('22FD12')).toBe(keys);
      for (const did of ['FD13', 'FD14', 'FD15']) expect(await ecu.ask(`22${did}`)).toBe('7F2233');
      expect(await ecu.ask(read(BANK_ADDRESS, 4))).toBe('7F2333');
      expect(await ecu.ask('35004408000000000003E8')).toBe('7F3533');
      // Locked at once: programming needs the provisioned key from now on.
      expect(await ecu.ask(`2EFD13${'44'.repeat(32)}`)).toBe('7F2E33');
      await ecu.unlock(SECURITY_KEY);
      for (const write of [
        ...['2EF18C4142', `2EFD13${'44'.repeat(32)}`, `2EFD14${'44'.repeat(16)}`],
        ...[`2EFD15${APPROVAL}`, `2EFD16${FACTORY_KEY}`, `2EFD17${FACTORY_KEY}`],
        `2EF190${'41'.repeat(17)}`,
      ]) {
        expect(await ecu.ask(write)).toBe('7F2E33');
      }
      expect(await ecu.ask('31010220')).toBe('7F3133');
      expect(await ecu.ask(fileRequest('director.root.json', 100))).toBe('7F3833');
      expect(await ecu.text('F18C')).toBe('CO-000001');
      await ecu.expect('1003');
      expect(await ecu.ask('31010220')).toBe('7F3133');
    }
  });

  it.each([
    ['serial', /serial number/],
    ['secret', /device secret/],
    ['access', /SecurityAccess/],
    ['tester', /key of the TMU \(2E FD16\)/],
    ['keys', /own keys/],
    ['director', /director\.root\.json/],
    ['images', /images\.root\.json/],
  ])('is not locked without %s', async (step, message) => {
    await provision(bench, { without: [step] });
    expect(await bench.ask('31010221')).toBe('7F3122');
    expect(bench.events.at(-1)).toMatchObject({ kind: 'not-ready' });
    expect((bench.events.at(-1) as { reason: string }).reason).toMatch(message);
    expect(await bench.ask('22FD11')).toBe('62FD1101');
  });

  it('asks for the key of the approval on the ECU that asks the driver only', async () => {
    await provision(bench, { without: ['approval'] });
    expect(await bench.ask('31010221')).toBe('7101022100');
    const gateway = await virgin('CGW', plainVehicle);
    await provision(gateway, { without: ['approval'] });
    expect(await gateway.ask('31010221')).toBe('7F3122');
    await gateway.expect(`2EFD15${APPROVAL}`);
    expect(await gateway.ask('31010221')).toBe('7101022100');
  });

  it('does not take a Root that does not sign itself, keys of a wrong length, a serial with a space', async () => {
    await bench.expect('1003');
    const root = Uint8Array.from(benchWorld().directorRoot);
    root[root.length >> 1]! ^= 1;
    expect(await bench.sendFile('director.root.json', root)).toBe('7F3772');
    expect(bench.events.at(-1)).toMatchObject({ kind: 'root-refused' });
    expect(await bench.ask(`2EFD13${'00'.repeat(31)}`)).toBe('7F2E13');
    expect(await bench.ask(`2EFD14${'00'.repeat(15)}`)).toBe('7F2E13');
    expect(await bench.ask(`2EFD14${'00'.repeat(65)}`)).toBe('7F2E13');
    expect(await bench.ask(`2EFD15${'00'.repeat(33)}`)).toBe('7F2E13');
    expect(await bench.ask(`2EFD16${'44'.repeat(31)}`)).toBe('7F2E13');
    expect(await bench.ask(`2EFD17${'44'.repeat(33)}`)).toBe('7F2E13');
    expect(await bench.ask('2EF18C412042')).toBe('7F2E31');
    expect(await bench.ask('2EF18C')).toBe('7F2E13');
    expect(await bench.ask('3101022000')).toBe('7F3113');
    expect(await bench.ask('22FD11')).toBe('62FD1100');
  });

  it('does not take secrets that come with can-ota', async () => {
    await bench.expect('1003');
    const edt = benchEcuIdentity('EDT');
    const tmu = benchEcuIdentity('TMU').encryption.publicKey;
    const written = [
      ['FD16', tmu],
      ['FD17', tmu],
      ['FD13', edt.deviceSecret],
      ['FD14', edt.securityAccessKey],
      ['FD15', benchApprovalKey()],
      ['FD14', fromHex(SHIPPED)],
    ] as const;
    for (const [did, secret] of written) {
      expect(await bench.ask(concatBytes(fromHex(`2E${did}`), secret)), did).toBe('7F2E31');
    }
  });

  it('makes other keys each time', async () => {
    await bench.expect('1003');
    await bench.expect('31010220');
    const first = await bench.expect('22FD12');
    await bench.expect('31010220');
    expect(await bench.expect('22FD12')).not.toBe(first);
  });
});

describe('an ECU on a bench', () => {
  it('opens with the key of the vehicle file, or with the one that it gave itself', async () => {
    const bench = await EcuBench.start({ options: { vehicle: shippedVehicle } });
    await bench.expect('1002');
    await bench.unlock(SHIPPED);
    const other = await EcuBench.start({ options: { vehicle: plainVehicle } });
    await other.expect('1002');
    await other.unlock(toHex(benchEcuIdentity('EDT').securityAccessKey));
  });

  it('is one because somebody says so: otherwise its secrets and its flash are refused', async () => {
    await expect(virgin('EDT', shippedVehicle)).rejects.toThrow(
      /^security\.secret of EDT: is a secret that comes with can-ota: leave it out/,
    );
    const bench = await EcuBench.start();
    await expect(
      EcuBench.start({ storage: bench.storage.afterPowerCut(), ...VIRGIN }),
    ).rejects.toThrow(/^memory: this flash was provisioned with the public keys of the bench/);
  });

  it('provisions itself once, and can be updated', async () => {
    const bench = await EcuBench.start({ options: { vehicle: plainVehicle } });
    expect(await bench.ask('22FD11')).toBe('62FD1102');
    expect(await bench.text('F18C')).toBe('BENCH-EDT');
    const again = await EcuBench.start({ storage: bench.storage.afterPowerCut() });
    expect(await again.text('F18C')).toBe('BENCH-EDT');
    await again.program(imageOf(1000), '2.0.0');
  });

  it('keeps the identity that a factory gave it', async () => {
    const bench = await virgin('EDT', plainVehicle);
    await provision(bench);
    await bench.expect('31010221');
    const again = await EcuBench.start({ storage: bench.storage.afterPowerCut() });
    expect(await again.text('F18C')).toBe('CO-000001');
  });
});

describe('another chip', () => {
  const other = { chipId: 'ab'.repeat(16) };

  it('stays in the bootloader, programs nothing, and changes nothing', async () => {
    const bench = await EcuBench.start();
    const moved = await EcuBench.start({ storage: bench.storage.afterPowerCut(), faults: other });
    expect(await moved.text('F195')).toBe('none');
    expect(await moved.ask('22FD10')).toBe(`62FD10${other.chipId.toUpperCase()}`);
    expect(moved.events.at(-1)).toMatchObject({ kind: 'boot', mode: 'recovery', bank: null });
    expect((moved.events.at(-1) as { reason: string }).reason).toMatch(
      /^provisioned was chip [0-9a-f]{32}, this is chip abab/,
    );
    await moved.prepare();
    expect(await moved.ask('3101FF00')).toBe('7F3122');
    expect(await moved.ask(fileRequest('metadata.json', 100))).toBe('7F3822');
    const home = await EcuBench.start({ storage: moved.storage.afterPowerCut() });
    expect(await home.text('F195')).toBe('1.0.0');
  });

  it('with the files of the flash alone: the number of the chip is not among them', async () => {
    const bench = await EcuBench.start();
    const copy = bench.storage.afterPowerCut();
    await copy.remove('chip-id');
    const moved = await EcuBench.start({ storage: copy });
    expect(await moved.text('F195')).toBe('none');
  });

  it('other hardware is noticed too', async () => {
    const bench = await EcuBench.start();
    const faults = { hardwareId: 'EDT-HW2' };
    const moved = await EcuBench.start({ storage: bench.storage.afterPowerCut(), faults });
    expect(await moved.text('F195')).toBe('none');
    expect(moved.events.at(-1)).toMatchObject({
      reason: 'provisioned was hardware EDT-HW1, this is EDT-HW2',
    });
  });

  it('a damaged identity closes everything', async () => {
    const bench = await EcuBench.start();
    bench.storage.corrupt('identity', 30);
    const broken = await EcuBench.start({ storage: bench.storage.afterPowerCut() });
    expect(await broken.text('F195')).toBe('none');
    expect(await broken.ask('22FD11')).toBe('62FD1102');
    expect(await broken.ask('22FD13')).toBe('7F2233');
    await broken.prepare();
    expect(await broken.ask('3101FF00')).toBe('7F3122');
    expect(await broken.ask('31010221')).toBe('7F3122');
    const again = await EcuBench.start({ storage: broken.storage.afterPowerCut() });
    expect(await again.text('F195')).toBe('none');
  });
});

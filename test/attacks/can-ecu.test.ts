// The table of attacks: SecurityAccess, what the factory has locked in an ECU, and its flash between two boots.

import { expect } from 'vitest';
import { type BootRecord, bootRecordSchema } from '../../ecus/bootloader/boot/boot-record.ts';
import { decodeSealed, encodeSealed } from '../../ecus/bootloader/flash/sealed-json.ts';
import { createEcu } from '../../ecus/create-ecu.ts';
import { concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';
import { AttackedEcu, nrcOf } from '../support/attack-ecu.ts';
import { attackedVehicle, factoryVehicle, identity } from '../support/attack-factory.ts';
import { imageOf } from '../support/attack-repositories.ts';
import { attacksOn } from '../support/attack-table.ts';
import { updatedVehicle } from '../support/attack-vehicle.ts';
import { digestOf, downloadRequest, EcuBench, fileRequest, hmacKey } from '../support/ecu-bench.ts';
import type { FaultStorage } from '../support/fault-storage.ts';
import { mockRepositories } from '../support/mock-repositories.ts';

const attack = attacksOn('CAN bus');

/** That of EDT in ecus/bench-vehicle.yaml, which everybody has. */
const SHIPPED = 'c0de0001c0de0001c0de0001c0de00010000000000000000000000000000e001';
const ORDERS = ['activate', 'confirm', 'commit', 'rollback', 'rollback-confirmed'] as const;
const KEY = identity.ecus.EDT!.securityAccessKey!;

/** The answer to 27 02 with the key that this secret makes of the ECU's seed. */
async function tryKey(bench: EcuBench, secret: string): Promise<string> {
  const seed = fromHex((await bench.expect('2701')).slice(4));
  return bench.ask(concatBytes(fromHex('2702'), hmacKey(seed, secret)));
}

attack(
  {
    name: 'shipped key',
    has: 'the secret that stands in the vehicle file which comes with can-ota',
    does: 'opens SecurityAccess with it',
    vehicle:
      'has a key of its own from the factory, and cannot be given or started with a shipped one',
    code: 'NRC 35',
  },
  async () => {
    const { bench } = await AttackedEcu.start('EDT');
    await bench.expect('1002');
    const answer = await tryKey(bench, SHIPPED);
    expect(await bench.ask('3101FF00')).toBe('7F3133');
    // Not in the factory either, and not by the vehicle file.
    const options = { vehicle: attackedVehicle, benchKeys: false };
    const virgin = await EcuBench.start({ options });
    await virgin.expect('1003');
    expect(await virgin.ask(`2EFD14${SHIPPED}`)).toBe('7F2E31');
    const vehicle = vehicleSchema.parse({
      ...attackedVehicle,
      ecus: attackedVehicle.ecus.map((ecu) => ({
        ...ecu,
        security: { algorithm: 'hmac-sha256', secret: SHIPPED },
      })),
    });
    const started = createEcu({
      ...{ name: 'EDT', vehicle, storage: virgin.storage, clock: virgin.clock },
      ...{ random: seededRandom(), logger: silentLogger, connect: virgin.connect },
    });
    await expect(started).rejects.toThrow('is a secret that comes with can-ota');
    return nrcOf(answer);
  },
);

attack(
  {
    name: 'guessing the key',
    has: 'a node on the bus, and time',
    does: 'tries one key after the other, and switches the ECU off and on when it makes him wait',
    vehicle: 'allows three, then one every ten seconds, and does not forget them without power',
    code: 'NRC 37',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    await ecu.bench.expect('1002');
    for (const answer of ['7F2735', '7F2735', '7F2736']) {
      expect(await tryKey(ecu.bench, '00'.repeat(16))).toBe(answer);
    }
    expect(await ecu.bench.ask('2701')).toBe('7F2737');
    const again = await ecu.restart();
    await again.expect('1002');
    const answer = await again.ask('2701');
    await again.clock.advance(10_001);
    await again.expect('1002');
    expect(await tryKey(again, '00'.repeat(16))).toBe('7F2736');
    expect(await again.ask('3101FF00')).toBe('7F3133');
    await again.clock.advance(10_001);
    await again.expect('1002');
    await again.unlock(KEY);
    return nrcOf(answer);
  },
);

attack(
  {
    name: 'replayed key',
    has: 'a recording of the bus while the TMU unlocked the ECU',
    does: 'sends the recorded key',
    vehicle: 'has made another seed, for which it is wrong',
    code: 'NRC 35',
  },
  async () => {
    const { bench } = await AttackedEcu.start('EDT');
    await bench.expect('1002');
    const seed = await bench.expect('2701');
    const recorded = concatBytes(fromHex('2702'), hmacKey(fromHex(seed.slice(4)), KEY));
    expect(await bench.ask(recorded)).toBe('6702');
    await bench.expect('1002');
    expect(await bench.expect('2701')).not.toBe(seed);
    const answer = await bench.ask(recorded);
    expect(await bench.ask('3101FF00')).toBe('7F3133');
    return nrcOf(answer);
  },
);

attack(
  {
    name: 'no key at all',
    has: 'a node on the bus',
    does: 'brings metadata, erases, downloads, activates',
    vehicle: 'does none of it before SecurityAccess',
    code: 'NRC 33',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    const before = await ecu.state();
    await ecu.bench.expect('1002');
    const answers: string[] = [];
    for (const request of [
      fileRequest('metadata.json', 100),
      '3101FF00',
      downloadRequest(100),
      '3601AA',
      '37',
    ]) {
      answers.push(nrcOf(await ecu.bench.ask(request)));
    }
    // What decides is asked for the authority of the message, and no level would do.
    for (const order of ORDERS) {
      expect(await ecu.bench.ask(await ecu.bench.orderOf(order)), order).toBe('7F3138');
    }
    expect(await ecu.state()).toEqual(before);
    expect(new Set(answers).size).toBe(1);
    return answers[0]!;
  },
);

attack(
  {
    name: 'no metadata',
    has: 'a node on the bus, and the key of SecurityAccess',
    does: 'erases and downloads at once',
    vehicle: 'erases nothing for which it has not verified metadata in this session',
    code: 'NRC 22',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    await ecu.unlock();
    const before = await ecu.state();
    const answers = [await ecu.bench.ask('3101FF00'), await ecu.bench.ask(downloadRequest(3000))];
    expect(await ecu.state()).toEqual(before);
    expect(answers).toEqual(['7F3122', '7F3422']);
    await ecu.recovers();
    return nrcOf(answers[0]!);
  },
);

attack(
  {
    name: 'reading keys after the lock',
    has: 'a node on the bus, and the key of SecurityAccess',
    does: 'reads the secrets by their identifiers, the flash by address, and by upload',
    vehicle: 'gives nothing of it away since the factory has locked it',
    code: 'NRC 33',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    await ecu.unlock();
    const answers: string[] = [];
    const address = toHex(Uint8Array.of(0x08, 0, 0, 0));
    for (const request of [
      '22FD13',
      '22FD14',
      '22FD15',
      `2344${address}00000040`,
      `350044${address}00000040`,
    ]) {
      answers.push(nrcOf(await ecu.bench.ask(request)));
    }
    expect(new Set(answers).size).toBe(1);
    // Nor are they on the bus by accident.
    const secrets = JSON.parse(
      Buffer.from(ecu.bench.storage.contents('identity')!).toString().split('\n')[0]!,
    );
    for (const secret of ['deviceSecret', 'securityAccessKey', 'signingSeed', 'encryptionKey']) {
      expect(secrets[secret]).toMatch(/^[0-9a-f]{32,}$/);
      expect(ecu.bench.sent.join()).not.toContain(secrets[secret].toUpperCase());
    }
    return answers[0]!;
  },
);

attack(
  {
    name: 'keys and Roots of his own',
    has: 'a node on the bus, and the key of SecurityAccess',
    does: 'writes other keys, has the ECU make new ones, and sends Roots of his own',
    vehicle: 'takes none of it since the factory has locked it',
    code: 'NRC 33',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    await ecu.unlock();
    const before = await ecu.state();
    const answers: string[] = [];
    for (const request of [
      `2EFD13${'11'.repeat(32)}`,
      `2EFD14${'11'.repeat(32)}`,
      `2EFD15${'11'.repeat(32)}`,
      '2EF18C434F2D393939',
      '31010220',
      fileRequest('director.root.json', 100),
      fileRequest('images.root.json', 100),
    ]) {
      answers.push(nrcOf(await ecu.bench.ask(request)));
    }
    expect(await ecu.state()).toEqual(before);
    expect(new Set(answers).size).toBe(1);
    await ecu.recovers();
    return answers[0]!;
  },
);

/** The boot record has a checksum and no signature: whoever can write the flash can write it. */
async function forgeRecord(
  storage: FaultStorage,
  change: (record: BootRecord) => BootRecord,
): Promise<void> {
  const record = decodeSealed(storage.contents('boot-record')!, bootRecordSchema);
  if (!('value' in record)) throw new Error(record.fault);
  await storage.replace('boot-record', encodeSealed(change(record.value)));
}

/** Why the bootloader has not started a bank. */
function refusalAt(bench: EcuBench): string {
  const refused = bench.events.find(({ kind }) => kind === 'boot-refused');
  return refused?.kind === 'boot-refused' ? refused.code : 'none';
}

/** In bank B, which runs 2.0.0; the factory image is in bank A. */
const flashAttacks: readonly (readonly [
  what: string,
  does: string,
  vehicle: string,
  code: 'IMAGE_MISMATCH' | 'ROLLBACK' | 'MISSING_METADATA' | 'WRONG_ECU' | 'ARBITRARY_SOFTWARE',
  tamper: (storage: FaultStorage) => Promise<void>,
])[] = [
  [
    'swapped',
    'writes malware into the bank that runs, and its hash into the boot record',
    'compares the hash with the signed header',
    'IMAGE_MISMATCH',
    async (storage) => {
      const malware = imageOf('EDT', 'malware');
      await storage.replace('bank-b.bin', malware);
      await forgeRecord(storage, (record) => ({
        ...record,
        banks: [record.banks[0], { ...record.banks[1], sha256: toHex(digestOf(malware)) }],
      }));
    },
  ],
  [
    'rolled back by the boot record',
    'makes the boot record name the other bank, which holds the factory image',
    'knows by its security counter that something newer was confirmed',
    'ROLLBACK',
    (storage) => forgeRecord(storage, (record) => ({ ...record, activeBank: 0 })),
  ],
  [
    'without a header',
    'takes the signed header away that stands beside the bank',
    'starts nothing that nobody has signed',
    'MISSING_METADATA',
    (storage) => storage.remove('bank-b.trust'),
  ],
  [
    'with the header of another ECU',
    'puts image and header of INV into the flash of EDT',
    'reads in the header for which ECU it was signed',
    'WRONG_ECU',
    async (storage) => {
      const { disks } = await updatedVehicle();
      const image = disks.INV.contents('bank-b.bin')!;
      await storage.replace('bank-b.bin', image);
      await storage.replace('bank-b.trust', disks.INV.contents('bank-b.trust')!);
      await forgeRecord(storage, (record) => ({
        ...record,
        banks: [
          record.banks[0],
          { ...record.banks[1], length: image.length, sha256: toHex(digestOf(image)) },
        ],
      }));
    },
  ],
  [
    'with a header that he signed',
    'writes malware with a header, signed under a Root of his own',
    'knows the Roots that it has accepted',
    'ARBITRARY_SOFTWARE',
    async (storage) => {
      const record = JSON.parse(Buffer.from(storage.contents('bank-b.trust')!).toString());
      // Right in itself, with every signature: but it is the Root of somebody else.
      const { director } = mockRepositories({ vin: '1CANXTABENCH00001' });
      director.rotate('root', 'targets');
      const root = Buffer.from([...director.roots().values()].at(-1)!).toString();
      const targets = Buffer.from(director.file('targets.json')).toString();
      const forged = Buffer.from(JSON.stringify({ ...record, root, targets }));
      await storage.replace('bank-b.trust', Uint8Array.from(forged));
    },
  ],
];

for (const [what, does, vehicle, code, tamper] of flashAttacks) {
  attack(
    { name: `flash ${what}`, has: 'the flash of an ECU between two boots', does, vehicle, code },
    async () => {
      const ecu = await AttackedEcu.start('EDT', tamper);
      const seen = refusalAt(ecu.bench);
      // The factory image is older than what was confirmed, so there may be nothing left to start.
      expect(['none', '2.0.0']).toContain(await ecu.bench.text('F195'));
      expect(await ecu.bench.text('FD22')).toContain('"attack":"');
      await ecu.recovers();
      return seen;
    },
  );
}

attack(
  {
    name: 'another chip',
    has: 'a copy of everything that is in the flash of an ECU',
    does: 'writes it to another ECU of the same kind, to speak for the first one',
    vehicle: 'finds another chip than the provisioned one, and stays in the bootloader',
    code: 'NRC 22',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT', (storage) => storage.remove('chip-id'));
    expect(await ecu.bench.text('F195')).toBe('none');
    await ecu.unlock();
    return nrcOf(await ecu.bench.ask(fileRequest('metadata.json', 100)));
  },
);

attack(
  {
    name: 'activation of an older bank',
    has: 'a node on the bus, and the key of SecurityAccess',
    does: 'asks for the way back to the image before the confirmed one',
    vehicle: 'has raised its security counter with the confirmation',
    code: 'ROLLBACK',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    await ecu.unlock();
    expect(await ecu.bench.order('rollback-confirmed')).toBe('7F3122');
    const refused = ecu.bench.events.at(-1);
    await ecu.bench.reset();
    expect(await ecu.bench.text('F195')).toBe('2.0.0');
    await ecu.recovers();
    return refused?.kind === 'image-refused' ? refused.code : 'none';
  },
);

attack(
  {
    name: 'whole flash of an earlier day',
    has: 'the flash of an ECU between two boots, and a copy of all of it from before the update',
    does: 'writes all of it back, the security counter among it',
    vehicle: 'starts the older image: everything in its memory says that it is right',
    code: 'none',
    open: 'A simulated counter is a file like the others. A chip keeps it where it cannot be written back.',
  },
  async () => {
    const factory = (await factoryVehicle()).EDT.storage;
    const ecu = await AttackedEcu.start('EDT', async (storage) => {
      for (const file of await storage.list('')) {
        const before = factory.contents(file);
        if (before === undefined) await storage.remove(file);
        else await storage.replace(file, before);
      }
    });
    expect(await ecu.bench.text('F195')).toBe('1.0.0');
    await ecu.recovers();
    return refusalAt(ecu.bench);
  },
);

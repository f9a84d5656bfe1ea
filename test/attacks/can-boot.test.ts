// The table of attacks: the flash of an ECU in the hands of an attacker between two boots.

import { expect } from 'vitest';
import { type BootRecord, bootRecordSchema } from '../../ecus/bootloader/boot-record.ts';
import { decodeSealed, encodeSealed } from '../../ecus/bootloader/sealed-json.ts';
import { toHex } from '../../src/core/bytes.ts';
import { AttackedEcu, nrcOf } from '../support/attack-ecu.ts';
import { factoryVehicle } from '../support/attack-factory.ts';
import { imageOf } from '../support/attack-repositories.ts';
import { attacksOn } from '../support/attack-table.ts';
import { updatedVehicle } from '../support/attack-vehicle.ts';
import { digestOf, type EcuBench, fileRequest } from '../support/ecu-bench.ts';
import type { FaultStorage } from '../support/fault-storage.ts';
import { mockRepositories } from '../support/mock-repositories.ts';

const attack = attacksOn('CAN bus');

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
    expect(await ecu.bench.ask('3101021201')).toBe('7F3122');
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

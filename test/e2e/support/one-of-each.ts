// A vehicle with one simulated ECU of each make beside ours, and releases for them as Intel HEX and S-records.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeIntelHex } from '../../../src/image/formats/intel-hex.ts';
import { writeSRecord } from '../../../src/image/formats/s-record.ts';

const root = path.resolve(import.meta.dirname, '../../..');

/** Bytes 01 02 03 at 40000000, where it begins. */
export const BOOT_LOADER = 'S30840000000010203B1\nS70540000000BA\n';

/** Beside the gateway and EDT of the bench's own vehicle. */
const ONE_OF_EACH = `
  - name: PLAIN
    hardwareId: PLAIN-HW
    profile: plain-uds
    address: { mode: normal, request: 0x710, response: 0x718, functional: 0x7DF }
    memory: { regions: [{ address: 0x8000, size: 0x8000, eraseUnit: 256 }, { address: 0x20000, size: 0x100 }], writeUnit: 8 }
    security: { algorithm: xor, constant: 5A5A5A5A }
    order: 50
  - name: VWL
    hardwareId: VWL-HW
    profile: vw-like
    address: { mode: normal, request: 0x711, response: 0x719, functional: 0x7DF }
    memory: { address: 5, bankSize: 0x10000 }
    security: { algorithm: arithmetic, steps: [rotl 7, xor 0x5A5A5A5A] }
    order: 51
  - name: PSA
    hardwareId: PSA-HW
    profile: psa-like
    address: { mode: normal, request: 0x712, response: 0x71A, functional: 0x7DF }
    memory: { address: 0x4000, bankSize: 0x10000 }
    security: { algorithm: xor, constant: A55A }
    order: 52
  - name: VOL
    hardwareId: VOL-HW
    profile: volvo-like
    address: { mode: normal, request: 0x713, response: 0x71B, functional: 0x7DF }
    memory: { regions: [{ address: 0x8000, size: 0x10000, eraseUnit: 1024 }] }
    security: { algorithm: aes-cmac, secret: 00112233445566778899aabbccddeeff }
    programming: { secondBootLoader: { file: sbl.s19 } }
    order: 53
  - name: TOY
    hardwareId: TOY-HW
    profile: toyota-sub-address
    address: { extension: 0x40 }
    memory: { address: 0x10000, bankSize: 0x10000 }
    security: { algorithm: none }
    order: 54
  - name: BLT
    hardwareId: BLT-HW
    profile: openblt
    address: { request: 0x667, response: 0x668 }
    memory: { regions: [{ address: 0x08002000, size: 0x10000, eraseUnit: 1024 }] }
    security: { algorithm: none }
    order: 56
  - name: BMW
    hardwareId: BMW-HW
    profile: bmw-extended
    address: { ecu: 0x12, response: 0x612 }
    memory: { address: 0x80000000, bankSize: 0x10000 }
    security: { algorithm: none }
    order: 55
`;

/** The vehicle of the bench with other ECUs in place of INV and BMS. */
async function vehicleWith(ecus: string): Promise<string> {
  const text = await readFile(path.join(root, 'ecus', 'bench-vehicle.yaml'), 'utf8');
  const [head = '', list = ''] = text.split(/(?<=^ecus:\n)/m);
  const all = list.split(/^(?= {2}- name: )/m);
  const kept = ['CGW', 'EDT'].map((name) =>
    all.find((each) => each.startsWith(`  - name: ${name}\n`)),
  );
  return [head, ...kept, ecus].join('');
}

const firmwareOf = (name: string, version: string): Buffer =>
  Buffer.concat([
    Buffer.from(`can-ota firmware ${name} ${version}\n`),
    Buffer.from(Array.from({ length: 3000 }, (_, at) => (at * 7) & 0xff)),
  ]);

/** Writes the files; `args` are those of the bench, `names` the ECUs of other makes. */
export async function oneOfEach(
  place: string,
  edt = path.join(root, 'test', 'fixtures', 'firmware', 'ecu-feature', 'new.bin'),
): Promise<{ readonly args: readonly string[]; readonly names: readonly string[] }> {
  const at = (name: string) => path.join(place, name);
  await writeFile(at('vehicle.yaml'), await vehicleWith(ONE_OF_EACH));
  await writeFile(at('sbl.s19'), BOOT_LOADER);
  const begins = {
    ...{
      PLAIN: 0x8000,
      VWL: 5,
      PSA: 0x4000,
      VOL: 0x8000,
      TOY: 0x1_0000,
      BMW: 0x8000_0000,
      BLT: 0x0800_2000,
    },
  };
  const given: string[] = [];
  for (const [index, [name, address]] of Object.entries(begins).entries()) {
    const segments = [{ address, bytes: firmwareOf(name, '2.0.0') }];
    // One of them has two regions.
    if (name === 'PLAIN') segments.push({ address: 0x2_0010, bytes: Buffer.from([0xaa, 0x55]) });
    const [write, ending] =
      index % 2 === 0 ? ([writeIntelHex, 'hex'] as const) : ([writeSRecord, 's19'] as const);
    await writeFile(at(`${name}.${ending}`), Buffer.concat([...write({ segments }, null)]));
    given.push('--image', `${name}=${at(`${name}.${ending}`)}@2.0.0`);
  }
  return {
    args: ['--vehicle', at('vehicle.yaml'), '--image', `EDT=${edt}@2.0.0`, ...given],
    names: Object.keys(begins),
  };
}

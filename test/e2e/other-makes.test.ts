// ECUs of other makes as processes, each with a profile, programmed by flash from the files that compilers write.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { writeIntelHex } from '../../src/image/formats/intel-hex.ts';
import { writeSRecord } from '../../src/image/formats/s-record.ts';
import { makeVbf } from '../image/support.ts';
import { folder, freshBus, root, run, scenario, start } from './support/processes.ts';

/** Bytes 01 02 03 at 40000000, where it begins. */
const BOOT_LOADER = 'S30840000000010203B1\nS70540000000BA\n';

const VEHICLE = `
vin: 1CANXTABENCH00001
buses: { main: {} }
ecus:
  - name: VWL
    hardwareId: VWL-HW
    profile: vw-like
    address: { mode: normal, request: 0x7E0, response: 0x7E8, functional: 0x7DF }
    memory: { address: 5, bankSize: 0x10000 }
    security: { algorithm: arithmetic, steps: [rotl 7, xor 0x5A5A5A5A] }
  - name: VOL
    hardwareId: VOL-HW
    profile: volvo-like
    address: { mode: normal, request: 0x7E1, response: 0x7E9, functional: 0x7DF }
    memory: { regions: [{ address: 0x8000, size: 0x10000, eraseUnit: 1024 }] }
    security: { algorithm: aes-cmac, secret: 00112233445566778899aabbccddeeff }
    programming: { secondBootLoader: { file: sbl.s19 } }
`;

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

describe('one ECU of each make', () => {
  scenario('is updated in one campaign from HEX and S-record releases', async () => {
    const place = await folder();
    const at = (name: string) => path.join(place, name);
    await writeFile(at('vehicle.yaml'), await vehicleWith(ONE_OF_EACH));
    await writeFile(at('sbl.s19'), BOOT_LOADER);
    const begins = {
      ...{ PLAIN: 0x8000, VWL: 5, PSA: 0x4000, VOL: 0x8000, TOY: 0x1_0000, BMW: 0x8000_0000 },
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
    const edt = path.join(root, 'test', 'fixtures', 'firmware', 'ecu-feature', 'new.bin');
    const bench = await run([
      ...['bench', '--vehicle', at('vehicle.yaml'), '--bus', freshBus('bitrate=500000')],
      ...['--approve', 'yes', '--image', `EDT=${edt}@2.0.0`, ...given],
    ]);
    expect(await bench.code(), bench.stderr + bench.lines.join('\n')).toBe(0);
    const said = bench.lines.join('\n');
    expect(said).toContain('Every flash file holds what was released; ');
    expect(said).toContain('TMU  EDT: new version and digest read back');
    for (const name of Object.keys(begins)) {
      expect(said).toContain(`TMU  ${name}: programmed and restarted`);
      expect(said).toContain(`TMU  ${name}: new version read back`);
      // Nothing is asked of such an ECU in these steps.
      expect(said).not.toContain(`TMU  ${name}: confirmed`);
      expect(said).not.toContain(`TMU  ${name}: security counter raised`);
    }
  });
});

describe('an ECU of another make', () => {
  scenario('is programmed from raw data, from Intel HEX and from S-records', async () => {
    const place = await folder();
    const at = (name: string) => path.join(place, name);
    const bus = ['--bus', freshBus('bitrate=500000'), '--vehicle', at('vehicle.yaml')];
    await writeFile(at('vehicle.yaml'), VEHICLE);
    await writeFile(at('sbl.s19'), BOOT_LOADER);
    const firmware = (name: string, version: string) =>
      Buffer.concat([Buffer.from(`can-ota firmware ${name} ${version}\n`), Buffer.alloc(2000)]);
    for (const name of ['VWL', 'VOL']) {
      const ecu = start(['ecu', name, '--flash', at(name), ...bus], { supervised: true });
      await ecu.ready;
    }

    await writeFile(at('vwl.bin'), firmware('VWL', '2.0.0'));
    const raw = await run(['flash', 'VWL', at('vwl.bin'), '--version', '2.0.0', ...bus]);
    expect(await raw.code(), raw.stderr).toBe(0);

    await writeFile(at('vol.bin'), firmware('VOL', '2.0.0'));
    for (const file of ['vol.hex', 'vol.s19']) {
      const made = await run(['image', 'convert', `${at('vol.bin')}@0x8000`, '--out', at(file)]);
      expect(await made.code(), made.stderr).toBe(0);
      const flashed = await run(['flash', 'VOL', at(file), '--version', '2.0.0', '--json', ...bus]);
      expect(await flashed.code(), flashed.stderr).toBe(0);
      expect(flashed.last).toMatchObject({
        ok: true,
        reported: '2.0.0',
        bytes: firmware('VOL', '2.0.0').length,
      });
    }

    const vbf = (partType: string, erase: number) =>
      makeVbf({
        header: [`sw_part_type = ${partType};`, `erase = { { 0x8000, 0x${erase.toString(16)} } };`],
        blocks: [{ address: 0x8000, stored: firmware('VOL', '3.0.0') }],
      });
    await writeFile(at('vol.vbf'), vbf('EXE', 0x4000));
    const trace = at('vbf.log');
    const byVbf = await run(['flash', 'VOL', at('vol.vbf'), '--trace', trace, ...bus]);
    expect(await byVbf.code(), byVbf.stderr).toBe(0);
    expect(byVbf.lines.join('\n')).toContain('what is erased comes from the VBF file');
    // 31 01 FF00 with address 00008000 and length 00004000, whatever the length of the data.
    expect(await readFile(trace, 'utf8')).toMatch(/7E1#100C3101FF000000[\s\S]*7E1#21800000004000/);
    await writeFile(at('boot.vbf'), vbf('SBL', 0x4000));
    const loader = await run(['flash', 'VOL', at('boot.vbf'), ...bus]);
    expect(await loader.code()).toBe(2);
    expect(loader.stderr).toContain('is a second boot loader (sw_part_type SBL)');

    const elsewhere = await run([
      'image',
      'convert',
      `${at('vol.bin')}@0x4000`,
      '--out',
      at('low.hex'),
    ]);
    expect(await elsewhere.code()).toBe(0);
    const refused = await run(['flash', 'VOL', at('low.hex'), '--json', ...bus]);
    expect(await refused.code()).toBe(13);
    expect(refused.stderr).toContain('outside of its memory');
    expect(refused.stderr).toContain('nothing was changed in VOL');
    const read = await run(['read', 'VOL', 'F189', ...bus]);
    expect(read.lines.join('\n')).toContain('3.0.0');
  });
});

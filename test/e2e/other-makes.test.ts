// ECUs of other makes as processes, each with a profile, programmed by flash from the files that compilers write.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { makeVbf } from '../image/support.ts';
import { BOOT_LOADER, oneOfEach } from './support/one-of-each.ts';
import { folder, freshBus, run, scenario, start } from './support/processes.ts';

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

describe('one ECU of each make', () => {
  scenario('is updated in one campaign from HEX and S-record releases', async () => {
    const { args, names } = await oneOfEach(await folder());
    const bench = await run([
      ...['bench', '--bus', freshBus('bitrate=500000'), '--approve', 'yes'],
      ...args,
    ]);
    expect(await bench.code(), bench.stderr + bench.lines.join('\n')).toBe(0);
    const said = bench.lines.join('\n');
    expect(said).toContain('Every flash file holds what was released; ');
    expect(said).toContain('TMU  EDT: new version and digest read back');
    for (const name of names) {
      expect(said).toContain(`TMU  ${name}: programmed and restarted`);
      // A board with OpenBLT has no version to read; all of its bytes are read back.
      const seen = name === 'BLT' ? 'new version and digest' : 'new version';
      expect(said).toContain(`TMU  ${name}: ${seen} read back`);
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

// ECUs of other makes as processes, each with a profile, programmed by flash from the files that compilers write.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { folder, freshBus, run, scenario, start } from './support/processes.ts';

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
    expect(read.lines.join('\n')).toContain('2.0.0');
  });
});

// What an ECU signs about the image that it runs: of the factory, of a release, and of none.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { builtInFactoryImage } from '../../ecus/bootloader/factory/factory-image.ts';
import { EcuBench, fileName, imageOf, releaseOf } from '../support/ecu-bench.ts';

const reportOf = async (bench: EcuBench) => JSON.parse(await bench.text('FD22')).signed;

describe('a version report', () => {
  it('names the factory image as a backend would', async () => {
    const { image, version } = builtInFactoryImage('EDT');
    const sha256 = createHash('sha256').update(image).digest('hex');
    const report = await reportOf(await EcuBench.start());
    expect(report).toEqual({
      _type: 'version-report',
      ecu: 'BENCH-EDT',
      installed: {
        name: `EDT-${version}-${sha256.slice(0, 12)}.bin`,
        version,
        length: image.length,
        hashes: { sha256 },
      },
      attack: '',
      time: null,
      counter: 1,
    });
  });

  it('names a release by its target, with the time that came with it', async () => {
    const bench = await EcuBench.start();
    const image = imageOf(500);
    const release = releaseOf(image, '2.0.0');
    await bench.program(image, '2.0.0');
    expect((await reportOf(bench)).installed.version).toBe('1.0.0'); // it runs the old one
    await bench.expectOrder('activate');
    await bench.reset();
    const report = await reportOf(bench);
    expect(report.installed).toEqual({
      name: fileName(release),
      version: '2.0.0',
      length: 500,
      hashes: { sha256: release.sha256 },
    });
    expect(report.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(report.counter).toBe(2);
  });

  it('of an ECU that waits in its bootloader says that it runs nothing', async () => {
    const bench = await EcuBench.start();
    bench.storage.corrupt('bank-a.bin', 3);
    await bench.crash();
    expect((await reportOf(bench)).installed).toEqual({
      name: 'none',
      version: 'none',
      length: 0,
      hashes: { sha256: createHash('sha256').digest('hex') },
    });
  });

  it('is signed by nobody who was not provisioned', async () => {
    const virgin = await EcuBench.start({ options: { benchKeys: false } });
    expect(await virgin.ask('22FD22')).toBe('7F2222');
  });
});

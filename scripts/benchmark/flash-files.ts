// What it takes of the processor to read flash files: the event loop stands still meanwhile.

import { randomBytes } from 'node:crypto';
import { writeIntelHex } from '../../src/image/formats/intel-hex.ts';
import { writeSRecord } from '../../src/image/formats/s-record.ts';
import { readImage } from '../../src/image/read-image.ts';

export interface FileCost {
  readonly name: string;
  readonly fileBytes: number;
  /** Processor time of the first reading in this process, and the least of all. */
  readonly firstMs: number;
  readonly bestMs: number;
}

/** Files with `dataBytes` of data. */
export function measureFlashFiles(dataBytes: number, seconds: number): readonly FileCost[] {
  const image = {
    segments: [{ address: 0x0800_0000, bytes: Uint8Array.from(randomBytes(dataBytes)) }],
  };
  const files = [
    ['Intel HEX', writeIntelHex(image, null)],
    ['S-records', writeSRecord(image, null)],
  ] as const;
  return files.map(([name, pieces]) => {
    const file = Buffer.concat([...pieces]);
    const times: number[] = [];
    const endMs = performance.now() + seconds * 1000;
    while (times.length === 0 || performance.now() < endMs) {
      const before = process.cpuUsage();
      readImage(file, name);
      const { user, system } = process.cpuUsage(before);
      times.push((user + system) / 1000);
    }
    const [firstMs = 0] = times;
    return { name, fileBytes: file.length, firstMs, bestMs: Math.min(...times) };
  });
}

// `can-ota image` as people run it: files, pipes, standard input, addresses behind names, exit codes.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { hexLine, lines, makeVbf } from '../image/support.ts';

const MAIN = path.join(import.meta.dirname, '../../src/cli/main.ts');
const folder = mkdtempSync(path.join(tmpdir(), 'can-ota-image-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const HEX = lines(
  hexLine('020000040800'),
  hexLine('0400000001020304'),
  hexLine('04001000AABBCCDD'),
  hexLine('0400000508000101'),
  ':00000001FF',
);
const BINARY = fromHex('20000A48 01000008 FF0055AA');
writeFileSync(path.join(folder, 'fw.hex'), HEX);
writeFileSync(path.join(folder, 'fw.bin'), BINARY);
writeFileSync(path.join(folder, 'old@0x10'), BINARY);
writeFileSync(path.join(folder, 'big.bin'), BINARY);
truncateSync(path.join(folder, 'big.bin'), 17 << 20);
writeFileSync(
  path.join(folder, 'sbl.vbf'),
  makeVbf({
    header: ['sw_part_number = "AB-1";', 'sw_part_type = SBL;', 'call = 0x1000;'],
    blocks: [{ address: 0x1000, stored: BINARY }],
  }),
);

const INSPECTED = {
  format: 'intel-hex',
  segments: [
    { address: 0x0800_0000, length: 4 },
    { address: 0x0800_0010, length: 4 },
  ],
  bytes: 8,
  start: 0x0800_0101,
  digest: createHash('sha256')
    .update('can-ota segments')
    .update(fromHex('00000002 0800000000000004 0800001000000004 01020304AABBCCDD'))
    .digest('hex'),
};
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A line of the shell, in the folder of the files. */
function shell(line: string): { status: number | null; stdout: string; stderr: string } {
  const canOta = `can-ota() { '${process.execPath}' '${MAIN}' "$@"; }`;
  return spawnSync('bash', ['-c', `${canOta}; ${line}`], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
  });
}

describe('image inspect', () => {
  it.each([
    'can-ota image inspect fw.hex --json',
    'can-ota image inspect - --json < fw.hex',
    'cat fw.hex | can-ota image inspect - --json',
    'cat fw.hex | can-ota image inspect /dev/stdin --json',
    'can-ota image inspect <(cat fw.hex) --json',
    'mkfifo pipe && (cat fw.hex > pipe & can-ota image inspect pipe --json)',
  ])('%s', (line) => {
    const { status, stdout, stderr } = shell(line);
    expect([status, stderr]).toEqual([0, '']);
    // To the byte: the members and their order are promised.
    expect(stdout).toBe(`${JSON.stringify(INSPECTED)}\n`);
  });

  it.each([
    ['fw.bin@0x08000000', 0x0800_0000],
    ['fw.bin --raw', 0],
    ['fw.bin@0xFFFFFFF4', 0xffff_fff4],
  ])('%s is raw data', (argument, address) => {
    const { status, stdout } = shell(`can-ota image inspect ${argument} --json`);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      format: 'raw',
      segments: [{ address, length: 12 }],
      bytes: 12,
      start: null,
      digest: sha256(BINARY),
    });
  });

  it('reads large raw data, and a file whose name ends like an address', () => {
    const big = JSON.parse(shell('can-ota image inspect big.bin@0x1000 --json').stdout);
    expect(big).toMatchObject({
      segments: [{ address: 0x1000, length: 17 << 20 }],
      digest: sha256(readFileSync(path.join(folder, 'big.bin'))),
    });
    const odd = JSON.parse(shell('can-ota image inspect old@0x10 --raw --json').stdout);
    expect(odd.segments).toEqual([{ address: 0, length: 12 }]);
  });

  it('shows a table, with what the header of a VBF file says', () => {
    const { stdout } = shell('can-ota image inspect sbl.vbf');
    expect(stdout).toContain('sbl.vbf: VBF, 1 segment, 12 B');
    expect(stdout).toMatch(/^ {2}0x00001000 +0x0000100B +12 bytes$/m);
    expect(stdout).toMatch(/^part type +SBL, a second boot loader$/m);
    expect(stdout).toMatch(/^start +0x00001000$/m);
  });

  it.each([
    ['fw.bin', 'fw.bin: is none of Intel HEX, S-records, ELF and VBF'],
    ['missing.hex', 'file: missing.hex does not exist'],
    ['.', 'file: . is a folder'],
    ['fw.bin@0x100000000', 'file: 0x100000000 is no address'],
    ['fw.bin@0xFFFFFFF5', '12 bytes at 0xFFFFFFF5 end behind the last address'],
    ['fw.bin@08000000', 'write the address with 0x, such as fw.bin@0x08000000'],
    ['fw.hex@0x08000000', 'fw.hex: is Intel HEX, which has addresses of its own'],
    ['/dev/null', '/dev/null: is empty'],
    ['<(gzip -c fw.hex)', 'is compressed by gzip'],
    ['<(head -c 30 fw.hex)', 'line 2: it is cut off'],
    ['<(sed s/0304/0305/ fw.hex)', 'line 2: checksum'],
  ])('%s is refused with exit 2 and its kind', (argument, message) => {
    const { status, stdout, stderr } = shell(`can-ota image inspect ${argument} --json`);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'INPUT', exitCode: 2 } });
  });
});

describe('image convert', () => {
  it('writes each format, which is read as the same image', () => {
    for (const [out, format] of [
      ['a.s19', 's-record'],
      ['a.hex', 'intel-hex'],
    ] as const) {
      const { status, stdout } = shell(`can-ota image convert fw.hex --out ${out} --json`);
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toEqual({ out, ...INSPECTED, format });
      const again = shell(`can-ota image inspect ${out} --json`);
      expect(JSON.parse(again.stdout)).toEqual({ ...INSPECTED, format });
    }
  });

  it('fills gaps in raw data when told so, and not otherwise', () => {
    const refused = shell('can-ota image convert fw.hex --out b.bin');
    expect([refused.status, existsSync(path.join(folder, 'b.bin'))]).toEqual([2, false]);
    expect(refused.stderr).toContain('2 segments: 8 bytes in 20 (20 B)');
    const { status, stdout } = shell('can-ota image convert fw.hex --out b.bin --fill 0xEE --json');
    expect(status).toBe(0);
    const expected = fromHex('01020304 EEEEEEEEEEEEEEEEEEEEEEEE AABBCCDD');
    expect(readFileSync(path.join(folder, 'b.bin')).equals(expected)).toBe(true);
    expect(JSON.parse(stdout)).toMatchObject({
      format: 'raw',
      bytes: 20,
      digest: sha256(expected),
    });
  });

  it('fills gaps in records, too', () => {
    shell('can-ota image convert fw.hex --out c.hex --fill 0');
    const { stdout } = shell('can-ota image inspect c.hex --json');
    expect(JSON.parse(stdout).segments).toEqual([{ address: 0x0800_0000, length: 20 }]);
  });

  it('gives raw data an address', () => {
    shell('can-ota image convert fw.bin@0x9000 --out d.s19');
    const { stdout } = shell('can-ota image inspect d.s19 --json');
    expect(JSON.parse(stdout)).toMatchObject({
      segments: [{ address: 0x9000, length: 12 }],
      digest: sha256(BINARY),
    });
  });

  it('replaces no file, and says what endings there are', () => {
    const kept = shell('can-ota image convert fw.hex --out fw.bin --fill 0');
    expect([kept.status, kept.stderr]).toEqual([2, expect.stringContaining('never replaced')]);
    expect(readFileSync(path.join(folder, 'fw.bin')).equals(BINARY)).toBe(true);
    const odd = shell('can-ota image convert fw.hex --out fw.elf');
    expect([odd.status, odd.stderr]).toEqual([2, expect.stringContaining('.hex, .s19 or .bin')]);
    const fill = shell('can-ota image convert fw.hex --out x.bin --fill 0x100');
    expect([fill.status, fill.stderr]).toEqual([2, expect.stringContaining('0x00 to 0xFF')]);
  });
});

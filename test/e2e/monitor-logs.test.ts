// `can-ota monitor` on the logs that people have: candump's, Vector's ASC, and BLF, which it only names.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { folder, run, scenario } from './support/processes.ts';

const ASC = `date Wed Apr 16 09:21:13.713 am 2014
base hex  timestamps absolute
internal events logged
// version 8.0.0
Begin Triggerblock Wed Apr 16 09:21:13.713 am 2014
   0.000000 Start of measurement
   0.010000 1  7E0             Tx   d 8 02 10 03 CC CC CC CC CC  Length = 230000 BitCount = 119 ID = 2016
   0.012000 1  7E8             Rx   d 8 06 50 03 00 32 01 F4 CC
   0.020000 1  Statistic: D 2 R 0 XD 0 XR 0 E 0 O 0 B 0.00%
   0.030000 CANFD   1 Rx   7E0                 1 0 8  8 03 22 F1 8C CC CC CC CC 102203 133 303000 e0006659
   0.032000 CANFD   1 Rx   7E8                 1 0 8  8 03 7F 22 31 CC CC CC CC 102203 133 303000 e0006659
   0.040000 1  18DA10F1x       Tx   d 8 02 27 01 CC CC CC CC CC
   0.042000 1  18DAF110x       Rx   d 8 03 7F 27 37 CC CC CC CC
   0.050000 1  ErrorFrame
   0.060000 1  7E0             Tx   d 8 02 10
End TriggerBlock
`;

const WORDS = [
  '10 03 diagnosticSessionControl extended',
  'diagnosticSessionControl ok extended P2 50 ms P2* 5000 ms',
  '22 F18C readDataByIdentifier ECUSerialNumber',
  '7F 22 31 readDataByIdentifier refused: requestOutOfRange',
  '27 01 securityAccess requestSeed level 1',
  '7F 27 37 securityAccess refused: requiredTimeDelayNotExpired',
];

scenario(
  'monitor reads a Vector ASC log, and says sessions, identifiers and refusals in words',
  async () => {
    const file = path.join(await folder(), 'drive.asc');
    await writeFile(file, ASC.replaceAll('\n', '\r\n'));
    const read = await run(['monitor', '--file', file]);
    expect(await read.code(), read.stderr).toBe(0);
    const text = read.lines.join('\n');
    for (const words of WORDS) expect(text).toContain(words);
    expect(read.lines.at(-1)).toBe('6 frames, 6 messages, 0 transport errors');
    expect(read.stderr).toBe(
      `can-ota: ${file}:15: not a line of candump, like "(0.000000) vcan0 7E8#0210", or of a Vector ASC log; left out\n`,
    );
    // Seconds count from the first frame, and so do --from and --until.
    const part = await run([
      'monitor',
      '--file',
      file,
      '--from',
      '0.015',
      '--until',
      '0.025',
      '--json',
    ]);
    expect(part.events.map(({ kind }) => kind)).toEqual(['message', 'message', 'summary']);
  },
);

scenario('monitor says how a BLF log is converted', async () => {
  const file = path.join(await folder(), 'drive.blf');
  await writeFile(
    file,
    Buffer.concat([Buffer.from('LOGG\x90\0\0\0', 'latin1'), Buffer.alloc(200, 10)]),
  );
  const read = await run(['monitor', '--file', file]);
  expect(await read.code()).toBe(2);
  expect(read.stderr).toContain(`python3 -m can.logconvert ${file} log.asc`);
  const other = path.join(await folder(), 'notes.txt');
  await writeFile(other, 'no log\n');
  const refused = await run(['monitor', '--file', other]);
  expect(await refused.code()).toBe(2);
  expect(refused.stderr).toContain('and is no Vector ASC log');
});

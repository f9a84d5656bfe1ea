// Reading several data identifiers while answers are lost.

import { describe, expect, it } from 'vitest';
import { readDids } from '../../src/drivers/read-dids.ts';
import { type Answer, ecuOf, ScriptedEcu } from './support.ts';

const DIDS = [0xf189, 0xf18c, 0xf190, 0xf191, 0xf195, 0xf197, 0xf1a0];

/** One letter for each DID that was asked: `.` read, `-` refused, `s` silent, `b` bus. */
async function readingsOf(answers: readonly Answer[], isThere: Answer): Promise<string> {
  const ecu = new ScriptedEcu({ '3E00': isThere });
  DIDS.forEach((did, index) => {
    const hex = did.toString(16).toUpperCase();
    ecu.set(`22${hex}`, answers[index] === 'ok' ? `62${hex}31` : (answers[index] ?? 'silent'));
  });
  const read = readDids({ ecu: ecuOf(), requester: ecu, clock: ecu.clock }, DIDS);
  const readings = await ecu.clock.within(60_000, read);
  return readings
    .map((reading) =>
      reading.ok
        ? '.'
        : ({ REFUSED: '-', SILENT: 's', BUS: 'b', UNEXPECTED: 'u' }[reading.code] ?? reading.code),
    )
    .join('');
}

describe('can-ota read', () => {
  it.each<[string, string, Answer[]]>([
    ['all', '.......', ['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok']],
    ['past one that is refused', '.-.....', ['ok', '7F2231', 'ok', 'ok', 'ok', 'ok', 'ok']],
    ['past one that is lost', '.s.....', ['ok', 'silent', 'ok', 'ok', 'ok', 'ok', 'ok']],
    ['past a first one that is lost', 's......', ['silent', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok']],
    [
      'past those that it never answers',
      '.sss..s',
      ['ok', 'silent', 'silent', 'silent', 'ok', 'ok', 'silent'],
    ],
    ['nothing of an ECU that is off', 'ss', ['silent', 'silent', 'ok', 'ok', 'ok', 'ok', 'ok']],
    ['no more of an ECU that went off', '.sssss', ['ok']],
    ['no more when the bus is down', '.b', ['ok', 'bus', 'ok']],
    ['past foreign answers', 'uu.....', ['unexpected', 'unexpected', 'ok', 'ok', 'ok', 'ok', 'ok']],
  ])('reads %s', async (_what, expected, answers) => {
    expect(await readingsOf(answers, 'silent')).toBe(expected);
  });

  it.each(['7E00', '7F3E11'])(
    'reads on past all that an ECU never answers, if it is there: %s',
    async (there) => {
      const rest: Answer[] = ['ok', 'ok', 'ok', 'ok', 'ok'];
      expect(await readingsOf(['silent', 'silent', ...rest], there)).toBe('ss.....');
      expect(await readingsOf(['silent', 'silent', 'silent'], there)).toBe('sssssss');
    },
  );
});

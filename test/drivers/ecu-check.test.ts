// A look at one ECU: what is asked, what is told of strange ones, and that nothing is sent that changes one.

import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { checkEcu, type EcuCheck, type Reached } from '../../src/drivers/ecu-check.ts';
import { isReadOnly, ReadOnlyRequester } from '../../src/drivers/read-only-requester.ts';
import { type Answer, ascii, ecuOf, ScriptedEcu } from './support.ts';

const NORMAL: Record<string, Answer | Answer[]> = {
  '3E00': '7E00',
  '22': '7F2231',
  '22F186': '62F18601',
  '22F190': `62F190${ascii('1CANXTABENCH00001')}`,
  '22F191': `62F191${ascii('EDT-HW-1')}`,
  '1003': '5003003201F4',
  '1001': '5001003201F4',
  '2701': '670101020304',
};

async function look(
  table: Record<string, Answer | Answer[]>,
  fields: Record<string, unknown> = {},
  level?: number,
): Promise<{ readonly ecu: ScriptedEcu; readonly result: EcuCheck }> {
  const ecu = new ScriptedEcu({ ...NORMAL, ...table });
  const checked = checkEcu({ ecu: ecuOf(fields), requester: ecu, clock: ecu.clock, level });
  return { ecu, result: await ecu.clock.within(600_000, checked) };
}

function reached(result: EcuCheck): Reached {
  if (!result.reachable) throw new Error(result.reason);
  return result;
}

const readOf = (result: EcuCheck): string[] =>
  reached(result).dids.flatMap((each) =>
    'data' in each ? [`${each.did.toString(16)} ${each.session}`] : [],
  );

/** The requests without those of identifiers. */
const frameOf = (ecu: ScriptedEcu): string[] =>
  ecu.log.filter((each) => !/^22F1(8[^6]|9)/.test(each));

describe('an ECU that answers', () => {
  it('is asked in the default session, in the extended one, for a seed, and put back', async () => {
    const { ecu, result } = await look({});
    expect(frameOf(ecu)).toEqual(['3E00', '22F186', '1003', '2701', '1001']);
    expect(ecu.log.every((each) => isReadOnly(fromHex(each)))).toBe(true);
    expect(result).toMatchObject({
      reachable: true,
      firstAnswered: '3E 00',
      activeSession: 1,
      sessions: [
        { session: 'default', entered: true, told: { p2Ms: 50, p2StarMs: 5000 } },
        { session: 'extended', entered: true, told: { p2Ms: 50, p2StarMs: 5000 } },
      ],
      security: { level: 1, session: 'extended', seedBytes: 4, open: false },
    });
    expect(readOf(result)).toEqual(['f190 default', 'f191 default']);
    expect(ecu.kept).toBe('off');
  });

  it('is asked for an identifier again in the extended session where it refused it', async () => {
    const { ecu, result } = await look({
      '22F18C': ['7F2222', `62F18C${ascii('SN-1')}`],
    });
    expect(readOf(result)).toEqual(['f18c extended', 'f190 default', 'f191 default']);
    expect(ecu.log.filter((each) => each === '22F18C')).toHaveLength(2);
    expect(ecu.log.filter((each) => each === '22F190')).toHaveLength(1);
  });

  it('has a level of the caller, of its file, or 1, with the data record of its file', async () => {
    const security = { algorithm: 'xor', constant: '5A', level: 5, dataRecord: 'AABB' };
    expect((await look({ '2705': '670501' }, { security })).ecu.log).toContain('2705AABB');
    expect((await look({ '2709': '670901' }, { security }, 9)).ecu.log).toContain('2709AABB');
    const none = { security: { algorithm: 'none' } };
    expect((await look({}, none)).ecu.log).toContain('2701');
  });

  it.each([
    ['67010000', { open: true, answer: 'a seed of 2 zero bytes: the level is open' }],
    ['7F2737', { answer: 'refused securityAccess (0x27): requiredTimeDelayNotExpired (0x37)' }],
    ['silent', { answer: 'no answer within 150 ms (P2)' }],
  ] as const)('says in words what it answers to 27: %s', async (answer, expected) => {
    const { ecu, result } = await look({ '2701': answer });
    expect(reached(result).security).toMatchObject(expected);
    expect(ecu.log.at(-1)).toBe('1001');
  });

  it('is not put into a session where another one is active', async () => {
    const { ecu, result } = await look({ '22F186': '62F18602' });
    expect(frameOf(ecu)).toEqual(['3E00', '22F186']);
    expect(result).toMatchObject({ activeSession: 2, sessions: [] });
    expect(reached(result).security).toBeUndefined();
    expect(readOf(result)).toEqual(['f190 default', 'f191 default']);
  });

  it('that refuses the extended session is asked for a seed in the default one', async () => {
    const { result } = await look({ '1003': '7F1012' });
    expect(reached(result)).toMatchObject({
      sessions: [
        { session: 'default', entered: true },
        { session: 'extended', entered: false, answer: expect.stringContaining('0x12') },
      ],
      security: { session: 'default', seedBytes: 4 },
    });
  });

  it('with no times in its answer to 10 is told to have told none', async () => {
    const { result } = await look({ '1003': '5003', '1001': '5001' });
    for (const session of reached(result).sessions) expect(session.told).toBeUndefined();
  });
});

describe('a strange ECU', () => {
  it('that answers only in the extended session is reachable', async () => {
    let extended = false;
    const only = (answer: string) => () => (extended ? answer : 'silent');
    const { ecu, result } = await look({
      '3E00': only('7E00'),
      '22': only('7F2231'),
      '22F186': only('62F18603'),
      '22F190': only(`62F190${ascii('1CANXTABENCH00001')}`),
      '22F191': only('7F2231'),
      '1003': () => {
        extended = true;
        return '5003003201F4';
      },
    });
    expect(reached(result).firstAnswered).toBe('10 03');
    expect(readOf(result)).toEqual(['f190 extended']);
    expect(frameOf(ecu)).toEqual(['3E00', '3E00', '22F186', '1003', '2701', '1001']);
  });

  it('that refuses 3E is reachable', async () => {
    const { result } = await look({ '3E00': '7F3E11' });
    expect(reached(result).firstAnswered).toBe('3E 00');
  });

  it('that does not answer for identifiers that it does not know is read to the end', async () => {
    const { ecu, result } = await look({ '22': 'silent' });
    expect(readOf(result)).toEqual(['f190 default', 'f191 default']);
    // Once each: silence is no matter of the session.
    expect(ecu.log.filter((each) => each === '22F180')).toHaveLength(1);
  });

  it('that goes off is not asked on', async () => {
    const { ecu } = await look({ '22': 'silent', '3E00': ['7E00', 'silent'] });
    expect(ecu.log.filter((each) => each.startsWith('22F1')).length).toBeLessThan(10);
  });

  it('that stays pending is not waited for to the end of its file', async () => {
    const { result } = await look({ '2701': 'pending' });
    expect(reached(result).security?.answer).toContain('no answer');
  });

  it('that is off is not reachable, and the reason says what to do', async () => {
    const off = { '3E00': 'silent', '22': 'silent', '22F186': 'silent', '1003': 'silent' } as const;
    const { ecu, result } = await look({ ...off, '1001': 'silent' });
    expect(result).toMatchObject({
      reachable: false,
      code: 'SILENT',
      reason: expect.stringMatching(/testerPresent.*check power, wiring, bit rate/),
    });
    // An ECU whose answers are lost may have entered the session.
    expect(ecu.log.at(-1)).toBe('1001');
  });

  it('behind a bus that is down is not asked twice', async () => {
    const { ecu, result } = await look({ '3E00': 'bus' });
    expect(result).toMatchObject({ reachable: false, code: 'BUS' });
    expect(ecu.log).toEqual(['3E00']);
  });
});

it('an interrupted look leaves the extended session', async () => {
  const ecu = new ScriptedEcu({ ...NORMAL });
  const abort = new AbortController();
  ecu.set('2701', () => {
    abort.abort();
    return '670101020304';
  });
  const { signal } = abort;
  const looked = checkEcu({ ecu: ecuOf(), requester: ecu, clock: ecu.clock, signal });
  await ecu.clock.within(60_000, looked);
  expect(ecu.log.slice(-2)).toEqual(['2701', '1001']);
});

describe('the requester that only reads', () => {
  const all = (): string[] =>
    Array.from({ length: 0x10000 }, (_, value) => value.toString(16).padStart(4, '0'));

  it('lets only 3E 00, 22, 10 01, 10 03 and odd levels of 27 through', () => {
    const allowed = all().filter((each) => isReadOnly(fromHex(each)));
    const others = allowed.filter((each) => !each.startsWith('22') && !each.startsWith('27'));
    expect(others).toEqual(['1001', '1003', '3e00']);
    const levels = allowed.filter((each) => each.startsWith('27'));
    expect(levels).toHaveLength(63);
    expect(levels.every((each) => Number.parseInt(each, 16) % 2 === 1)).toBe(true);
  });

  it('sends no other request, to any ECU', async () => {
    const ecu = new ScriptedEcu({});
    const requester = new ReadOnlyRequester(ecu);
    for (const request of [
      '1002',
      '1101',
      '14FFFFFF',
      '2702AA',
      '2E F15A',
      '3101FF00',
      '8502',
      '3E80',
    ]) {
      await expect(requester.request(fromHex(request))).rejects.toThrow(RangeError);
    }
    await expect(requester.broadcast(fromHex('3E80'))).rejects.toThrow(RangeError);
    requester.keepAlive('all-ecus');
    expect(ecu.kept).toBe('this-ecu');
    expect(ecu.log).toEqual([]);
  });
});

// Which requests are sent again when their answer is lost, as a table: service by service, and how long is waited in between.

import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { ChangeFact } from '../../src/drivers/change-fact.ts';
import type { Refusal } from '../../src/drivers/exchange.ts';
import {
  BLOCK_REPEATS,
  isLost,
  nextBusyPauseMs,
  patienceMs,
  repeatPauseMs,
  repeatRule,
} from '../../src/drivers/repeats.ts';
import type { UdsReply } from '../../src/uds/reply.ts';
import { ecuOf } from './support.ts';

const { programming } = ecuOf({
  programming: {
    preconditionsRoutine: 0x0301,
    eraseRoutine: 0x0302,
    checkMemoryRoutine: 0x0303,
    dependenciesRoutine: 0x0304,
  },
});

describe('a request whose answer is lost', () => {
  it.each([
    ['10 session', '1002', 'again'],
    ['11 reset', '1101', 'look-first'],
    ['14 clear', '14FFFFFF', 'once'],
    ['19 trouble codes', '190209', 'again'],
    ['22 read', '22F190', 'again'],
    ['27 01 seed', '2701', 'again'],
    ['27 02 key', '270211', 'once'],
    ['27 11 seed', '2711', 'again'],
    ['27 12 key', '271211', 'once'],
    ['28 communication', '280301', 'again'],
    ['2E write', '2EF15A01', 'look-first'],
    ['2F control', '2FFD3103', 'once'],
    ['31 results of any routine', '3103FF00', 'again'],
    ['31 results of a routine of the application', '31030200', 'again'],
    ['31 preconditions of the standard', '31010203', 'again'],
    ['31 preconditions of this ECU', '31010301', 'again'],
    ['31 erase of this ECU', '31010302', 'look-first'],
    ['31 check of this ECU', '31010303', 'again'],
    ['31 dependencies of this ECU', '31010304', 'again'],
    ['31 stop of a check', '31020303', 'once'],
    ['31 stop of an erase', '31020302', 'once'],
    ['31 a routine with the same low byte', '31010402', 'once'],
    ['31 erase of another ECU', '3101FF00', 'once'],
    ['34 download', '34004408000000', 'look-first'],
    ['36 block', '360100', 'once'],
    ['37 exit', '37', 'look-first'],
    ['38 file', '3801', 'look-first'],
    ['3E tester present', '3E00', 'again'],
    ['84 secured', '84', 'once'],
    ['85 trouble code setting', '8502', 'again'],
  ])('%s: %s is sent %s', (_name, request, kind) => {
    const rule = repeatRule(fromHex(request), programming);
    expect(rule).toEqual(kind === 'once' ? { kind } : { kind, tries: 3 });
  });

  it('waits between its tries', () => {
    expect([1, 2, 3, 9].map(repeatPauseMs)).toEqual([50, 250, 250, 250]);
    expect(BLOCK_REPEATS).toEqual({ tries: 3, aliveTries: 30, limitMs: 30_000 });
  });

  it('waits for a busy ECU longer and longer', () => {
    const pauses: number[] = [];
    for (let pause = nextBusyPauseMs(undefined); pauses.length < 7; pause = nextBusyPauseMs(pause))
      pauses.push(pause);
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1000, 1000]);
    const timing = { busyLimitMs: 1, resourceLimitMs: 2 };
    expect(patienceMs(0x21, timing)).toEqual({ limitMs: 1, field: 'timing.busyLimitMs' });
    expect(patienceMs(0x94, timing)).toEqual({ limitMs: 2, field: 'timing.resourceLimitMs' });
    for (const nrc of [0x10, 0x22, 0x37, 0x78]) expect(patienceMs(nrc, timing)).toBeUndefined();
  });
});

describe('an answer', () => {
  const data = new Uint8Array();
  const transport = (result: string) => ({ kind: 'transport', result, reason: '' }) as UdsReply;
  it.each<[string, UdsReply, boolean]>([
    ['nothing', { kind: 'silent' } as UdsReply, true],
    ['of another question', { kind: 'unexpected', data, reason: '' }, true],
    ['cut short', transport('N_TIMEOUT_CR'), true],
    ['that could not be asked for', transport('N_TIMEOUT_BS'), true],
    ['no bus', transport('BUS'), false],
    ['closed', transport('CLOSED'), false],
    ['too long for the buffer there', transport('N_BUFFER_OVFLW'), false],
    ['negative', { kind: 'negative', sid: 0x22, nrc: 0x31 }, false],
    ['positive', { kind: 'positive', data, atMs: 0 }, false],
    ['malformed', { kind: 'malformed', data, reason: '' }, false],
  ])('%s is lost: %s', (_what, reply, expected) => {
    expect(isLost(reply)).toBe(expected);
  });
});

describe('what was changed', () => {
  const refused = (nrc: number | undefined): Refusal => ({
    ...{ ok: false, code: 'REFUSED', reason: '', transient: false },
    ...(nrc === undefined ? {} : { nrc }),
  });
  const changedBy = async (...answers: readonly (number | undefined | 'ok')[]) => {
    const fact = new ChangeFact();
    for (const answer of answers) {
      await fact.by('erasing', async () =>
        answer === 'ok' ? { ok: true, value: undefined } : refused(answer),
      );
    }
    return fact.value;
  };

  it('is nothing before the first request, and by a refusal that comes before the work', async () => {
    expect(await changedBy()).toBe('no');
    for (const nrc of [
      0x11, 0x12, 0x13, 0x21, 0x22, 0x24, 0x31, 0x33, 0x70, 0x7e, 0x7f, 0x92, 0x93,
    ]) {
      expect(await changedBy(nrc), `NRC ${nrc}`).toBe('no');
    }
  });

  it('is unknown by a refusal in the middle, and by no answer', async () => {
    for (const nrc of [0x10, 0x25, 0x26, 0x71, 0x72, undefined]) {
      expect(await changedBy(nrc), `NRC ${nrc}`).toBe('unknown');
    }
  });

  it.each([
    ['voltage too high, behind a responsePending', 0x92, { pended: true }, 'unknown'],
    ['voltage too low, behind a responsePending', 0x93, { pended: true }, 'unknown'],
    ['a condition, behind a responsePending', 0x22, { pended: true }, 'unknown'],
    ['a condition, where an earlier try was lost', 0x22, { repeated: true }, 'unknown'],
  ] as const)('%s', async (_what, nrc, told, expected) => {
    const fact = new ChangeFact();
    await fact.by('erasing', async () => ({ ...refused(nrc), ...told }));
    expect(fact.value).toBe(expected);
  });

  it('stays what it was at its worst', async () => {
    expect(await changedBy('ok')).toBe('yes');
    expect(await changedBy('ok', 0x22)).toBe('yes');
    expect(await changedBy('ok', undefined)).toBe('yes');
    expect(await changedBy(undefined, 0x22)).toBe('unknown');
    expect(await changedBy(undefined, 'ok')).toBe('yes');
    const answer = refused(0x72);
    expect(await new ChangeFact().by('erasing', async () => answer)).toBe(answer);
  });
});

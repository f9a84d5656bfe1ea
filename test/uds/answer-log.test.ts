// Answers that are discarded: told once of each kind, then counted, and summed up once a minute and at the end.

import { expect, test } from 'vitest';
import { silentLogger } from '../../src/core/logger.ts';
import { AnswerLog } from '../../src/uds/answer-log.ts';

function logged() {
  const lines: string[] = [];
  const log = new AnswerLog({
    ...silentLogger,
    warn: (fields, text) => lines.push(`${JSON.stringify(fields)} ${text.slice(0, 24)}`),
  });
  const note = (answer: 'foreign' | 'late', nowMs: number) =>
    log.note(
      { kind: 'discarded', answer, message: new Uint8Array(20).fill(0xab), reason: 'why' },
      nowMs,
    );
  return { log, lines, note };
}

const first = `{"message":"${'ab'.repeat(16)}","reason":"why"}`;
const summary = (foreign: number, late: number) =>
  `{"foreign":${foreign},"late":${late}} answers that were discar`;

test('the first of each kind has a line, the others a summary a minute later', () => {
  const { log, lines, note } = logged();
  note('foreign', 1000);
  note('late', 2000);
  expect(lines).toEqual([`${first} an answer to no request `, `${first} an answer to a request t`]);
  note('foreign', 60_999);
  expect(lines).toHaveLength(2);
  note('foreign', 61_000);
  expect(lines.at(-1)).toBe(summary(3, 1));
  note('late', 120_999);
  expect(lines).toHaveLength(3);
  note('late', 121_000);
  expect(lines.at(-1)).toBe(summary(3, 3));
  expect(log.foreign).toBe(3);
});

test('the end tells what was not told, and nothing twice', () => {
  const { log, lines, note } = logged();
  log.close();
  expect(lines).toEqual([]);
  note('foreign', 0);
  log.close();
  expect(lines).toHaveLength(1);
  note('foreign', 1);
  log.close();
  log.close();
  expect(lines.slice(1)).toEqual([summary(2, 0)]);
  note('late', 2);
  note('late', 3);
  log.close();
  expect(lines.at(-1)).toBe(summary(2, 2));
});

// Replies as text and as errors.

import { expect, test } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { expectPositive, replyText, UdsError } from '../../src/uds/error.ts';
import type { UdsReply } from '../../src/uds/reply.ts';

const data = fromHex('62f19001');

test.each<[UdsReply, string]>([
  [{ kind: 'positive', data, atMs: 0 }, 'positive response of 4 bytes'],
  [
    { kind: 'negative', sid: 0x36, nrc: 0x73 },
    'refused transferData (0x36): wrongBlockSequenceCounter (0x73)',
  ],
  [{ kind: 'suppressed' }, 'accepted without an answer, as asked'],
  [{ kind: 'silent', timer: 'P2', waitedMs: 150.2 }, 'no answer within 150 ms (P2)'],
  [{ kind: 'malformed', data, reason: 'why' }, 'malformed answer 62f19001: why'],
  [{ kind: 'unexpected', data, reason: 'why' }, 'unexpected answer 62f19001: why'],
  [
    { kind: 'transport', result: 'N_TIMEOUT_Bs', reason: 'no flow control' },
    'transport failed with N_TIMEOUT_Bs: no flow control',
  ],
])('%j', (reply, text) => {
  expect(replyText(reply)).toBe(text);
});

/** What `expectPositive` throws. */
function thrown(reply: UdsReply): UdsError {
  try {
    expectPositive(reply, 'sending block 7');
  } catch (error) {
    if (error instanceof UdsError) return error;
  }
  throw new Error('expected a UdsError');
}

test('a positive or suppressed reply is no error', () => {
  expect(expectPositive({ kind: 'positive', data, atMs: 0 }, 'reading')).toBe(data);
  expect(expectPositive({ kind: 'suppressed' }, 'reading')).toEqual(new Uint8Array());
});

test('a refusal says what was being done, what happened and what to do', () => {
  const error = thrown({ kind: 'negative', sid: 0x36, nrc: 0x73 });
  expect(error).toMatchObject({
    name: 'UdsError',
    code: 'NEGATIVE_RESPONSE',
    nrc: 0x73,
    sid: 0x36,
  });
  expect(error.message).toBe(
    'sending block 7: refused transferData (0x36): wrongBlockSequenceCounter (0x73); a block was lost: start the programming again',
  );
});

test.each<[UdsReply, string]>([
  [{ kind: 'silent', timer: 'P2', waitedMs: 1 }, 'SILENT'],
  [{ kind: 'silent', timer: 'P2*', waitedMs: 1 }, 'SILENT'],
  [{ kind: 'malformed', data, reason: '' }, 'MALFORMED'],
  [{ kind: 'unexpected', data, reason: '' }, 'UNEXPECTED'],
  [{ kind: 'transport', result: 'BUS', reason: 'down' }, 'TRANSPORT'],
  [{ kind: 'negative', sid: 0x22, nrc: 0xf5 }, 'NEGATIVE_RESPONSE'],
])('%j has the code %s', (reply, code) => {
  expect(thrown(reply).code).toBe(code);
});

// Sealed messages: what they are by hand, and that nothing of them can be changed, cut, moved, turned round or taken elsewhere.

import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asciiBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import {
  exportKey,
  HEAD_BYTES,
  LAST_SEQUENCE,
  type MessageContext,
  openMessage,
  type Protection,
  readHead,
  type SealedSession,
  SUITES,
  sealMessage,
} from '../../src/trust/sealed-session.ts';

const session = (suite: SealedSession['suite'] = 'chacha20-poly1305'): SealedSession => ({
  id: '000102030405060708090a0b0c0d0e0f',
  serial: 'CO-000001',
  suite,
  secret: Uint8Array.from({ length: 32 }, (_, index) => index + 1),
});
const context: MessageContext = { from: 'device', path: '/vehicle/sync', sequence: 7, status: 0 };
const body = asciiBytes('{"power":60}');

/** Each suite sealed, and the HMAC alone. */
const kinds: readonly [string, SealedSession, Protection][] = [
  ...SUITES.map((suite): [string, SealedSession, Protection] => [suite, session(suite), 'sealed']),
  ['hmac', session(), 'authenticated'],
];

function fields(...parts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      const bytes = Buffer.from(part);
      return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
    }),
  );
}

describe('a message', () => {
  it('is what it is by hand', () => {
    const { id, serial, secret, suite } = session('aes-256-gcm');
    const info = fields('can-ota sealed session 1, keys', serial, suite, 'device');
    const keys = Buffer.from(hkdfSync('sha256', secret, fromHex(id), info, 76));
    const head = (code: number) =>
      Buffer.concat([Buffer.from([1, code]), fromHex(id), Buffer.from('000000000007', 'hex')]);
    const bound = (code: number) =>
      fields('can-ota sealed session 1, message', 'device', '/vehicle/sync', '0', head(code));

    const nonce = Buffer.from(keys.subarray(64));
    nonce[11]! ^= 7;
    const cipher = createCipheriv('aes-256-gcm', keys.subarray(32, 64), nonce);
    cipher.setAAD(bound(2));
    const text = Buffer.concat([cipher.update(body), cipher.final()]);
    expect(toHex(sealMessage(session('aes-256-gcm'), context, body, 'sealed'))).toBe(
      Buffer.concat([head(2), text, cipher.getAuthTag()]).toString('hex'),
    );

    const mac = createHmac('sha256', keys.subarray(0, 32)).update(bound(0)).update(body).digest();
    expect(toHex(sealMessage(session('aes-256-gcm'), context, body, 'authenticated'))).toBe(
      Buffer.concat([head(0), body, mac]).toString('hex'),
    );
  });

  it.each(kinds)('comes back as it was: %s', (_name, of, protection) => {
    for (const text of [new Uint8Array(), body, new Uint8Array(100_000).fill(7)]) {
      for (const sequence of [1, 2 ** 32, LAST_SEQUENCE]) {
        const sent = { ...context, sequence };
        const message = sealMessage(of, sent, text, protection);
        expect(readHead(message)).toEqual({ session: of.id, sequence, protection });
        expect(openMessage(of, sent, message)).toEqual({ ok: true, body: text });
      }
    }
    expect(() => sealMessage(of, { ...context, sequence: 0 }, body, protection)).toThrow(
      RangeError,
    );
    expect(() =>
      sealMessage(of, { ...context, sequence: LAST_SEQUENCE + 1 }, body, protection),
    ).toThrow(RangeError);
  });

  it.each(kinds)('is refused with any bit changed, and at any shorter length: %s', (_, of, how) => {
    const message = sealMessage(of, context, body, how);
    for (let bit = 0; bit < 8 * message.length; bit++) {
      const changed = Uint8Array.from(message);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect([bit, openMessage(of, context, changed).ok]).toEqual([bit, false]);
    }
    for (let length = 0; length < message.length; length++) {
      expect(openMessage(of, context, message.subarray(0, length)).ok).toBe(false);
    }
    expect(openMessage(of, context, Uint8Array.from([...message, 0])).ok).toBe(false);
  });

  it.each(kinds)('is of use for one sender, path, number and status alone: %s', (_, of, how) => {
    const message = sealMessage(of, context, body, how);
    const others: readonly Partial<MessageContext>[] = [
      { from: 'server' },
      { path: '/telemetry' },
      { path: '/vehicle/sync/' },
      { sequence: 8 },
      { status: 200 },
    ];
    for (const other of others) {
      const opened = openMessage(of, { ...context, ...other }, message);
      expect([other, opened]).toEqual([other, { ok: false, code: 'FORGED' }]);
    }
  });

  it.each(kinds)('is of use in one session alone: %s', (_, of, how) => {
    const message = sealMessage(of, context, body, how);
    const id = 'f0'.repeat(16);
    expect(openMessage({ ...of, id }, context, message)).toEqual({
      ok: false,
      code: 'WRONG_SESSION',
    });
    // Somebody who writes the other session's id into it.
    const moved = Uint8Array.from(message);
    moved.set(fromHex(id), 2);
    for (const other of [
      { ...of, id },
      { ...of, id, serial: 'CO-000002' },
      { ...of, id, secret: new Uint8Array(32) },
    ]) {
      expect(openMessage(other, context, moved)).toEqual({ ok: false, code: 'FORGED' });
    }
  });

  it('of another suite is refused, however it names itself', () => {
    for (const suite of SUITES) {
      for (const other of SUITES.filter((name) => name !== suite)) {
        const message = sealMessage(session(suite), context, body, 'sealed');
        expect(openMessage(session(other), context, message).ok).toBe(false);
        message[1] = SUITES.indexOf(other) + 1;
        expect(openMessage(session(other), context, message).ok).toBe(false);
      }
    }
  });

  it('shows nothing of its body, and never the same bytes twice', () => {
    const of = session();
    const first = sealMessage(of, context, body, 'sealed');
    const second = sealMessage(of, { ...context, sequence: 8 }, body, 'sealed');
    expect(Buffer.from(first).includes(Buffer.from(body))).toBe(false);
    expect(toHex(first.subarray(HEAD_BYTES))).not.toBe(toHex(second.subarray(HEAD_BYTES)));
    const answer = sealMessage(of, { ...context, from: 'server', status: 200 }, body, 'sealed');
    expect(toHex(first.subarray(HEAD_BYTES))).not.toBe(toHex(answer.subarray(HEAD_BYTES)));
  });

  it('is never more than refused, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(openMessage(session(), context, bytes).ok).toBe(false);
      }),
    );
  });
});

describe('an exported key', () => {
  it('is one for each session, device and purpose', () => {
    const of = session();
    const keys = [
      exportKey(of, 'chunk'),
      exportKey(of, 'other'),
      exportKey({ ...of, serial: 'CO-000002' }, 'chunk'),
      exportKey({ ...of, id: 'f0'.repeat(16) }, 'chunk'),
      exportKey({ ...of, secret: new Uint8Array(32) }, 'chunk'),
    ].map(toHex);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.every((key) => key.length === 64)).toBe(true);
  });
});

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

const kinds: readonly [string, SealedSession][] = SUITES.map((suite) => [suite, session(suite)]);

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
    expect(toHex(sealMessage(session('aes-256-gcm'), context, body))).toBe(
      Buffer.concat([head(2), text, cipher.getAuthTag()]).toString('hex'),
    );

    const hmacInfo = fields('can-ota sealed session 1, keys', serial, 'hmac', 'device');
    const hmacKeys = Buffer.from(hkdfSync('sha256', secret, fromHex(id), hmacInfo, 32));
    const mac = createHmac('sha256', hmacKeys).update(bound(0)).update(body).digest();
    expect(toHex(sealMessage(session('hmac'), context, body))).toBe(
      Buffer.concat([head(0), body, mac]).toString('hex'),
    );
  });

  it.each(kinds)('comes back as it was: %s', (_name, of) => {
    for (const text of [new Uint8Array(), body, new Uint8Array(100_000).fill(7)]) {
      for (const sequence of [1, 2 ** 32, LAST_SEQUENCE]) {
        const sent = { ...context, sequence };
        const message = sealMessage(of, sent, text);
        expect(readHead(message)).toEqual({ session: of.id, sequence });
        expect(openMessage(of, sent, message)).toEqual({ ok: true, body: text });
      }
    }
    expect(() => sealMessage(of, { ...context, sequence: 0 }, body)).toThrow(RangeError);
    expect(() => sealMessage(of, { ...context, sequence: LAST_SEQUENCE + 1 }, body)).toThrow(
      RangeError,
    );
  });

  it.each(kinds)('is refused with any bit changed, and at any shorter length: %s', (_, of) => {
    const message = sealMessage(of, context, body);
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

  it.each(kinds)('is of use for one sender, path, number and status alone: %s', (_, of) => {
    const message = sealMessage(of, context, body);
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

  it.each(kinds)('is of use in one session alone: %s', (_, of) => {
    const message = sealMessage(of, context, body);
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
        const message = sealMessage(session(suite), context, body);
        expect(openMessage(session(other), context, message).ok).toBe(false);
        message[1] = (SUITES.indexOf(other) + 1) % SUITES.length;
        expect(openMessage(session(other), context, message).ok).toBe(false);
      }
    }
  });

  it('in the clear is refused in a session that encrypts, whoever made it with the right keys', () => {
    const of = session('aes-256-gcm');
    const clear = sealMessage({ ...of, suite: 'hmac' }, context, body);
    expect(Buffer.from(clear).includes(Buffer.from(body))).toBe(true);
    expect(openMessage(of, context, clear)).toEqual({ ok: false, code: 'FORGED' });
  });

  it('shows nothing of its body, and never the same bytes twice', () => {
    const of = session();
    const first = sealMessage(of, context, body);
    const second = sealMessage(of, { ...context, sequence: 8 }, body);
    expect(Buffer.from(first).includes(Buffer.from(body))).toBe(false);
    expect(toHex(first.subarray(HEAD_BYTES))).not.toBe(toHex(second.subarray(HEAD_BYTES)));
    const answer = sealMessage(of, { ...context, from: 'server', status: 200 }, body);
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

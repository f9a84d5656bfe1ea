// Challenge and response: proofs by hand, and that none is of use in another direction, exchange or device.

import { createHash, createHmac, hkdfSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import {
  clientProof,
  deviceKeyOf,
  type SessionExchange,
  sameProof,
  serverProof,
  sessionKeys,
} from '../../src/trust/device-session.ts';

const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index);
const KEY = deviceKeyOf(SECRET);
const EXCHANGED: SessionExchange = {
  serial: 'CO-000001',
  clientNonce: '000102030405060708090a0b0c0d0e0f',
  serverNonce: 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff',
  challenge: 'c-17',
};

/** Each field with its length in two bytes before it. */
function fields(...texts: readonly string[]): Buffer {
  return Buffer.concat(
    texts.map((text) => Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)])),
  );
}

describe('proofs', () => {
  const { serial, clientNonce, serverNonce, challenge } = EXCHANGED;
  const key = createHash('sha256').update(SECRET).digest();
  const byHand = (side: string): string =>
    createHmac('sha256', key)
      .update(
        fields(
          `can-ota device session 1, ${side} proof`,
          serial,
          clientNonce,
          serverNonce,
          challenge,
        ),
      )
      .digest('hex');

  it('are what they are by hand', () => {
    expect(toHex(KEY)).toBe(key.toString('hex'));
    expect(clientProof(KEY, EXCHANGED)).toBe(byHand('client'));
    expect(serverProof(KEY, EXCHANGED)).toBe(byHand('server'));
  });

  it('cannot be reflected: one side never gives the proof of the other', () => {
    expect(clientProof(KEY, EXCHANGED)).not.toBe(serverProof(KEY, EXCHANGED));
    // An attacker who plays server sends the device's own nonce back.
    const mirrored = { ...EXCHANGED, serverNonce: clientNonce };
    expect(clientProof(KEY, mirrored)).not.toBe(serverProof(KEY, mirrored));
    const swapped = { ...EXCHANGED, clientNonce: serverNonce, serverNonce: clientNonce };
    expect(serverProof(KEY, swapped)).not.toBe(clientProof(KEY, EXCHANGED));
    expect(clientProof(KEY, swapped)).not.toBe(clientProof(KEY, EXCHANGED));
  });

  it.each(['serial', 'clientNonce', 'serverNonce', 'challenge'] as const)(
    'hold for one %s only',
    (field) => {
      const other = { ...EXCHANGED, [field]: `${EXCHANGED[field]}0` };
      for (const proof of [clientProof, serverProof]) {
        expect(proof(KEY, other)).not.toBe(proof(KEY, EXCHANGED));
      }
      expect(sessionKeys(KEY, other).token).not.toBe(sessionKeys(KEY, EXCHANGED).token);
    },
  );

  it('hold for what was agreed on with them, and for nothing else', () => {
    const bound = { ...EXCHANGED, binding: 'aes-256-gcm 7' };
    for (const binding of [undefined, '', 'aes-256-gcm 8']) {
      const other = binding === undefined ? EXCHANGED : { ...EXCHANGED, binding };
      expect(clientProof(KEY, other)).not.toBe(clientProof(KEY, bound));
      expect(sessionKeys(KEY, other).id).not.toBe(sessionKeys(KEY, bound).id);
    }
    // The server proves itself before it is known what the device wants.
    expect(serverProof(KEY, bound)).toBe(serverProof(KEY, EXCHANGED));
  });

  it('hold for one device only', () => {
    const otherKey = deviceKeyOf(SECRET.map((byte) => byte ^ 1));
    for (const proof of [clientProof, serverProof]) {
      expect(proof(otherKey, EXCHANGED)).not.toBe(proof(KEY, EXCHANGED));
    }
  });

  it('characters cannot move from one field into the next', () => {
    const text = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(fc.array(text, { minLength: 4, maxLength: 4 }), fc.nat(2), (texts, at) => {
        const of = ([a, b, c, d]: string[]): SessionExchange => ({
          serial: a!,
          clientNonce: b!,
          serverNonce: c!,
          challenge: d!,
        });
        const moved = [...texts];
        moved[at] = `${texts[at]}${texts[at + 1]!.slice(0, 1)}`;
        moved[at + 1] = texts[at + 1]!.slice(1);
        fc.pre(moved.some((each, index) => each !== texts[index]));
        expect(clientProof(KEY, of(moved))).not.toBe(clientProof(KEY, of(texts)));
        expect(sessionKeys(KEY, of(moved)).token).not.toBe(sessionKeys(KEY, of(texts)).token);
      }),
    );
  });

  it('are compared as a whole', () => {
    const proof = clientProof(KEY, EXCHANGED);
    expect(sameProof(proof, clientProof(KEY, { ...EXCHANGED }))).toBe(true);
    expect(sameProof(proof, proof.slice(1))).toBe(false);
    expect(sameProof(proof, `${proof.slice(0, -1)}g`)).toBe(false);
    expect(sameProof(proof, `g${proof.slice(1)}`)).toBe(false);
    expect(sameProof(proof, '')).toBe(false);
    expect(sameProof(proof, proof.toUpperCase())).toBe(false);
  });
});

describe('the keys of a session', () => {
  it('are what they are by hand', () => {
    const { serial, clientNonce, serverNonce, challenge } = EXCHANGED;
    const derived = Buffer.from(
      hkdfSync(
        'sha256',
        createHash('sha256').update(SECRET).digest(),
        fields(clientNonce, serverNonce),
        fields('can-ota device session 1, keys', serial, challenge),
        80,
      ),
    );
    expect(sessionKeys(KEY, EXCHANGED)).toEqual({
      token: derived.subarray(0, 32).toString('base64url'),
      secret: Uint8Array.from(derived.subarray(32, 64)),
      id: derived.subarray(64).toString('hex'),
    });
  });

  it('are no proof, and no proof is a key', () => {
    const { token, secret, id } = sessionKeys(KEY, EXCHANGED);
    const all = [
      Buffer.from(token, 'base64url').toString('hex'),
      toHex(secret),
      id,
      clientProof(KEY, EXCHANGED),
      serverProof(KEY, EXCHANGED),
      toHex(KEY),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});

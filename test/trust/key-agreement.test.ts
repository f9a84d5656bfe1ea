// Keys that two sides make together, calculated again with node:crypto: who is who counts, not only that both agree.

import { hkdfSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import {
  agreedKey,
  type ExchangedKeys,
  nextDeviceKey,
  signedByClient,
  signedByServer,
} from '../../src/trust/key-agreement.ts';
import { exportKey, type SealedSession } from '../../src/trust/sealed-session.ts';
import { x25519Agree, x25519PublicKey } from '../../src/trust/signing-key.ts';

const random = seededRandom('key agreement');
const own = { client: random.bytes(32), server: random.bytes(32) };
const publicOf = (key: Uint8Array): string => toHex(x25519PublicKey(key));
const keys: ExchangedKeys = { clientKey: publicOf(own.client), serverKey: publicOf(own.server) };
const shared = x25519Agree(own.client, x25519PublicKey(own.server))!;
const session: SealedSession = {
  ...{ id: 'ab'.repeat(16), serial: 'CO-000001', suite: 'hmac' },
  secret: new Uint8Array(32).fill(7),
} as unknown as SealedSession;

/** Each field behind its length in two bytes. */
function fields(...texts: readonly string[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => [
      Buffer.from([text.length >> 8, text.length & 255]),
      Buffer.from(text),
    ]),
  );
}

function hkdf(salt: Uint8Array, ...info: readonly string[]): string {
  return Buffer.from(hkdfSync('sha256', shared, salt, fields(...info), 32)).toString('hex');
}

const hex = (key: Uint8Array | undefined): string | undefined => key && toHex(key);

describe('the key of a session by key pairs', () => {
  const label = 'can-ota device session 1, key pairs';

  it('is the same for both sides, over the key of the client and then that of the server', () => {
    const expected = hkdf(new Uint8Array(32), label, keys.clientKey, keys.serverKey);
    expect(hex(agreedKey(own.client, keys, 'client'))).toBe(expected);
    expect(hex(agreedKey(own.server, keys, 'server'))).toBe(expected);
  });

  it('is none with a foreign key that is none', () => {
    for (const serverKey of ['', 'zz'.repeat(32), '00'.repeat(32), keys.serverKey.toUpperCase()]) {
      expect(agreedKey(own.client, { ...keys, serverKey }, 'client'), serverKey).toBeUndefined();
    }
  });
});

describe('the next key of a device', () => {
  it('is the same for both sides, and bound to session, serial and both keys in their order', () => {
    const salt = exportKey(session, 'next device key');
    const info = ['can-ota device key 1, next', session.serial, keys.clientKey, keys.serverKey];
    const expected = hkdf(salt, ...info);
    expect(hex(nextDeviceKey(session, own.client, keys, 'client'))).toBe(expected);
    expect(hex(nextDeviceKey(session, own.server, keys, 'server'))).toBe(expected);
  });

  it('is none with a foreign key that is none', () => {
    const bad = { ...keys, clientKey: '00'.repeat(32) };
    expect(nextDeviceKey(session, own.server, bad, 'server')).toBeUndefined();
  });
});

describe('what is signed', () => {
  const exchanged = {
    serial: 'CO-000001',
    clientNonce: 'c1',
    serverNonce: 's1',
    challenge: 'ch',
  };

  it('by the client is every field of the exchange, each in its place', () => {
    const label = 'can-ota device session 1, client signature';
    const order = [label, 'CO-000001', 'c1', 's1', 'ch', keys.clientKey, keys.serverKey];
    const bytes = (binding: string) => Uint8Array.from(fields(...order, binding));
    expect(signedByClient(exchanged, keys)).toEqual(bytes(''));
    expect(signedByClient({ ...exchanged, binding: 'tls' }, keys)).toEqual(bytes('tls'));
  });

  it('by the server names what it answers to', () => {
    expect(signedByServer(exchanged, keys)).toEqual({ _type: 'session', ...exchanged, ...keys });
  });
});

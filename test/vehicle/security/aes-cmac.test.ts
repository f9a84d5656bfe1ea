// The key of aes-cmac, by the vectors of RFC 4493 and NIST SP 800-38B.

import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { aesCmac, cmac } from '../../../src/vehicle/security/aes-cmac.ts';
import { algorithmOf, securitySchema } from '../../../src/vehicle/security/all.ts';

const KEY = '2b7e151628aed2a6abf7158809cf4f3c';
const KEY_256 = '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4';
const MESSAGE =
  '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51' +
  '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710';

describe('AES-CMAC', () => {
  it.each([
    [KEY, 0, 'bb1d6929e95937287fa37d129b756746'],
    [KEY, 16, '070a16b46b4d4144f79bdd9dd04a287c'],
    [KEY, 40, 'dfa66747de9ae63030ca32611497c827'],
    [KEY, 64, '51f0bebf7e3b9d92fc49741779363cfe'],
    [KEY_256, 0, '028962f61b7bf89efc6b551f4667d983'],
    [KEY_256, 16, '28a7023f452e8f82bd4bf28d8c37c35c'],
  ])('of %s over %i bytes', (key, length, mac) => {
    expect(toHex(cmac(fromHex(key), fromHex(MESSAGE).subarray(0, length)))).toBe(mac);
  });

  it('may be sent in part', async () => {
    const seed = fromHex(MESSAGE).subarray(0, 16);
    const made = await aesCmac.keyFromSeed({ secret: KEY, keyBytes: 4, level: 1 }, seed, {});
    expect(made.key && toHex(made.key)).toBe('070a16b4');
  });

  it('is simulated with its lengths', () => {
    const security = securitySchema.parse({ algorithm: 'aes-cmac', secret: KEY, keyBytes: 4 });
    if (security.algorithm === 'none') throw new Error('it asks for a key');
    expect(algorithmOf(security).simulated?.(security)).toEqual({ seedBytes: 16, keyBytes: 4 });
    expect(securitySchema.safeParse({ algorithm: 'aes-cmac', secret: 'aa' }).success).toBe(false);
  });
});

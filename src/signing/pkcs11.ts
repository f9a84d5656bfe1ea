// Keys in a PKCS#11 token (smart card, HSM), through the package graphene-pk11, which users install when they need it.

import { createPublicKey } from 'node:crypto';
import { createRequire } from 'node:module';
import { byteAt } from '../core/bytes.ts';
import { describeError, InputError } from '../core/errors.ts';
import {
  ed25519PublicKey,
  keyIdOf,
  type PublicKeyJson,
  type Signer,
  type SigningAlgorithm,
  verifyWith,
} from '../trust/signing-key.ts';
import type { TokenPlace } from './token-place.ts';

/** The part of graphene-pk11 that is used here. */
interface Graphene {
  readonly Module: { load(file: string, name: string): TokenModule };
  readonly SessionFlag: { readonly SERIAL_SESSION: number; readonly RW_SESSION: number };
}
interface TokenModule {
  initialize(): void;
  finalize(): void;
  getSlots(withToken: boolean): { readonly length: number; items(index: number): Slot };
}
interface Slot {
  getToken(): { readonly label: string };
  open(flags: number): Session;
}
interface Session {
  login(pin: string): void;
  logout(): void;
  close(): void;
  find(template: object): {
    readonly length: number;
    items(index: number): { toType(): TokenKey };
  };
  generateKeyPair(
    mechanism: Mechanism,
    publicTemplate: object,
    privateTemplate: object,
  ): {
    readonly publicKey: TokenKey;
  };
  createSign(mechanism: Mechanism, key: TokenKey): { once(bytes: Buffer): Buffer };
}
interface TokenKey {
  getAttribute(wanted: { readonly pointEC: null }): { readonly pointEC: Buffer };
}
interface Mechanism {
  readonly name: number;
  readonly params: null;
}

/**
 * Object class CKO_PRIVATE_KEY (PKCS #11 v3.0); below the mechanisms, with the DER of the curve's object identifier.
 */
const PRIVATE_KEY_CLASS = 3;
const MECHANISMS = {
  ed25519: { generate: 0x1055, sign: 0x1057, curve: '06032b6570', pointBytes: 32 },
  'ecdsa-p256': { generate: 0x1040, sign: 0x1041, curve: '06082a8648ce3d030107', pointBytes: 65 },
} as const;

/** SHA-256 of the signed bytes: CKM_ECDSA, which every token supports, takes the digest. */
const digestOf = async (bytes: Uint8Array): Promise<Buffer> =>
  Buffer.from(await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes)));

/** Makes a key pair that cannot leave the token. Throws InputError. */
export async function generateInToken(
  place: TokenPlace,
  algorithm: SigningAlgorithm,
  pin: string,
): Promise<PublicKeyJson> {
  const { generate, curve, pointBytes } = MECHANISMS[algorithm];
  return withSession(place, pin, async (session) => {
    if (session.find({ class: PRIVATE_KEY_CLASS, label: place.label }).length > 0) {
      throw new InputError(place.label, 'the token has a key of this name: it is never replaced');
    }
    const named = { token: true, label: place.label, id: Buffer.from(place.label) };
    const { publicKey } = session.generateKeyPair(
      { name: generate, params: null },
      { ...named, verify: true, paramsEC: Buffer.from(curve, 'hex') },
      { ...named, private: true, sensitive: true, extractable: false, sign: true },
    );
    const { pointEC } = publicKey.getAttribute({ pointEC: null });
    // The point is in a DER OCTET STRING, which some tokens leave out.
    const point = pointEC.length === pointBytes ? pointEC : pointEC.subarray(-pointBytes);
    return algorithm === 'ed25519' ? ed25519PublicKey(point) : p256PublicKey(point);
  });
}

/** Signs in the token and logs in and out for each signature. Throws InputError when the token holds another key. */
export function tokenSigner(place: TokenPlace, publicKey: PublicKeyJson, pin: string): Signer {
  const algorithm = publicKey.keytype === 'ed25519' ? 'ed25519' : 'ecdsa-p256';
  return {
    keyId: keyIdOf(publicKey),
    publicKey,
    sign: (bytes) =>
      withSession(place, pin, async (session) => {
        const found = session.find({ class: PRIVATE_KEY_CLASS, label: place.label });
        if (found.length !== 1) {
          throw new InputError(
            place.label,
            `the token ${place.token} has ${found.length} keys of this name: is it the right one?`,
          );
        }
        const key = found.items(0).toType();
        const mechanism = { name: MECHANISMS[algorithm].sign, params: null };
        const signing = session.createSign(mechanism, key);
        const signature =
          algorithm === 'ed25519'
            ? signing.once(Buffer.from(bytes))
            : ecdsaDer(signing.once(await digestOf(bytes)));
        const hex = signature.toString('hex');
        if (!verifyWith(publicKey, bytes, hex)) {
          throw new InputError(place.label, 'the token holds another key than this folder knows');
        }
        return hex;
      }),
  };
}

async function withSession<T>(
  place: TokenPlace,
  pin: string,
  body: (session: Session) => Promise<T>,
): Promise<T> {
  const { Module, SessionFlag } = loadGraphene();
  let module: TokenModule;
  try {
    module = Module.load(place.module, 'PKCS#11');
    module.initialize();
  } catch (error) {
    throw new InputError(
      '--pkcs11',
      `${place.module} cannot be used as a PKCS#11 module: ${describeError(error)}`,
      { cause: error },
    );
  }
  try {
    const slot = slotOf(module, place);
    const session = slot.open(SessionFlag.SERIAL_SESSION | SessionFlag.RW_SESSION);
    try {
      try {
        session.login(pin);
      } catch (error) {
        throw new InputError(
          place.token,
          `the token refused the PIN (${describeError(error)}): few tries are left, check the PIN before the next one`,
          { cause: error },
        );
      }
      return await body(session);
    } finally {
      session.close(); // logs out
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = `the token failed: ${describeError(error)}`;
    throw new InputError(place.token, reason, { cause: error });
  } finally {
    module.finalize();
  }
}

function slotOf(module: TokenModule, { token, module: file }: TokenPlace): Slot {
  const slots = module.getSlots(true);
  const all = Array.from({ length: slots.length }, (_, index) => slots.items(index));
  const labels = all.map((slot) => slot.getToken().label.trim());
  const found = all[labels.indexOf(token)];
  if (found !== undefined) return found;
  const known = labels.filter((label) => label !== '').join(', ');
  throw new InputError('--token', `${file} has no token ${token}: there are ${known || 'none'}`);
}

function loadGraphene(): Graphene {
  try {
    return createRequire(import.meta.url)('graphene-pk11') as Graphene;
  } catch (error) {
    throw new InputError(
      '--pkcs11',
      'keys in tokens need the package graphene-pk11, which is not installed with can-ota: install it beside ' +
        'can-ota with "npm install graphene-pk11@2" (it is built here: a C++ compiler and Python are needed)',
      { cause: error },
    );
  }
}

function p256PublicKey(point: Buffer): PublicKeyJson {
  const x = point.subarray(1, 33).toString('base64url');
  const y = point.subarray(33).toString('base64url');
  const key = createPublicKey({
    key: { kty: 'EC', crv: 'P-256', x, y },
    format: 'jwk',
  });
  const pem = key.export({ type: 'spki', format: 'pem' }).toString();
  return { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: pem } };
}

/** Converts r and s of a token to SEQUENCE { INTEGER r, INTEGER s } of metadata (SEC 1 C.5). */
export function ecdsaDer(signature: Buffer): Buffer {
  const half = signature.length / 2;
  const integers = [signature.subarray(0, half), signature.subarray(half)].map((number) => {
    const first = number.findIndex((byte) => byte !== 0);
    const digits = first < 0 ? Buffer.from([0]) : number.subarray(first);
    // A leading 1 bit would make the number negative.
    const value = byteAt(digits, 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits;
    return Buffer.concat([Buffer.from([0x02, value.length]), value]);
  });
  const body = Buffer.concat(integers);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

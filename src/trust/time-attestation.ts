// Signed time: the Director's role `time` signs the time together with the nonces of the ECUs that asked (5.4.3).

import type { Root } from '@tufjs/models';
import { z } from 'zod';
import { accepted, refused, type Verdict } from './attack.ts';
import { type Authority, rootAuthority, type Trusted } from './metadata.ts';
import {
  type CheckingKey,
  countSigners,
  isoTime,
  readSigned,
  type SignedJson,
  signedSchema,
  signJson,
} from './signed-json.ts';
import type { LocalSigner, Signer } from './signing-key.ts';

export type { SignedJson } from './signed-json.ts';

/** Most ECUs that one attestation answers; further ECUs need another request. */
export const MAX_TIME_NONCES = 64;

const WHERE = 'time attestation';

const timeSchema = signedSchema(
  z.strictObject({
    _type: z.literal('time'),
    time: isoTime,
    nonces: z
      .array(z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 lower-case hex digits'))
      .max(MAX_TIME_NONCES),
  }),
);

export interface TimeAttestation {
  /** Milliseconds since 1970, UTC; fractions are cut off. */
  readonly timeMs: number;
  /** Nonces of 16 bytes each, lower-case hex. */
  readonly nonces: readonly string[];
}

export function signTime(
  attestation: TimeAttestation,
  signers: LocalSigner | readonly LocalSigner[],
): SignedJson;
export function signTime(
  attestation: TimeAttestation,
  signers: Signer | readonly Signer[],
): SignedJson | Promise<SignedJson>;
export function signTime(
  { timeMs, nonces }: TimeAttestation,
  signers: Signer | readonly Signer[],
): SignedJson | Promise<SignedJson> {
  const time = new Date(Math.floor(timeMs)).toISOString();
  const list: readonly Signer[] = 'sign' in signers ? [signers] : signers;
  return signJson({ _type: 'time', time, nonces: [...nonces] }, list);
}

/**
 * Checks the attestation with the role `time` of the Director's newest Root (bytes or parsed JSON; null: there was none).
 * `nonce` was sent for this answer, `floorMs` is the latest time that was accepted before.
 *
 * MALFORMED, ARBITRARY_SOFTWARE (too few keys of the role), FREEZE (no time, or the answer to another request, which may
 * be an old one), ROLLBACK (before the floor).
 */
export function checkTime(
  input: unknown,
  root: Trusted<Root>,
  nonce: string,
  floorMs: number,
): Verdict<{ readonly timeMs: number }> {
  if (input === null || input === undefined) {
    return refused('FREEZE', WHERE, 'there is no signed time, so expiry cannot be checked');
  }
  const read = readSigned(input, timeSchema, WHERE);
  if (!read.ok) return read;
  const authority = rootAuthority(root, 'time');
  if (authority === undefined) {
    const reason = `Root version ${root.version} of the Director has no role "time": add it by can-ota keys`;
    return refused('ARBITRARY_SOFTWARE', WHERE, reason);
  }
  const signers = countSigners(read.value, checkingKeys(root, authority));
  if (signers < authority.threshold) {
    return refused(
      'ARBITRARY_SOFTWARE',
      WHERE,
      `has right signatures of ${signers} keys of the role "time", ${authority.threshold} are needed`,
    );
  }
  const { time, nonces } = read.value.signed;
  if (!nonces.includes(nonce)) {
    const reason = `does not answer nonce ${nonce}: it may be old, ask for the time again`;
    return refused('FREEZE', WHERE, reason);
  }
  const timeMs = Date.parse(time);
  if (timeMs < floorMs) {
    const floor = new Date(floorMs).toISOString();
    return refused(
      'ROLLBACK',
      WHERE,
      `says ${time}, it was ${floor} already: set the server's clock`,
    );
  }
  return accepted({ timeMs });
}

/** The keys that may sign for this role. */
export function checkingKeys(root: Trusted<Root>, { keyIds, keys }: Authority): CheckingKey[] {
  return keyIds.flatMap((keyId) => {
    const key = keys.get(keyId);
    const scheme = root.metadata.signed.keys[keyId]?.scheme;
    if (key === undefined || scheme === undefined) return [];
    const { material } = key;
    return { keyId, scheme, material, verify: (bytes, sig) => key.verify(bytes, sig) };
  });
}

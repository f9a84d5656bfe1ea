// The backend's signature over an exchange by key pairs: by the online role `time`, whose keys the Director's Root names.

import type { Root } from '@tufjs/models';
import { z } from 'zod';
import { accepted, refused, type Verdict } from './attack.ts';
import type { SessionExchange } from './device-session.ts';
import { type ExchangedKeys, signedByServer } from './key-agreement.ts';
import { rootAuthority, type Trusted } from './metadata.ts';
import { countSigners, readSigned, signedSchema } from './signed-json.ts';
import { checkingKeys } from './time-attestation.ts';

const WHERE = 'session signature';

const sessionSchema = signedSchema(
  z.strictObject({
    _type: z.literal('session'),
    serial: z.string(),
    clientNonce: z.string(),
    serverNonce: z.string(),
    challenge: z.string(),
    clientKey: z.string(),
    serverKey: z.string(),
  }),
);

/** MALFORMED; ARBITRARY_SOFTWARE: too few keys of the role, or the signature is for another exchange. */
export function checkSessionSignature(
  input: unknown,
  root: Trusted<Root>,
  exchanged: SessionExchange,
  keys: ExchangedKeys,
): Verdict<void> {
  const read = readSigned(input, sessionSchema, WHERE);
  if (!read.ok) return read;
  const authority = rootAuthority(root, 'time');
  const signers =
    authority === undefined ? 0 : countSigners(read.value, checkingKeys(root, authority));
  if (authority === undefined || signers < authority.threshold) {
    const reason = `is not signed by the role "time" of the Director's Root version ${root.version}`;
    return refused('ARBITRARY_SOFTWARE', WHERE, reason);
  }
  const signed = read.value.signed as Readonly<Record<string, string>>;
  const expected = signedByServer(exchanged, keys);
  const same = Object.entries(expected).every(([name, value]) => signed[name] === value);
  if (!same) return refused('ARBITRARY_SOFTWARE', WHERE, 'is for another exchange');
  return accepted(undefined);
}

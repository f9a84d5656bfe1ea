// The TMU's identity.json: the vehicle's identity for the backend, and the secrets that it shares with its ECUs.

import { z } from 'zod';
import { fromHex } from '../core/bytes.ts';
import { InputError } from '../core/errors.ts';
import { ecuName } from '../core/names.ts';
import { firstIssue } from '../core/schema-issue.ts';
import { speakerKey } from './authority.ts';
import { plainText, serialName } from './signed-json.ts';

const secret = (least: number, most: number) =>
  z
    .string()
    .regex(
      new RegExp(`^(?:[0-9a-f]{2}){${least},${most}}$`),
      least === most
        ? `expected ${least} bytes as ${2 * least} lower-case hex digits`
        : `expected ${least} to ${most} bytes as lower-case hex digits`,
    );

const ecuSchema = z.strictObject({
  serial: serialName,
  hardwareId: plainText(1, 128),
  /** Key of SecurityAccess; missing for an ECU of another make, whose key is not in here. */
  securityAccessKey: secret(16, 64).optional(),
  /** The ECU's X25519 public key, by which it takes orders from this TMU; missing for other makes, and before the lock. */
  encryptionKey: secret(32, 32).optional(),
});

const identityFileSchema = z.strictObject({
  format: z.literal(1),
  vin: plainText(1, 64),
  /** Serial number of the TMU. */
  serial: serialName,
  /** Number of the chip that the TMU was provisioned with. */
  hwId: plainText(1, 64),
  /** Secret for the session with the backend; see device-session.ts. */
  deviceSecret: secret(32, 32),
  /** Ed25519 seed: signs the vehicle manifest and the TMU's version report. */
  signingSeed: secret(32, 32),
  /** X25519 private key: ECUs take orders that are authenticated by it; see authority.ts. */
  agreementKey: secret(32, 32),
  /** ECUs by their names in the vehicle file. */
  ecus: z.record(ecuName, ecuSchema),
  /** Key that authenticates the driver's answer; missing where no ECU asks the driver. */
  approvalKey: secret(32, 32).optional(),
});

export type IdentityFile = Readonly<z.infer<typeof identityFileSchema>>;
export type IdentityEcu = Readonly<z.infer<typeof ecuSchema>>;

/** Throws InputError that names the field and never contains a secret. */
export function parseIdentity(text: string, where: string): IdentityFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's message quotes the text around the mistake, which may contain a secret.
    throw new InputError(where, 'is not JSON: restore it from a copy, or run can-ota provision');
  }
  const parsed = identityFileSchema.safeParse(json);
  if (parsed.success) return checked(parsed.data, where);
  const { path, message } = firstIssue(parsed.error);
  const field = path.length === 0 ? '' : `${path.join('.')}: `;
  throw new InputError(where, `${field}${message}`);
}

/** The TMU's key to one of its ECUs; undefined for an ECU of another make, and for one that is not locked yet. */
export function ecuAuthority(
  { agreementKey, ecus }: Pick<IdentityFile, 'agreementKey' | 'ecus'>,
  ecu: string,
): Uint8Array | undefined {
  const ecuKey = ecus[ecu]?.encryptionKey;
  if (ecuKey === undefined) return undefined;
  return speakerKey('tester', fromHex(agreementKey), fromHex(ecuKey));
}

/** Formats what `parseIdentity` reads. Throws InputError, too. */
export function formatIdentity(identity: IdentityFile): string {
  const text = `${JSON.stringify(identity, undefined, 2)}\n`;
  parseIdentity(text, 'identity');
  return text;
}

/** Checks the serial numbers: with one number for two devices, each could act as the other. */
function checked(identity: IdentityFile, where: string): IdentityFile {
  const owners = new Map([[identity.serial, 'the TMU']]);
  for (const [name, { serial }] of Object.entries(identity.ecus)) {
    const owner = owners.get(serial);
    if (owner !== undefined) {
      throw new InputError(where, `ecus.${name}.serial: ${serial} is the serial of ${owner}, too`);
    }
    owners.set(serial, name);
  }
  return identity;
}

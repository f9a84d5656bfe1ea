// Proves that an ECU is locked with the expected serial and keys, after the lock and in later runs.

import { fromHex } from '../core/bytes.ts';
import { speakerKey } from '../trust/authority.ts';
import { checkVersionReport } from '../trust/manifest.ts';
import { Nrc, nrcText } from '../uds/nrc.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import * as readMemoryByAddress from '../uds/services/read-memory-by-address.ts';
import * as requestUpload from '../uds/services/request-upload.ts';
import { Did } from '../uds/sid.ts';
import { usesProvisionedKey } from '../vehicle/security/all.ts';
import { readCampaignRecord } from './activation.ts';
import { Exchange, type ExchangeOptions, type Refusal } from './exchange.ts';
import {
  DONE,
  inFactorySession,
  type Provisioned,
  type PublicKeys,
  readPublicKeys,
  readSerial,
  refuse,
} from './provision-access.ts';
import { readVersionReport } from './trust-exchange.ts';
import { unlock } from './unlock.ts';

/** The shared facts and keys of the ECU and this TMU, hexadecimal. */
export interface ProvenSecrets {
  readonly serial: string;
  /** Key of SecurityAccess; undefined for an ECU without SecurityAccess by HMAC. */
  readonly securityAccessKey: string | undefined;
  /** X25519 private key of the TMU. */
  readonly agreementKey: string;
}

/** Length of the memory read that the lock must refuse. */
const PROBE_BYTES = 16;

/**
 * Checks that a locked ECU has the expected serial, signs with its published key, takes orders of this TMU, opens with
 * the key of SecurityAccess, and gives out no secret. Changes nothing.
 */
export async function proveLocked(
  options: ExchangeOptions,
  provisions: ProvenSecrets,
  signal?: AbortSignal,
): Promise<Provisioned<PublicKeys>> {
  const { serial, securityAccessKey } = provisions;
  const exchange = new Exchange(options);
  const told = await readSerial(exchange, signal);
  if (!told.ok) return told;
  if (told.value !== serial) {
    return refuse(
      'OTHER_KEYS',
      `${exchange.peer}: is locked as ${told.value}, expected ${serial}: use the registry and the state directory ` +
        'that it was provisioned with, or fit a new part',
    );
  }
  const own = await readPublicKeys(exchange, signal);
  if (!own.ok) return own;
  if (own.value === undefined) {
    return refuse(
      'NOT_LOCKED',
      `${exchange.peer}: has no keys of its own (DID FD12): fit a new part`,
    );
  }
  const signs = await checkSignature(exchange, serial, own.value.signingKey, signal);
  if (!signs.ok) return signs;
  const obeys = await checkAuthority(options, provisions, own.value.encryptionKey, signal);
  if (!obeys.ok) return obeys;
  const closed = await inFactorySession(exchange, signal, async () => {
    const refusals = await checkRefusals(exchange, signal);
    return refusals.ok ? checkKey(options, securityAccessKey, signal) : refusals;
  });
  return closed.ok ? { ok: true, value: own.value } : closed;
}

/** Checks the version report: it proves that the ECU has the private key and that the key is for this serial. */
async function checkSignature(
  exchange: Exchange,
  serial: string,
  signingKey: string,
  signal?: AbortSignal,
): Promise<Provisioned<void>> {
  const report = await readVersionReport(exchange, signal);
  if (!report.ok) return report;
  const key = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: signingKey } } as const;
  const checked = report.value && checkVersionReport(report.value, key);
  if (checked?.ok === true && checked.value.ecu === serial) return DONE;
  const why =
    checked === undefined
      ? 'it has none'
      : checked.ok
        ? `it is for ${checked.value.ecu}`
        : checked.reason;
  return refuse(
    'OTHER_KEYS',
    `${exchange.peer}: its version report (DID FD22) is not signed for ${serial} by the key that it shows: ${why}`,
  );
}

/** Simulated APPROTECT: each of these requests must be refused with securityAccessDenied. */
async function checkRefusals(exchange: Exchange, signal?: AbortSignal): Promise<Provisioned<void>> {
  const memory = { address: exchange.ecu.memory.address, size: PROBE_BYTES };
  const probes = [
    ['the device secret', readDataByIdentifier.encodeRequest(Did.deviceSecret)],
    ['the key of SecurityAccess', readDataByIdentifier.encodeRequest(Did.securityAccessKey)],
    ['the key of the approval', readDataByIdentifier.encodeRequest(Did.approvalKey)],
    ['its memory by 23', readMemoryByAddress.encodeRequest(memory)],
    ['its memory by 35', requestUpload.encodeRequest(memory)],
  ] as const;
  for (const [what, request] of probes) {
    const reply = await exchange.reply(request, signal);
    if (reply === 'interrupted' || (reply.kind !== 'positive' && reply.kind !== 'negative')) {
      return exchange.interpret(request, `asking a locked ECU for ${what}`, reply) as Refusal;
    }
    if (reply.kind === 'negative' && reply.nrc === Nrc.securityAccessDenied) continue;
    const came =
      reply.kind === 'positive' ? 'was given out' : `was answered by ${nrcText(reply.nrc)}`;
    return refuse(
      'NOT_LOCKED',
      `${exchange.peer}: ${what} ${came} after the lock, expected ${nrcText(Nrc.securityAccessDenied)}: ` +
        'its readout is not locked, do not deliver it',
    );
  }
  return DONE;
}

/** Sends an authenticated request, which an ECU that knows another TMU does not answer. */
async function checkAuthority(
  options: ExchangeOptions,
  { agreementKey }: ProvenSecrets,
  encryptionKey: string,
  signal?: AbortSignal,
): Promise<Provisioned<void>> {
  const key = speakerKey('tester', fromHex(agreementKey), fromHex(encryptionKey));
  const exchange = new Exchange({
    ...options,
    authority: key && { role: 'tester', key },
  });
  const asked = await readCampaignRecord(exchange, signal);
  if (asked.ok || (asked.code !== 'UNEXPECTED' && asked.code !== 'SECURITY')) {
    return asked.ok ? DONE : asked;
  }
  return refuse(
    'OTHER_KEYS',
    `${exchange.peer}: takes orders from another TMU: use the state directory that it was provisioned with, or give ` +
      `the key of its factory (--factory-key) (${asked.reason})`,
  );
}

/** Unlocks the ECU. The key cannot be read any more, so a successful unlock proves that it is the right one. */
async function checkKey(
  options: ExchangeOptions,
  secret: string | undefined,
  signal?: AbortSignal,
): Promise<Provisioned<void>> {
  const { ecu } = options;
  const { security } = ecu;
  if (secret === undefined || !usesProvisionedKey(security)) return DONE;
  const withKey = { ...ecu, security: { ...security, secret } };
  const exchange = new Exchange({ ...options, ecu: withKey });
  const opened = await unlock(exchange, undefined, signal);
  if (opened.ok || opened.code !== 'SECURITY') return opened;
  return refuse(
    'OTHER_KEYS',
    `${exchange.peer}: is locked with another key of SecurityAccess than ours: use the state directory that it was ` +
      `provisioned with, or fit a new part (${opened.reason})`,
  );
}

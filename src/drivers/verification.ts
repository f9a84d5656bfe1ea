// Verifies that an ECU runs its target: version, digest and self test. It must report as much as before the update.

import type { EcuReport, Target } from '../campaign/ports.ts';
import { toHex } from '../core/bytes.ts';
import type { CampaignRecord } from '../uds/campaign-record.ts';
import { Did, Session } from '../uds/sid.ts';
import {
  askSelfTest,
  authentic,
  describeBanks,
  isOurs,
  readBanks,
  readCampaignRecord,
} from './activation.ts';
import { type Exchange, type Exchanged, failure } from './exchange.ts';
import { didText, readDid, readDigest, readVersion } from './identification.ts';

export interface VerifyOptions {
  readonly exchange: Exchange;
  readonly target: Pick<Target, 'version' | 'campaign'>;
  /** SHA-256 of the image that the ECU must run. */
  readonly sha256: string;
  /** The report before the update; undefined when the ECU was not asked or the report is lost. */
  readonly before: EcuReport | undefined;
  /** Whether the ECU reported its self test earlier. */
  readonly toldSelfTest: boolean;
  readonly onSelfTest: () => void;
  readonly warnings: string[];
  readonly signal: AbortSignal | undefined;
}

/** DID of the bootloader version (ISO 14229-1 table C.1). */
const BOOT_SOFTWARE_IDENTIFICATION = 0xf180;

const DONE = { ok: true, value: undefined } as const;

/** Reads version and digest; empty where the vehicle file says that the ECU is not asked. */
export async function readReport(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<EcuReport>> {
  if (exchange.ecu.programming.identify === 'skip') {
    return { ok: true, value: { version: undefined, sha256: undefined } };
  }
  const asked = authentic(exchange);
  const version = await readVersion(asked, signal);
  if (!version.ok) return version;
  const sha256 = await readDigest(asked, Did.activeBankDigest, signal);
  if (!sha256.ok) return sha256;
  return { ok: true, value: { version: version.value, sha256: sha256.value } };
}

export async function verifyRunning(options: VerifyOptions): Promise<Exchanged<EcuReport>> {
  const { exchange, signal } = options;
  const twoBanks = exchange.ecu.programming.activation === 'bank';
  const report = await readReport(exchange, signal);
  if (!report.ok) return report;
  const up = twoBanks ? await checkBanks(options) : await checkSession(options);
  if (!up.ok) return up;
  const digest = checkDigest(options, report.value, twoBanks);
  if (!digest.ok) return digest;
  const passed = twoBanks ? await checkSelfTest(options) : DONE;
  if (!passed.ok) return passed;
  const version = await checkVersion(options, report.value);
  return version.ok ? withCommitment(options, report.value) : version;
}

/** Adds the ECU's commitment, which later proves to the other ECUs of the campaign that this one has confirmed. */
async function withCommitment(
  { exchange, target, signal }: VerifyOptions,
  report: EcuReport,
): Promise<Exchanged<EcuReport>> {
  if (!isOurs(exchange.ecu)) return { ok: true, value: report };
  const record = await readCampaignRecord(exchange, signal);
  if (!record.ok) return record;
  if (record.value !== undefined && isOf(record.value, target.campaign)) {
    return { ok: true, value: { ...report, commitment: toHex(record.value.commitment) } };
  }
  return failure(
    'NOT_STAGED',
    `${exchange.peer} runs the new image, but does not know it as part of this campaign: activate it again`,
  );
}

/** Whether the campaign record of an ECU of ours belongs to this campaign. */
export function isOf({ state, campaign }: CampaignRecord, id: string): boolean {
  return state !== 'none' && toHex(campaign) === id;
}

async function checkBanks({ exchange, signal }: VerifyOptions): Promise<Exchanged<void>> {
  const banks = await readBanks(exchange, signal);
  if (!banks.ok) return banks;
  return banks.value.state.mode === 'recovery'
    ? failure('SELF_TEST', `${exchange.peer}: ${describeBanks(banks.value)}`)
    : DONE;
}

/** Fails when the ECU stays in its bootloader, which answers although the software does not run. */
async function checkSession({ exchange, signal }: VerifyOptions): Promise<Exchanged<void>> {
  const doing = 'asking for its session';
  const session = await readDid(exchange, Did.activeDiagnosticSession, doing, signal);
  if (!session.ok) return session;
  return session.value?.[0] === Session.programming
    ? failure(
        'SELF_TEST',
        `${exchange.peer} stays in its programming session: the new software does not start`,
      )
    : DONE;
}

function checkDigest(
  { exchange, target, sha256: expected, before, warnings }: VerifyOptions,
  { version, sha256 }: EcuReport,
  twoBanks: boolean,
): Exchanged<void> {
  const { peer, ecu } = exchange;
  if (sha256 === expected) return DONE;
  if (sha256 !== undefined) {
    return failure(
      'DIGEST_MISMATCH',
      `${peer} runs an image with SHA-256 ${sha256}, expected ${expected}`,
    );
  }
  if (twoBanks) {
    return failure('DIGEST_MISMATCH', `${peer} does not tell the digest of its active bank`);
  }
  if (before?.sha256 !== undefined) {
    return failure(
      'DIGEST_MISMATCH',
      `${peer} does not tell the digest of its image any more, as it did before the update`,
    );
  }
  warnings.push(`${ecu.name}: ${compared(exchange, target, version)}`);
  return DONE;
}

/** Describes how far an ECU without a digest could be compared with the image. */
function compared(
  { ecu }: Exchange,
  target: Pick<Target, 'version'>,
  version: string | undefined,
): string {
  if (ecu.programming.identify === 'skip') {
    return 'it was not asked what it runs, nothing was compared with the image';
  }
  const isCompared = target.version !== undefined && version !== undefined;
  return `it cannot tell the digest of its image, ${isCompared ? 'only its version was' : 'nothing was'} compared`;
}

/** Checks the self test before any ECU is confirmed, because none may be while another has failed its self test. */
async function checkSelfTest(options: VerifyOptions): Promise<Exchanged<void>> {
  const { exchange, warnings, signal } = options;
  const tested = await askSelfTest(exchange, signal);
  if (!tested.ok) return tested;
  switch (tested.value) {
    case 'passed':
      options.onSelfTest();
      return DONE;
    case 'failed':
      options.onSelfTest();
      return failure(
        'SELF_TEST',
        `${exchange.peer}: the new image runs, its self test did not pass`,
      );
    case 'not-told':
      if (options.toldSelfTest) {
        return failure(
          'SELF_TEST',
          `${exchange.peer} does not tell its self test any more, as it did before`,
        );
      }
      warnings.push(`${exchange.ecu.name}: it does not tell its self test before it is confirmed`);
      return DONE;
  }
}

async function checkVersion(
  options: VerifyOptions,
  { version, sha256 }: EcuReport,
): Promise<Exchanged<void>> {
  const { exchange, target, before, warnings } = options;
  const { peer, ecu } = exchange;
  const mismatch = (expected: string): Exchanged<void> =>
    failure(
      'VERSION_MISMATCH',
      `${peer} reports version ${JSON.stringify(version ?? null)}, expected ${expected}`,
    );
  if (version !== undefined) {
    if (target.version !== undefined) {
      return version === target.version ? DONE : mismatch(JSON.stringify(target.version));
    }
    const isBoot = sha256 === undefined && (await bootVersion(options)) === version;
    return isBoot
      ? failure(
          'SELF_TEST',
          `${peer} reports the version of its bootloader, ${version}: no application runs`,
        )
      : DONE;
  }
  if (before?.version !== undefined) {
    return mismatch(
      `${target.version === undefined ? 'one' : JSON.stringify(target.version)}: ` +
        `it told ${JSON.stringify(before.version)} before the update`,
    );
  }
  if (target.version === undefined) return DONE;
  const { identify } = ecu.programming;
  if (identify === 'required' || (identify === 'try' && before === undefined)) {
    return mismatch(JSON.stringify(target.version));
  }
  warnings.push(`${ecu.name}: it does not tell its version`);
  return DONE;
}

/** Reads DID F180: the number of modules, then the identification of the first one. */
async function bootVersion({ exchange, signal }: VerifyOptions): Promise<string | undefined> {
  const doing = 'asking for the version of its bootloader';
  const bytes = await readDid(exchange, BOOT_SOFTWARE_IDENTIFICATION, doing, signal);
  if (!bytes.ok || bytes.value === undefined) return undefined;
  const [count] = bytes.value;
  return didText(count !== undefined && count < 0x20 ? bytes.value.subarray(1) : bytes.value);
}

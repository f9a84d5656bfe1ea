// The interfaces that a campaign needs: driver, approver, vehicle, backend. They return failures as values.

import type { BackendFailure } from '../core/backend-failure.ts';
import type { ImageSource } from '../image/image-source.ts';
import type { AttackCode } from '../trust/attack.ts';
import type { EcuTrustState } from '../trust/bundle.ts';
import type { EncryptedImage } from '../trust/director.ts';
import type { RepositoryName } from '../trust/full-verification.ts';
import type { ApprovalFacts, ApprovalPhase } from '../vehicle/approval.ts';

export type { ApprovalPhase } from '../vehicle/approval.ts';

/** The steps of one ECU, in order. */
export const ECU_STEPS = ['stage', 'activate', 'verify', 'confirm', 'commit', 'roll-back'] as const;
export type EcuStep = (typeof ECU_STEPS)[number];

/** Why a driver gave up. The set is closed, because the reducer decides by these codes. */
export const DRIVER_ERRORS = [
  /** No answer within the time of the vehicle file. */
  'SILENT',
  /** A negative response. */
  'REFUSED',
  /** The ECU asked to wait (NRC 21, 94, 78, FC.WAIT) for longer than the vehicle file allows. */
  'BUSY',
  'MALFORMED',
  'UNEXPECTED',
  /** ISO-TP could not carry the message. */
  'TRANSPORT',
  /** The bus is missing or was lost. */
  'BUS',
  /** The ECU restarted in the middle. */
  'RESET',
  'WRONG_HARDWARE',
  'IMAGE_TOO_LARGE',
  /** The image is empty, shorter than announced, or does not match its digest. */
  'IMAGE_INVALID',
  /** Its bytes have no place in the memory of the ECU that the vehicle file describes. */
  'IMAGE_MISPLACED',
  /** Security access refused, key or seed not acceptable. */
  'SECURITY',
  /** The ECU says that its conditions for programming are not met. */
  'PRECONDITION',
  'DIGEST_MISMATCH',
  'VERSION_MISMATCH',
  /** The ECU does not hold the image that it shall activate. */
  'NOT_STAGED',
  /** The new image did not start, or failed its self test. */
  'SELF_TEST',
  /** A single-bank ECU must be restored, and its previous image is not in the store. */
  'NO_PREVIOUS_IMAGE',
  /** The Primary or the ECU found signed metadata missing, stale or invalid. */
  'UNTRUSTED',
  /** Signed metadata cannot be fetched: the backend does not answer, or a proxy answers in its place. */
  'BACKEND',
  /** Trouble codes that were not there before the update. */
  'DIAGNOSTICS',
  /** The ECU fell silent or restarted during the watch after the update. */
  'HEARTBEAT',
  'INTERRUPTED',
] as const;
export type DriverErrorCode = (typeof DRIVER_ERRORS)[number];

/** Whether a step has changed the ECU. `unknown`: a request that can change it was sent, and the answer was lost. */
export const CHANGED = ['no', 'unknown', 'yes'] as const;
export type Changed = (typeof CHANGED)[number];

/** The reason of a failure. */
export interface Failed {
  readonly ok: false;
  readonly code: DriverErrorCode;
  /** Names the ECU, what was asked, what was answered and what to do. */
  readonly reason: string;
  /** Whether another try can succeed (after silence, a reset, a lost message). */
  readonly transient: boolean;
  /** With UNTRUSTED: the attack that was detected, where it is known. */
  readonly attack?: AttackCode;
}

/** The failure of a driver, which always reports what it has changed in the ECU. */
export interface DriverFailure extends Failed {
  readonly changed: Changed;
}

export type DriverResult<T> =
  | { readonly ok: true; readonly value: T; readonly warnings: readonly string[] }
  | DriverFailure;

export interface EcuIdentity {
  readonly hardwareId: string | undefined;
  readonly version: string | undefined;
  readonly serialNumber: string | undefined;
  /** SHA-256 of the active bank as the ECU computed it; undefined where the ECU cannot. */
  readonly sha256: string | undefined;
}

/** Makes the metadata for one ECU from its trust state and its nonce (`EcuTrustState.nonce`). */
export type EcuMetadataSource = (
  state: EcuTrustState,
) => Promise<{ readonly ok: true; readonly value: Uint8Array } | Failed>;

/** What one ECU shall run in one campaign. */
export interface Target {
  /** Id of the campaign, 16 bytes as hexadecimal digits; an ECU that verifies accepts orders of this campaign only. */
  readonly campaign: string;
  /** Expected version. Undefined: any version is accepted (a bench tool that names none). */
  readonly version: string | undefined;
  /** The ECU's report before the update, where it is kept; the report of the new software must have the same parts. */
  readonly from?: EcuReport;
  /** The bytes to transfer: the image, or the blob that was encrypted for this ECU. */
  readonly image: ImageSource;
  /** With an encrypted blob: the plain image that the ECU must hold in the end. Missing: `image` itself. */
  readonly plain?: { readonly length: number; readonly sha256: string };
  readonly encryption?: EncryptedImage;
  /** Bytes are sent unchanged; missing for an ECU that does not verify metadata (`metadata: skip`). */
  readonly metadata?: EcuMetadataSource | Uint8Array;
}

/** Progress of a transfer: the ECU holds `length` of `total` bytes. */
export interface EcuProgress {
  readonly sent: number;
  readonly total: number;
}

export interface DriverHooks {
  readonly signal?: AbortSignal;
  readonly progress?: (progress: EcuProgress) => void;
  /**
   * Called in `stage` and `activate` before the first request that can change the ECU; the driver waits for it. False:
   * the step is no longer wanted, and the driver sends nothing. Missing: no record is kept.
   */
  readonly changing?: () => Promise<boolean>;
}

export interface TransferReport {
  /** Bytes carried over the bus; 0 when the ECU already held the image. */
  readonly bytes: number;
  /** Time from the first RequestDownload to the last RequestTransferExit. */
  readonly transferMs: number;
  /**
   * `stage`: whether a rollback must discard the image that the ECU holds now. `activate`: whether the running software
   * was changed. `unknown`: the ECU already ran this image, and it is not known since when.
   */
  readonly changed: Changed;
  /** True when the ECU already held the whole image, checked by its digest, and nothing was transferred. */
  readonly held: boolean;
  /** Bytes that the ECU already held durably from an earlier try. */
  readonly resumedAt?: number;
  /** `stage` only: trouble codes (6 hex digits, upper case) read before anything was changed. */
  readonly dtcs?: readonly string[];
}

/** Checks that new software must pass before it is confirmed, besides version, digest and self test. */
export interface HealthChecks {
  /**
   * Trouble codes (6 hex digits, upper case) from before the update; a new failing code fails the check. undefined: not
   * compared.
   */
  readonly knownDtcs: readonly string[] | undefined;
  /** Time that the new software must answer without a restart; 0: not watched. */
  readonly heartbeatMs: number;
}

/** What the ECU runs, as it reports it. */
export interface EcuReport {
  readonly version: string | undefined;
  readonly sha256: string | undefined;
  /**
   * `verify` only: the ECU's commitment to the receipt that will prove its confirmation, 16 bytes as hexadecimal
   * digits; undefined for an ECU that gives no such proof.
   */
  readonly commitment?: string | undefined;
}

/** The report of an ECU after its rollback. */
export interface RollbackReport extends EcuReport {
  /** True when there was nothing to roll back: the ECU ran the same software all the time. */
  readonly unchanged: boolean;
}

/** The input of a rollback. */
export interface RollbackOrder {
  /** The target whose image must not run. */
  readonly target: Target;
  /**
   * The software that ran before, with the digest that the ECU reported, and its image where the store keeps it (a
   * single-bank ECU needs it). It has no metadata: an ECU that verifies keeps the record by which it accepted that
   * image.
   */
  readonly previous: Partial<Omit<Target, 'version'>> &
    Pick<Target, 'version'> & { readonly sha256?: string };
  /**
   * What the tries so far have changed, including those before a restart. `no`: the driver only sends requests that
   * read. `unknown`: the driver asks the ECU first. Missing: the driver uses what it remembers, otherwise `unknown`.
   */
  readonly changed?: Changed;
}

/**
 * The driver of one ECU. Every method is idempotent and can be repeated after an interruption at any instant: it first
 * asks the ECU what it holds. `stage` only checks a single-bank ECU, and `activate` writes it, so that its software is
 * not lost while another ECU can still refuse.
 */
export interface EcuDriver {
  identify(signal?: AbortSignal): Promise<DriverResult<EcuIdentity>>;
  stage(target: Target, hooks?: DriverHooks): Promise<DriverResult<TransferReport>>;
  activate(target: Target, hooks?: DriverHooks): Promise<DriverResult<TransferReport>>;
  /** Checks version, digest and self test of the running software, then makes the health checks. */
  verify(
    target: Target,
    checks: HealthChecks,
    signal?: AbortSignal,
  ): Promise<DriverResult<EcuReport>>;
  /**
   * Ends the trial; rollback stays possible until `commit`. `commitments`: those of all ECUs of the campaign. The value
   * is this ECU's receipt, 16 bytes as hexadecimal digits; undefined for an ECU that gives no proof of its
   * confirmation.
   */
  confirm(
    target: Target,
    commitments: readonly string[],
    signal?: AbortSignal,
  ): Promise<DriverResult<string | undefined>>;
  /**
   * Raises the security counter to that of the confirmed image; from then on the ECU does not boot an older one.
   * `receipts`: those of all ECUs whose commitments were sent with `confirm`; an ECU refuses the commit without them.
   */
  commit(
    target: Target,
    receipts: readonly string[],
    signal?: AbortSignal,
  ): Promise<DriverResult<void>>;
  rollback(order: RollbackOrder, hooks?: DriverHooks): Promise<DriverResult<RollbackReport>>;
  /** The report that the ECU signed with its own key (Uptane 5.4.2.1), as JSON; undefined where it has none. */
  versionReport(signal?: AbortSignal): Promise<DriverResult<Uint8Array | undefined>>;
  /** Tells the ECU that the Director has the version report of this counter; the ECU may delete the attack in it. */
  reportReceived(counter: number, signal?: AbortSignal): Promise<DriverResult<void>>;
}

export interface ApprovalQuestion {
  /** 16 bytes as hexadecimal digits. */
  readonly campaignId: string;
  /** 32 bytes as hexadecimal digits. */
  readonly planDigest: string;
  /** 16 bytes as hexadecimal digits; new for every campaign, kept through restarts. */
  readonly nonce: string;
  /** Phase of the request; one campaign may ask for up to three approvals. */
  readonly phase: ApprovalPhase;
  readonly facts: ApprovalFacts;
}

export type ApprovalAnswer =
  | { readonly kind: 'approved' }
  | { readonly kind: 'later'; readonly untilWallMs: number }
  | { readonly kind: 'later'; readonly until: 'ignition-off' }
  | { readonly kind: 'denied' }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'withdrawn' }
  /** The answer is not authentic. */
  | { readonly kind: 'forged'; readonly reason: string }
  /** `refused`: the ECU answers, but refuses this request. Its bootloader may run. */
  | { readonly kind: 'unreachable'; readonly reason: string; readonly refused?: true }
  | { readonly kind: 'interrupted' };

/** The console answers without knowing the approval: it has lost its memory, and perhaps a withdrawal with it. */
export interface ForgottenApproval {
  readonly kind: 'forgotten';
  readonly reason: string;
}

/** Asks the driver. A second call for the same campaign continues the same request. */
export interface Approver {
  ask(question: ApprovalQuestion, signal?: AbortSignal): Promise<ApprovalAnswer>;
  /** Checks whether the approval still stands. `final`: from now on the driver cannot withdraw it. */
  recheck(
    question: ApprovalQuestion,
    final: boolean,
    signal?: AbortSignal,
  ): Promise<ApprovalAnswer | ForgottenApproval>;
  /** Removes the request from the driver's console; best effort. */
  withdraw(question: ApprovalQuestion): Promise<void>;
  /** Shows an update that needs no answer: forced, or approved by policy. */
  inform(
    question: ApprovalQuestion,
    signal?: AbortSignal,
  ): Promise<
    { readonly kind: 'informed' } | { readonly kind: 'unreachable'; readonly reason: string }
  >;
  /** Whether the driver, who did not approve this request, wants to be asked again. No answer means false. */
  wantsAgain(question: ApprovalQuestion, signal?: AbortSignal): Promise<boolean>;
  /** Shows the driver the result; a mixed state is described per ECU. Best effort, never rejects. */
  tell(text: string, signal?: AbortSignal): Promise<void>;
}

/** Values that a condition can use. */
export interface ConditionQuery {
  readonly gate: 'stage' | 'activate';
  /** Estimated remaining duration of the update. */
  readonly updateSeconds: number;
  /** Estimated duration of a rollback. */
  readonly rollbackSeconds: number;
}

export type VehicleCondition =
  | { readonly ok: true }
  /** `condition` is the name of the condition in the vehicle file. */
  | { readonly ok: false; readonly condition: string; readonly reason: string };
export type LostCondition = Extract<VehicleCondition, { ok: false }>;

/** Preconditions of the vehicle as a whole: speed, voltage, gear. */
export interface VehicleState {
  check(query: ConditionQuery, signal?: AbortSignal): Promise<VehicleCondition>;
  /** Checks the conditions repeatedly; resolves with the first lost condition, or undefined when the signal aborts. */
  watch(query: ConditionQuery, signal: AbortSignal): Promise<LostCondition | undefined>;
  /** State of the ignition, for "later, at the next ignition off". `unknown` where the vehicle has no such signal. */
  ignition(signal?: AbortSignal): Promise<'on' | 'off' | 'unknown'>;
  /** Supply voltage in V. Undefined where the vehicle has no such signal or the ECU does not report it. */
  supplyV(signal?: AbortSignal): Promise<number | undefined>;
}

/** State of a vehicle or bench without conditions: always ready. */
export const alwaysReady: VehicleState = {
  check: async () => ({ ok: true }),
  watch: (_query, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) resolve(undefined);
      else signal.addEventListener('abort', () => resolve(undefined), { once: true });
    }),
  ignition: async () => 'unknown',
  supplyV: async () => undefined,
};

/** One release as `/latest_version` reports it: an unsigned hint. */
export interface Release {
  readonly ecu: string;
  readonly version: string;
  /** File name below `/ota_download/`. */
  readonly file: string;
  /** Size in bytes. */
  readonly size: number;
  readonly sha256: string;
  readonly notes: string;
}

/** A release that the Director assigns to an ECU of this vehicle, verified against both repositories. */
export interface Offer {
  readonly ecu: string;
  readonly version: string;
  /** Name of the target in both repositories. */
  readonly targetName: string;
  /** Size of the plain image in bytes. */
  readonly size: number;
  /** SHA-256 of the plain image. */
  readonly sha256: string;
  readonly releaseCounter: number;
  /** The file to download: the image, or the blob that was encrypted for this ECU. */
  readonly download: {
    readonly file: string;
    readonly size: number;
    readonly sha256: string;
    /** Where the image lies in the ECU's memory. Missing: where the vehicle file says, or the file has a segment map. */
    readonly address?: number | undefined;
    /** All other signed hashes of the file. */
    readonly hashes?:
      | { readonly sha384?: string | undefined; readonly sha512?: string | undefined }
      | undefined;
  };
  readonly encryption: EncryptedImage | null;
  /** Versions that other ECUs of the vehicle must run, by ECU name: `{ INV: '>=1.0.0' }`. */
  readonly dependencies: Readonly<Record<string, string>>;
  /**
   * Whether it is a safety release, which is installed without approval; the driver is told. Signed by both
   * repositories.
   */
  readonly forced: boolean;
  readonly notes: string;
}

export type LatestAnswer =
  | {
      readonly kind: 'releases';
      readonly etag: string | undefined;
      readonly releases: readonly Release[];
    }
  | { readonly kind: 'not-modified' }
  | BackendFailure;

export type DownloadAnswer =
  | {
      readonly kind: 'body';
      /** Offset of the body's first byte: as requested, or 0 when the server ignored the range. */
      readonly offset: number;
      /** Size of the whole file as the server announces it, in bytes. */
      readonly total: number | undefined;
      /** The body; a connection that breaks early throws DownloadCut. */
      readonly chunks: AsyncIterable<Uint8Array>;
    }
  | BackendFailure;

export interface CampaignReport {
  readonly vin: string;
  readonly outcome: string;
  /** More exact than the outcome; the code of an attack where one was detected. */
  readonly code?: string;
  readonly campaign?: string;
  readonly reason?: string;
  /** Facts that the outcome does not show. */
  readonly warnings?: readonly string[];
  readonly ecus: readonly {
    readonly name: string;
    readonly hardwareId?: string;
    readonly from?: string;
    readonly version: string;
    readonly sha256?: string;
    readonly error?: string;
  }[];
}

export type MetadataBody =
  | {
      readonly kind: 'body';
      /** Size as the server announces it, in bytes; it is not verified. */
      readonly total: number | undefined;
      /** The body; a connection that breaks early throws DownloadCut. */
      readonly chunks: AsyncIterable<Uint8Array>;
    }
  | { readonly kind: 'missing' }
  | BackendFailure;

/** The vehicle's report to the Director (Uptane 5.4.2). */
export interface Checkin {
  readonly vin: string;
  /** Manifest, signed by the Primary. */
  readonly manifest: unknown;
  /** State of the Primary itself (src/contract/checkin-telemetry.ts). */
  readonly telemetry?: unknown;
  /** Nonces for the time attestation, 16 bytes each, hexadecimal. */
  readonly nonces: readonly string[];
}

/** State of the campaign, and the answer to an order of the operator. */
export interface CampaignStatusReport {
  readonly vin: string;
  readonly campaign: string;
  readonly state: string;
  readonly answer?: { readonly order: string; readonly accepted: boolean; readonly reason: string };
}

/** The operators' orders about a campaign. */
export interface CampaignOrders {
  readonly kind: 'orders';
  readonly cancel: CancelOrder | null;
  /** Order to ask the driver again about a campaign that the driver has refused. */
  readonly askAgain?: { readonly by: string; readonly reason: string } | null;
}

export interface CancelOrder {
  /** Identifies the order; the answer names it. */
  readonly order: string;
  readonly by: string;
  readonly reason: string;
}

export interface Backend {
  latest(
    ecus: readonly string[],
    etag: string | undefined,
    signal?: AbortSignal,
  ): Promise<LatestAnswer>;
  nonce(
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'nonce'; readonly nonce: string } | BackendFailure>;
  download(
    release: { readonly file: string; readonly size: number; readonly sha256: string },
    nonce: string,
    offset: number,
    signal?: AbortSignal,
  ): Promise<DownloadAnswer>;
  report(
    report: CampaignReport,
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'accepted' } | BackendFailure>;
  /** Reports the state of the campaign and returns the operators' orders. */
  campaign(
    status: CampaignStatusReport,
    signal?: AbortSignal,
  ): Promise<CampaignOrders | BackendFailure>;
  /** `time` is the signed attestation, unchanged; null where the server gave none. */
  checkin(
    checkin: Checkin,
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'checked-in'; readonly time: unknown } | BackendFailure>;
  time(
    nonces: readonly string[],
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'time'; readonly time: unknown } | BackendFailure>;
  /** One metadata file of a repository (`2.root.json`). The caller limits size and pace of the body. */
  metadata(repository: RepositoryName, file: string, signal?: AbortSignal): Promise<MetadataBody>;
}

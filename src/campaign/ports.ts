// What a campaign needs of the outside. Mistakes of the outside come back as values; only a broken disk throws.

import type { BackendFailure } from '../core/backend-failure.ts';
import type { ImageSource } from '../image/image-source.ts';
import type { AttackCode } from '../trust/attack.ts';
import type { EcuTrustState } from '../trust/bundle.ts';
import type { EncryptedImage } from '../trust/director.ts';
import type { RepositoryName } from '../trust/full-verification.ts';
import type { ApprovalFacts, ApprovalPhase } from '../vehicle/approval.ts';

export type { ApprovalPhase } from '../vehicle/approval.ts';

/** The steps of one ECU. */
export const ECU_STEPS = ['stage', 'activate', 'verify', 'confirm', 'commit', 'roll-back'] as const;
export type EcuStep = (typeof ECU_STEPS)[number];

/** Why a driver gave up. A closed set: the reducer decides by these. */
export const DRIVER_ERRORS = [
  /** No answer within the time of the vehicle file. */
  'SILENT',
  /** A negative response. */
  'REFUSED',
  /** It asked to wait (NRC 21, 94, 78, FC.WAIT) for longer than the vehicle file allows. */
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
  /** Empty, shorter than announced, or not the bytes that its digest names. */
  'IMAGE_INVALID',
  /** Security access refused, key or seed not acceptable. */
  'SECURITY',
  /** The ECU says that its conditions for programming are not met. */
  'PRECONDITION',
  'DIGEST_MISMATCH',
  'VERSION_MISMATCH',
  /** Activation asked for an image that the ECU does not hold. */
  'NOT_STAGED',
  /** The new image did not start, or failed its self test. */
  'SELF_TEST',
  /** A single-bank ECU must be restored, and its previous image is not in the store. */
  'NO_PREVIOUS_IMAGE',
  /** Signed metadata is missing, stale or not believed; by the Primary or by the ECU itself. */
  'UNTRUSTED',
  /** Signed metadata cannot be had: the backend does not answer, or somebody else answers in its place. */
  'BACKEND',
  /** Trouble codes that were not there before the update. */
  'DIAGNOSTICS',
  /** It fell silent, or restarted, while it was watched after the update. */
  'HEARTBEAT',
  'INTERRUPTED',
] as const;
export type DriverErrorCode = (typeof DRIVER_ERRORS)[number];

/** Whether something was changed in an ECU, from the first request on that can. `unknown`: sent, and the answer was lost. */
export const CHANGED = ['no', 'unknown', 'yes'] as const;
export type Changed = (typeof CHANGED)[number];

/** Why something was not done. */
export interface Failed {
  readonly ok: false;
  readonly code: DriverErrorCode;
  /** Names the ECU, what was asked, what came, what to do. */
  readonly reason: string;
  /** Trying the same once more can help (silence, a reset, a lost message). */
  readonly transient: boolean;
  /** With UNTRUSTED: what was detected, where it is known. */
  readonly attack?: AttackCode;
}

/** Of a driver, which always says what it has done to the ECU by then. */
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
  /** Of the image in the active bank, computed by the ECU; undefined where it cannot. */
  readonly sha256: string | undefined;
}

/** Makes the metadata for one ECU out of what it trusts and asks (`EcuTrustState.nonce`). */
export type EcuMetadataSource = (
  state: EcuTrustState,
) => Promise<{ readonly ok: true; readonly value: Uint8Array } | Failed>;

/** What an ECU shall run. */
export interface Target {
  /** Id of the campaign that asks, 16 bytes as hexadecimal digits; ECUs that verify act in its name only. */
  readonly campaign: string;
  /** Undefined: whatever the ECU reports (a bench tool that names no version). */
  readonly version: string | undefined;
  /** What the ECU told before the update, where that is kept: it has to tell as much of the new software. */
  readonly from?: EcuReport;
  /** What travels over the bus: the image, or the blob that was encrypted for this ECU. */
  readonly image: ImageSource;
  /** With an encrypted blob: the image that the ECU must end up with. Missing: `image` itself. */
  readonly plain?: { readonly length: number; readonly sha256: string };
  readonly encryption?: EncryptedImage;
  /** Bytes are sent as they are; missing for an ECU that verifies nothing (`metadata: skip`). */
  readonly metadata?: EcuMetadataSource | Uint8Array;
}

/** `length` bytes of `total` are in the ECU. */
export interface EcuProgress {
  readonly sent: number;
  readonly total: number;
}

export interface DriverHooks {
  readonly signal?: AbortSignal;
  readonly progress?: (progress: EcuProgress) => void;
  /**
   * `stage` and `activate` only: waited for before the first request that can change the ECU. False: the step is not
   * wanted any more, nothing is sent. Missing: no record is kept.
   */
  readonly changing?: () => Promise<boolean>;
}

export interface TransferReport {
  /** Carried over the bus; 0 when the ECU already held the image. */
  readonly bytes: number;
  /** From the first RequestDownload to the last RequestTransferExit. */
  readonly transferMs: number;
  /**
   * `stage`: the ECU holds the image now, and whether this is to be forgotten on the way back. `activate`: what runs was
   * changed. `unknown` where the ECU ran this image already, and nobody knows since when.
   */
  readonly changed: Changed;
  /** The ECU held this very image, whole and by its digest: none of it was carried. */
  readonly held: boolean;
  /** bytes that the ECU already held durably, from an earlier try */
  readonly resumedAt?: number;
  /** `stage` only: trouble codes (6 hex digits, upper case) from before anything was touched. */
  readonly dtcs?: readonly string[];
}

/** What new software has to stand before it is confirmed, besides version, digest and self test. */
export interface HealthChecks {
  /** Trouble codes (6 hex digits, upper case) that were there before; a new failing one fails. undefined: not compared. */
  readonly knownDtcs: readonly string[] | undefined;
  /** ms that the new software has to answer without a restart; 0: not watched. */
  readonly heartbeatMs: number;
}

/** What the ECU runs, as it says itself. */
export interface EcuReport {
  readonly version: string | undefined;
  readonly sha256: string | undefined;
  /**
   * `verify` only: the ECU's commitment to the receipt by which it will prove its confirmation, 16 bytes as hexadecimal
   * digits; undefined for an ECU that proves nothing.
   */
  readonly commitment?: string | undefined;
}

/** What an ECU says after its rollback. */
export interface RollbackReport extends EcuReport {
  /** There was nothing to take back: it runs what it ran all the time. */
  readonly unchanged: boolean;
}

/** The way back. */
export interface RollbackOrder {
  /** The image that must not run. */
  readonly target: Target;
  /**
   * What ran before, with the digest that it told; the image where the store keeps it (a single-bank ECU needs it). It
   * comes without metadata: an ECU that verifies has kept the record by which it once accepted that image.
   */
  readonly previous: Partial<Omit<Target, 'version'>> &
    Pick<Target, 'version'> & { readonly sha256?: string };
  /**
   * What is known of the tries so far, also of those before a restart. `no`: nothing is sent but questions. `unknown`:
   * the ECU is asked first. Missing: what this driver remembers counts, otherwise it is unknown.
   */
  readonly changed?: Changed;
}

/**
 * One ECU. Every method is idempotent and can be repeated after an interruption at any instant: it asks the ECU
 * first what it holds. A single-bank ECU is only checked by `stage` and written by `activate`, so that nothing is
 * lost while another ECU may still refuse.
 */
export interface EcuDriver {
  identify(signal?: AbortSignal): Promise<DriverResult<EcuIdentity>>;
  stage(target: Target, hooks?: DriverHooks): Promise<DriverResult<TransferReport>>;
  activate(target: Target, hooks?: DriverHooks): Promise<DriverResult<TransferReport>>;
  /** Version, digest and self test of what runs now, then the health checks. */
  verify(
    target: Target,
    checks: HealthChecks,
    signal?: AbortSignal,
  ): Promise<DriverResult<EcuReport>>;
  /**
   * Ends the trial; rollback stays possible until `commit`. `commitments`: of all ECUs of the campaign that made one. The
   * value is this ECU's receipt, 16 bytes as hexadecimal digits; undefined for an ECU that proves nothing.
   */
  confirm(
    target: Target,
    commitments: readonly string[],
    signal?: AbortSignal,
  ): Promise<DriverResult<string | undefined>>;
  /**
   * Raises the security counter to that of the confirmed image: from then on nothing older boots. `receipts`: of all
   * ECUs whose commitments went with the confirmations; without them an ECU does not do it.
   */
  commit(
    target: Target,
    receipts: readonly string[],
    signal?: AbortSignal,
  ): Promise<DriverResult<void>>;
  rollback(order: RollbackOrder, hooks?: DriverHooks): Promise<DriverResult<RollbackReport>>;
  /** Uptane 5.4.2.1: the report that the ECU signed with its own key, as JSON; undefined where it has none. */
  versionReport(signal?: AbortSignal): Promise<DriverResult<Uint8Array | undefined>>;
  /** The Director has the version report of this counter: the ECU may forget the attack that it told of. */
  reportReceived(counter: number, signal?: AbortSignal): Promise<DriverResult<void>>;
}

export interface ApprovalQuestion {
  /** 16 bytes as hexadecimal digits. */
  readonly campaignId: string;
  /** 32 bytes as hexadecimal digits. */
  readonly planDigest: string;
  /** 16 bytes as hexadecimal digits; new for every campaign, kept through restarts. */
  readonly nonce: string;
  /** Part of the identity of the question: one campaign may ask three times. */
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
  /** `refused`: the ECU answers, but not this question. Its bootloader may run. */
  | { readonly kind: 'unreachable'; readonly reason: string; readonly refused?: true }
  | { readonly kind: 'interrupted' };

/** The console answers, and knows nothing of the approval: it has lost its memory, and perhaps a withdrawal with it. */
export interface ForgottenApproval {
  readonly kind: 'forgotten';
  readonly reason: string;
}

/** Asks the driver. Asking the same campaign again continues the same question. */
export interface Approver {
  ask(question: ApprovalQuestion, signal?: AbortSignal): Promise<ApprovalAnswer>;
  /** Whether the approval still stands. `final`: from now on it cannot be withdrawn any more. */
  recheck(
    question: ApprovalQuestion,
    final: boolean,
    signal?: AbortSignal,
  ): Promise<ApprovalAnswer | ForgottenApproval>;
  /** Takes the question away from the driver; best effort. */
  withdraw(question: ApprovalQuestion): Promise<void>;
  /** Shows an update that is not asked for: forced, or approved by policy. */
  inform(
    question: ApprovalQuestion,
    signal?: AbortSignal,
  ): Promise<
    { readonly kind: 'informed' } | { readonly kind: 'unreachable'; readonly reason: string }
  >;
  /** Whether the driver, who did not approve this question, wants to be asked again. Silence is "no". */
  wantsAgain(question: ApprovalQuestion, signal?: AbortSignal): Promise<boolean>;
  /** Shows the driver how it ended; a mixed state is spelled out. Best effort, never rejects. */
  tell(text: string, signal?: AbortSignal): Promise<void>;
}

/** What a condition may depend on. */
export interface ConditionQuery {
  readonly gate: 'stage' | 'activate';
  /** How long the update takes from now on. */
  readonly updateSeconds: number;
  /** How long the way back would take. */
  readonly rollbackSeconds: number;
}

export type VehicleCondition =
  | { readonly ok: true }
  /** `condition` is its name in the vehicle file. */
  | { readonly ok: false; readonly condition: string; readonly reason: string };
export type LostCondition = Extract<VehicleCondition, { ok: false }>;

/** Preconditions of the vehicle as a whole: speed, voltage, gear. */
export interface VehicleState {
  check(query: ConditionQuery, signal?: AbortSignal): Promise<VehicleCondition>;
  /** Looks again and again; resolves with the first condition that is lost, undefined when the signal came. */
  watch(query: ConditionQuery, signal: AbortSignal): Promise<LostCondition | undefined>;
  /** For "later, at the next ignition off". `unknown` where the vehicle has no such signal. */
  ignition(signal?: AbortSignal): Promise<'on' | 'off' | 'unknown'>;
  /** Volts of the supply. Undefined where the vehicle has no such signal, or its ECU does not tell it. */
  supplyV(signal?: AbortSignal): Promise<number | undefined>;
}

/** For vehicles (and benches) without conditions. */
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

/** One release as `/latest_version` tells it: a hint, nobody signed it. */
export interface Release {
  readonly ecu: string;
  readonly version: string;
  /** Name below `/ota_download/`. */
  readonly file: string;
  /** bytes */
  readonly size: number;
  readonly sha256: string;
  readonly notes: string;
}

/** What the Director wants an ECU of this vehicle to run, verified against both repositories. */
export interface Offer {
  readonly ecu: string;
  readonly version: string;
  /** Name of the target in both repositories. */
  readonly targetName: string;
  /** bytes of the plain image */
  readonly size: number;
  /** Of the plain image. */
  readonly sha256: string;
  readonly releaseCounter: number;
  /** What is fetched: the image, or the blob that was encrypted for this ECU. */
  readonly download: {
    readonly file: string;
    readonly size: number;
    readonly sha256: string;
    /** Every other hash that was signed about it. */
    readonly hashes?:
      | { readonly sha384?: string | undefined; readonly sha512?: string | undefined }
      | undefined;
  };
  readonly encryption: EncryptedImage | null;
  /** Versions that other ECUs of the vehicle must run, by name: `{ INV: '>=1.0.0' }`. */
  readonly dependencies: Readonly<Record<string, string>>;
  /** A safety release that is installed without asking; the driver is still told. Signed by both repositories. */
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
      /** Where the body starts: what was asked for, or 0 when the server ignored the range. */
      readonly offset: number;
      /** Size of the whole file as the server announces it. */
      readonly total: number | undefined;
      /** Ends early by throwing DownloadCut. */
      readonly chunks: AsyncIterable<Uint8Array>;
    }
  | BackendFailure;

export interface CampaignReport {
  readonly vin: string;
  readonly outcome: string;
  /** Finer than the outcome; the code of an attack where one was detected. */
  readonly code?: string;
  readonly campaign?: string;
  readonly reason?: string;
  /** What the outcome does not say. */
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
      /** As announced; nothing may rely on it. */
      readonly total: number | undefined;
      /** Ends early by throwing DownloadCut. */
      readonly chunks: AsyncIterable<Uint8Array>;
    }
  | { readonly kind: 'missing' }
  | BackendFailure;

/** Uptane 5.4.2: what the vehicle tells the Director. */
export interface Checkin {
  readonly vin: string;
  /** Signed by the Primary. */
  readonly manifest: unknown;
  /** What the Primary tells of itself (src/contract/checkin-telemetry.ts). */
  readonly telemetry?: unknown;
  /** For the time attestation: 16 bytes each, hexadecimal. */
  readonly nonces: readonly string[];
}

/** Where the campaign is, and how an order of the operator was answered. */
export interface CampaignStatusReport {
  readonly vin: string;
  readonly campaign: string;
  readonly state: string;
  readonly answer?: { readonly order: string; readonly accepted: boolean; readonly reason: string };
}

/** What operators want of a campaign. */
export interface CampaignOrders {
  readonly kind: 'orders';
  readonly cancel: CancelOrder | null;
  /** An order about a campaign that the driver has refused: ask again. */
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
  /** Tells where the campaign is, and hears what the operator wants of it. */
  campaign(
    status: CampaignStatusReport,
    signal?: AbortSignal,
  ): Promise<CampaignOrders | BackendFailure>;
  /** `time` is the signed attestation as it came, null where the server gave none. */
  checkin(
    checkin: Checkin,
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'checked-in'; readonly time: unknown } | BackendFailure>;
  time(
    nonces: readonly string[],
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'time'; readonly time: unknown } | BackendFailure>;
  /** One file of a repository's metadata (`2.root.json`). Whoever reads the body limits size and pace. */
  metadata(repository: RepositoryName, file: string, signal?: AbortSignal): Promise<MetadataBody>;
}

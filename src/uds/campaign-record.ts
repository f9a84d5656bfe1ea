// Campaign data of an ECU: options of routines 0210 to 0213, and the data identifier FD25.

import { concatBytes } from '../core/bytes.ts';

/** Length of a campaign id. */
export const CAMPAIGN_BYTES = 16;
/** Length of a commitment and of a receipt. */
export const EVIDENCE_BYTES = 16;
const DIGEST_BYTES = 32;

/** DID FD25. `open`: activation was asked for, or a trial runs. */
export interface CampaignRecord {
  readonly state: 'none' | 'open' | 'confirmed';
  /** 16 bytes; zeros with `none`. */
  readonly campaign: Uint8Array;
  /** Commitment of this ECU to its receipt, 16 bytes; zeros with `none`. */
  readonly commitment: Uint8Array;
}

const STATES = ['none', 'open', 'confirmed'] as const;

/** 33 bytes: state, campaign, commitment. */
export function encodeCampaignRecord({ state, campaign, commitment }: CampaignRecord): Uint8Array {
  return concatBytes(Uint8Array.of(STATES.indexOf(state)), campaign, commitment);
}

/** Undefined for bytes that are not a campaign record. */
export function decodeCampaignRecord(bytes: Uint8Array): CampaignRecord | undefined {
  const state = STATES[bytes[0] ?? STATES.length];
  if (state === undefined || bytes.length !== 1 + CAMPAIGN_BYTES + EVIDENCE_BYTES) return undefined;
  return {
    state,
    campaign: bytes.subarray(1, 1 + CAMPAIGN_BYTES),
    commitment: bytes.subarray(1 + CAMPAIGN_BYTES),
  };
}

/** Option of 0210: the campaign, and the SHA-256 of the image to run. */
export interface ActivateOption {
  readonly campaign: Uint8Array;
  readonly sha256: Uint8Array;
}

export function encodeActivateOption({ campaign, sha256 }: ActivateOption): Uint8Array {
  return concatBytes(campaign, sha256);
}

export function decodeActivateOption(bytes: Uint8Array): ActivateOption | undefined {
  if (bytes.length !== CAMPAIGN_BYTES + DIGEST_BYTES) return undefined;
  return { campaign: bytes.subarray(0, CAMPAIGN_BYTES), sha256: bytes.subarray(CAMPAIGN_BYTES) };
}

/** Option of 0211: the campaign and the commitments of all its ECUs. Option of 0213: the campaign and all receipts. */
export interface EvidenceOption {
  readonly campaign: Uint8Array;
  /** 16 bytes each; at least one. */
  readonly evidence: readonly Uint8Array[];
}

export function encodeEvidenceOption({ campaign, evidence }: EvidenceOption): Uint8Array {
  return concatBytes(campaign, ...evidence);
}

export function decodeEvidenceOption(bytes: Uint8Array): EvidenceOption | undefined {
  const length = bytes.length - CAMPAIGN_BYTES;
  if (length < EVIDENCE_BYTES || length % EVIDENCE_BYTES !== 0) return undefined;
  const evidence = Array.from({ length: length / EVIDENCE_BYTES }, (_none, index) => {
    const at = CAMPAIGN_BYTES + index * EVIDENCE_BYTES;
    return bytes.subarray(at, at + EVIDENCE_BYTES);
  });
  return { campaign: bytes.subarray(0, CAMPAIGN_BYTES), evidence };
}

/** Option of 0212: the campaign, and whether the ECU also leaves a confirmed image. */
export interface RollbackOption {
  readonly campaign: Uint8Array;
  readonly evenConfirmed: boolean;
}

export function encodeRollbackOption({ campaign, evenConfirmed }: RollbackOption): Uint8Array {
  return concatBytes(campaign, Uint8Array.of(evenConfirmed ? 1 : 0));
}

export function decodeRollbackOption(bytes: Uint8Array): RollbackOption | undefined {
  const flag = bytes[CAMPAIGN_BYTES];
  if (bytes.length !== CAMPAIGN_BYTES + 1 || flag === undefined || flag > 1) return undefined;
  return { campaign: bytes.subarray(0, CAMPAIGN_BYTES), evenConfirmed: flag === 1 };
}

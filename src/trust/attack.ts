// What can be wrong with the data of a peer, as a closed set of codes. A refused peer is a value, never an exception.

/** Attacks by the names of Uptane 3.2, where it has a name; the `ATTACK` of a version report (5.4.2.1.1) is one of these. */
export const ATTACKS = [
  /** Too few valid signatures. */
  'ARBITRARY_SOFTWARE',
  /** Older than the trusted file. */
  'ROLLBACK',
  /** Expired, or without a fresh time. */
  'FREEZE',
  /** Files that were never published together. */
  'MIX_AND_MATCH',
  /** More bytes, more Roots or more delegations than an update needs. */
  'ENDLESS_DATA',
  'SLOW_RETRIEVAL',
  /** No metadata, or not in the form of the profile. */
  'MALFORMED',
  'MISSING_METADATA',
  /** Two ids for one key, or an id that does not belong to its key. */
  'KEY_CONFUSION',
  'REPOSITORIES_DISAGREE',
  /** No authorized role has signed this image. */
  'UNKNOWN_TARGET',
  'WRONG_HARDWARE',
  'WRONG_ECU',
  'UNKNOWN_ECU',
  'DUPLICATE_ECU',
  'WRONG_VEHICLE',
  'DELEGATION_IN_DIRECTOR',
  /** The image is not the signed one. */
  'IMAGE_MISMATCH',
  'UNSIGNED_REPORT',
] as const;
export type AttackCode = (typeof ATTACKS)[number];

/** `where` names the file (`director targets`); `reason` says what was expected, what came, and what to do. */
export interface TrustFault {
  readonly ok: false;
  readonly code: AttackCode;
  readonly where: string;
  readonly reason: string;
}

export type Verdict<T> = { readonly ok: true; readonly value: T } | TrustFault;

export function refused(code: AttackCode, where: string, reason: string): TrustFault {
  return { ok: false, code, where: plain(where), reason: plain(reason) };
}

/** Makes one line of text for logs and consoles: role names and messages of parsers can contain anything. */
function plain(text: string): string {
  const line = text.replaceAll(/\p{Cc}+/gu, ' ');
  return line.length > 400 ? `${line.slice(0, 400)}...` : line;
}

export function accepted<T>(value: T): Verdict<T> {
  return { ok: true, value };
}

/** Text for messages: `director targets: ROLLBACK: version 3 is older than 4, which is trusted`. */
export function faultText({ where, code, reason }: TrustFault): string {
  return `${where}: ${code}: ${reason}`;
}

// The dialects of metadata, and how large a file may be. What a dialect allows stands in one table.

/**
 * `strict` is ours. `tuf` is any TUF 1.0 repository. `aktualizr` is the dialect of that client and its servers, for
 * those who ask for it.
 */
const DIALECTS = ['strict', 'tuf', 'aktualizr'] as const;
export type Dialect = (typeof DIALECTS)[number];

export const SCHEMES = [
  'ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'rsassa-pss-sha256',
  'rsassa-pss-sha384',
  'rsassa-pss-sha512',
] as const;
export type SignatureScheme = (typeof SCHEMES)[number];

export interface DialectRules {
  /** Key ids are SHA-256 over the canonical JSON of {keytype, scheme, keyval}; otherwise they are opaque. */
  readonly keyIds: 'recomputed' | 'opaque';
  /** What one key's material under two ids does: refuses the file, or counts as one. */
  readonly sameKeyTwice: 'refused' | 'counted once';
  /** Uptane 5.2: strings in Unicode Normalization Form C. */
  readonly nfc: boolean;
  /** A key that cannot be read refuses the file, or signs nothing. */
  readonly unreadableKey: 'refused' | 'ignored';
  /** Signature schemes that count; keys of all others sign nothing. */
  readonly schemes: readonly SignatureScheme[];
  /** `_type` is `Root`, there is no `spec_version`, keys have no `scheme`, signatures may be base64. */
  readonly oldForm: boolean;
  /** What is signed: OLPC's canonical JSON (TUF), or also JSON with sorted names and without spaces. */
  readonly canonical: 'OLPC' | 'OLPC or sorted JSON';
  /** Length and hashes of metadata are those of the file; or hashes alone, which may be of its canonical form. */
  readonly namedFile: 'exact' | 'by content';
  /** A new Timestamp or Director Targets of the version that is trusted: not looked at, or taken when it is signed. */
  readonly sameVersion: 'kept' | 'replaced';
  /** Timestamp names the hash of Snapshot (Uptane 5.2.5); TUF leaves it open. */
  readonly snapshotHash: boolean;
  readonly lowestVersion: 0 | 1;
  /** `YYYY-MM-DDTHH:MM:SSZ` and nothing else (TUF 4.2.1). */
  readonly expiry: 'seconds in UTC' | 'any ISO 8601';
  /** The Director has Timestamp and Snapshot (5.3.2); otherwise its Targets follow its Root. */
  readonly directorSnapshot: boolean;
  /** Delegations may be limited to hardware ids and given to several roles together (5.2.3.2). */
  readonly uptaneDelegations: boolean;
  /** Targets carry all fields of `custom` (release counter, hardware ids, VIN...), and they must match. */
  readonly customFields: 'required' | 'optional';
}

const TUF: DialectRules = {
  keyIds: 'opaque',
  sameKeyTwice: 'counted once',
  nfc: false,
  unreadableKey: 'ignored',
  schemes: SCHEMES,
  oldForm: false,
  canonical: 'OLPC',
  namedFile: 'exact',
  sameVersion: 'kept',
  snapshotHash: false,
  lowestVersion: 1,
  expiry: 'any ISO 8601',
  directorSnapshot: true,
  uptaneDelegations: false,
  customFields: 'required',
};

export const RULES: Readonly<Record<Dialect, DialectRules>> = {
  strict: {
    ...TUF,
    keyIds: 'recomputed',
    sameKeyTwice: 'refused',
    nfc: true,
    unreadableKey: 'refused',
    schemes: ['ed25519', 'ecdsa-sha2-nistp256'],
    snapshotHash: true,
    expiry: 'seconds in UTC',
    uptaneDelegations: true,
  },
  tuf: TUF,
  aktualizr: {
    ...TUF,
    oldForm: true,
    canonical: 'OLPC or sorted JSON',
    namedFile: 'by content',
    sameVersion: 'replaced',
    lowestVersion: 0,
    directorSnapshot: false,
    customFields: 'optional',
  },
};

/** The largest file of each role in bytes, where no other file names its length (5.4.4.3: X, Y and Z). */
export const MAX_BYTES = {
  root: 512_000,
  timestamp: 16_384,
  snapshot: 2_000_000,
  /** Room for some 20,000 images. */
  targets: 8_388_608,
} as const;

/** New Roots in one update; the next update goes on where this one ended. */
export const MAX_ROOTS = 256;

/** Delegated roles that are visited for one image. */
export const MAX_DELEGATIONS = 64;

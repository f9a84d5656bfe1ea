// The dialects of metadata in one table, and how large a file may be.

/**
 * `strict` is ours. `tuf` is any TUF 1.0 repository. `aktualizr` is the dialect of that client and its servers, used on
 * request only.
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
  /** Effect of a key that is listed under two ids: the file is refused, or the key counts once. */
  readonly sameKeyTwice: 'refused' | 'counted once';
  /** Uptane 5.2: strings in Unicode Normalization Form C. */
  readonly nfc: boolean;
  /** Effect of a key that cannot be read: the file is refused, or the key signs nothing. */
  readonly unreadableKey: 'refused' | 'ignored';
  /** Accepted signature schemes; keys of other schemes sign nothing. */
  readonly schemes: readonly SignatureScheme[];
  /** `_type` is `Root`, there is no `spec_version`, keys have no `scheme`, signatures may be base64. */
  readonly oldForm: boolean;
  /** The signed form: OLPC's canonical JSON (TUF), or also JSON with sorted names and without spaces. */
  readonly canonical: 'OLPC' | 'OLPC or sorted JSON';
  /** Length and hashes of metadata are those of the file; or only the hashes, which may be of its canonical form. */
  readonly namedFile: 'exact' | 'by content';
  /** A new Timestamp or Director Targets with the trusted version: ignored, or accepted if it is signed. */
  readonly sameVersion: 'kept' | 'replaced';
  /** Timestamp contains the hash of Snapshot (Uptane 5.2.5); TUF makes it optional. */
  readonly snapshotHash: boolean;
  readonly lowestVersion: 0 | 1;
  /** `YYYY-MM-DDTHH:MM:SSZ` and no other form (TUF 4.2.1). */
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
  /** Enough for about 20,000 images. */
  targets: 8_388_608,
} as const;

/** Most new Roots in one update; the next update continues from there. */
export const MAX_ROOTS = 256;

/** Most delegated roles that are visited for one image. */
export const MAX_DELEGATIONS = 64;

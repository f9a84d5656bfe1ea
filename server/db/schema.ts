// The tables. Times are ISO 8601 text in UTC (they sort), identifiers are text: nothing here is SQLite's own.

export interface UsersTable {
  name: string;
  role: string;
  password_hash: string;
  created_at: string;
  changed_at: string;
}

export interface SessionsTable {
  /** SHA-256 of the cookie's value: a copy of the database opens no session. */
  id_hash: string;
  user_name: string;
  data: string;
  created_at: string;
  expires_at: string;
}

export interface ReleasesTable {
  id: string;
  ecu: string;
  version: string;
  /** The public name in URLs, looked up here and never used as a path. */
  file: string;
  size: number;
  sha256: string;
  notes: string;
  uploaded_by: string;
  uploaded_at: string;
}

export interface NoncesTable {
  /** SHA-256 of the nonce. */
  hash: string;
  address: string;
  vin: string | null;
  /** The release of the first request that showed the nonce. */
  release_id: string | null;
  issued_at: string;
  expires_at: string;
  /** When the whole image was asked for. */
  used_at: string | null;
  /** The file of that release: the image, or a copy that is encrypted for one ECU. */
  file: string | null;
}

export interface ReportsTable {
  id: string;
  vin: string;
  address: string;
  outcome: string;
  /** Finer than the outcome. */
  code: string | null;
  campaign: string | null;
  reason: string | null;
  received_at: string;
  /** JSON, a list of texts. */
  warnings: string | null;
}

export interface ReportEcusTable {
  report_id: string;
  position: number;
  name: string;
  hardware_id: string | null;
  from_version: string | null;
  version: string | null;
  sha256: string | null;
  error: string | null;
}

/** What vehicles tell of their campaigns. */
export interface CampaignsTable {
  /** In the order in which they were first heard of. */
  id: string;
  vin: string;
  campaign: string;
  state: string;
  started_at: string;
  heard_at: string;
  /** Null while it is under way. */
  ended_at: string | null;
}

export interface CancelOrdersTable {
  id: string;
  vin: string;
  campaign: string;
  ordered_by: string;
  reason: string;
  ordered_at: string;
  /** 1 or 0; null while the vehicle has not answered. */
  accepted: number | null;
  answer: string | null;
  answered_at: string | null;
}

export interface AuditTable {
  id: string;
  /** First and last time; they differ where equal refusals were counted together. */
  at: string;
  last_at: string;
  count: number;
  category: string;
  action: string;
  who: string;
  address: string;
  detail: string;
}

export interface CountersTable {
  name: string;
  /** The last number that was given out. */
  value: number;
}

export interface DevicesTable {
  hw_id: string;
  serial: string;
  /** `factory_only`, `active` or `revoked`. */
  status: string;
  created_at: string;
  updated_at: string;
  /** SHA-256 of the device's secret, which is the key of its challenges. */
  device_secret_hash: string | null;
  vin: string | null;
  /** The ECU's name in the vehicle: EDT. */
  name: string | null;
  hardware_id: string | null;
  is_primary: number;
  /** Ed25519 and X25519 public keys, hexadecimal. */
  signing_key: string | null;
  encryption_key: string | null;
}

export interface ServiceTokensTable {
  name: string;
  role: string;
  token_hash: string;
  created_at: string;
}

/** Signed metadata that is the same for every vehicle: all roots, and the image repository. */
export interface MetadataTable {
  /** `director` or `images`. */
  repository: string;
  role: string;
  version: number;
  bytes: Uint8Array;
  stored_at: string;
}

export interface VehiclesTable {
  vin: string;
  /** `new`, `pending`, `up-to-date` or `needs-attention`. */
  state: string;
  reason: string;
  state_since: string;
  /** The last manifest that was right. */
  checked_in_at: string | null;
  manifest_sha256: string | null;
  telemetry: string | null;
  /** Of what the signed Targets say; another value means another version. */
  decision_sha256: string | null;
  targets_version: number;
  snapshot_version: number;
  timestamp_version: number;
  /** When half of the validity of what is signed is over. */
  renew_at: string | null;
}

export interface VehicleMetadataTable {
  vin: string;
  role: string;
  version: number;
  bytes: Uint8Array;
}

/** The last version report of each ECU. */
export interface EcuReportsTable {
  serial: string;
  counter: number;
  file: string;
  length: number;
  sha256: string;
  /** The highest release counter that it was ever seen with. */
  release_counter: number;
  attack: string;
  attack_at: string | null;
  verified_time: string | null;
  received_at: string;
}

export interface EncryptedImagesTable {
  file: string;
  serial: string;
  encryption_key: string;
  /** Target name and SHA-256 of the plain image. */
  name: string;
  plain_sha256: string;
  length: number;
  sha256: string;
  created_at: string;
}

export interface Schema {
  users: UsersTable;
  sessions: SessionsTable;
  releases: ReleasesTable;
  nonces: NoncesTable;
  reports: ReportsTable;
  report_ecus: ReportEcusTable;
  campaigns: CampaignsTable;
  cancel_orders: CancelOrdersTable;
  audit: AuditTable;
  counters: CountersTable;
  devices: DevicesTable;
  service_tokens: ServiceTokensTable;
  metadata: MetadataTable;
  vehicles: VehiclesTable;
  vehicle_metadata: VehicleMetadataTable;
  ecu_reports: EcuReportsTable;
  encrypted_images: EncryptedImagesTable;
}

// The tables. Times are ISO 8601 text in UTC (they sort), identifiers are text: nothing here is SQLite's own.

interface UsersTable {
  name: string;
  role: string;
  password_hash: string;
  created_at: string;
  changed_at: string;
}

interface SessionsTable {
  /** SHA-256 of the cookie's value: a copy of the database opens no session. */
  id_hash: string;
  user_name: string;
  data: string;
  created_at: string;
  expires_at: string;
}

interface ReleasesTable {
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

interface NoncesTable {
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
  /** Bytes that were sent under it; those that a client lost and asked for again count twice. */
  sent_bytes: number;
  /** 1 when the last byte of the file was among them. */
  last_sent: number;
  /** When the whole file had been sent. */
  ended_at: string | null;
}

interface ReportsTable {
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
  /** Size of the whole report, with its ECUs. */
  bytes: number;
  /** The network that it came from where no device was logged in; null for a device that was. */
  stranger: string | null;
}

interface ReportEcusTable {
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
interface CampaignsTable {
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

interface CancelOrdersTable {
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

interface AuditTable {
  id: string;
  /** First and last time; they differ where equal refusals were counted together. */
  at: string;
  last_at: string;
  count: number;
  category: string;
  /** Rows of one share push out none of another. */
  share: string;
  action: string;
  who: string;
  address: string;
  detail: string;
}

interface CountersTable {
  name: string;
  /** The last number that was given out. */
  value: number;
}

interface SealedSessionsTable {
  id: string;
  /** 16 bytes, hexadecimal. */
  session: string;
  serial: string;
  suite: string;
  /** 32 bytes, hexadecimal: like the device's key: a reader of it can act as this device. */
  secret: string;
  /** The last sequence number of the device. */
  highest: number;
  opened_at: string;
  expires_at: string;
}

interface DeviceKeysTable {
  serial: string;
  /** Of the last session, as the device counts them. */
  counter: number;
  /** What the device may have changed to, hexadecimal. */
  next_key: string | null;
  changed_at: string | null;
  /** How often a session was opened that the device had opened before, and when last. */
  twin_count: number;
  twin_at: string | null;
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

interface ServiceTokensTable {
  name: string;
  role: string;
  token_hash: string;
  created_at: string;
  /** Null for a token that does not expire. */
  expires_at: string | null;
  /** Not more exact than an hour; null for a token that was never used. */
  used_at: string | null;
}

interface DeviceTokensTable {
  /** SHA-256 of the token: a copy of the database opens no session. */
  token_hash: string;
  serial: string;
  /** Counts the sessions of one device. */
  number: number;
  opened_at: string;
  expires_at: string;
}

/** Signed metadata that is the same for every vehicle: all roots, and the image repository. */
interface MetadataTable {
  /** `director` or `images`. */
  repository: string;
  role: string;
  version: number;
  bytes: Uint8Array;
  stored_at: string;
}

interface VehiclesTable {
  vin: string;
  /** `new`, `pending`, `up-to-date` or `needs-attention`. */
  state: string;
  reason: string;
  state_since: string;
  /** The last manifest that was right. */
  checked_in_at: string | null;
  manifest_sha256: string | null;
  /** JSON of src/contract/checkin-telemetry.ts, and when it came. */
  telemetry: string | null;
  telemetry_at: string | null;
  /** Of what the signed Targets say; another value means another version. */
  decision_sha256: string | null;
  targets_version: number;
  snapshot_version: number;
  timestamp_version: number;
  /** When half of the validity of what is signed is over. */
  renew_at: string | null;
}

interface VehicleMetadataTable {
  vin: string;
  role: string;
  version: number;
  bytes: Uint8Array;
}

/** The last version report of each ECU. */
interface EcuReportsTable {
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

interface EncryptedImagesTable {
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

/** What operators want of a vehicle, version by version, and what it said about each. */
interface ConfigurationsTable {
  vin: string;
  version: number;
  /** JSON, as the operator wrote it. */
  parameters: string;
  changed_by: string;
  changed_at: string;
  comment: string | null;
  /** JSON, of the vehicle's report: what it did with each parameter. Null until it has told. */
  results: string | null;
  /** JSON: all parameters that were in force then. */
  in_force: string | null;
  /** Times by the vehicle's clock, and by the server's. */
  judged_at: string | null;
  reported_at: string | null;
}

/** What a vehicle says of itself in its contacts. */
interface VehicleServicesTable {
  vin: string;
  /** Of the configuration that it judged last, 0 for none. */
  judged_version: number;
  /** JSON: what its ECUs can be told to do. */
  catalogue: string | null;
  catalogue_digest: string | null;
  catalogue_at: string | null;
}

interface CommandsTable {
  id: string;
  vin: string;
  ecu: string;
  action: string;
  /** JSON. */
  arguments: string;
  priority: number;
  expires_at: string;
  /** Chosen by who ordered; once per vehicle. */
  key: string | null;
  /** JSON of what was asked for, to tell the same request from another one under the same key. */
  request: string;
  created_by: string;
  created_at: string;
  state: string;
  /** When it left for the vehicle first; whether it arrived is for the vehicle to say. */
  handed_out_at: string | null;
  delivered_at: string | null;
  executing_at: string | null;
  ended_at: string | null;
  /** Of the last report that counted, by the vehicle's clock. */
  vehicle_at: string | null;
  cancelled_by: string | null;
  cancelled_at: string | null;
  code: string | null;
  reason: string | null;
  nrc: number | null;
  result: string | null;
  runs: number;
}

/** Each store of measured data that ever sent: what it sent, and what is missing. */
interface TelemetrySendersTable {
  id: string;
  vin: string;
  sender: string;
  /** Number of the last batch. */
  highest: number;
  batches: number;
  samples: number;
  duplicates: number;
  /** Batches that never came. */
  lost: number;
  /** Samples that the vehicle had no room for. */
  dropped: number;
  heard_at: string;
}

interface TelemetrySamplesTable {
  id: string;
  vin: string;
  did: string;
  /** Time by the vehicle's clock, in UTC. */
  at: string;
  count: number;
  mean: number | null;
  min: number | null;
  max: number | null;
  unit: string | null;
  raw: string | null;
  received_at: string;
}

/** The key that packages of a model are signed with: the first one under which one came. */
interface ReleaseKeysTable {
  model: string;
  profile: string;
  key_id: string;
  /** PEM */
  public_key: string;
  pinned_at: string;
}

interface DevicePackagesTable {
  id: string;
  model: string;
  version: string;
  counter: number;
  profile: string;
  /** Of the plain image. */
  length: number;
  sha256: string;
  signature: string;
  key_id: string;
  released_by: string;
  released_at: string;
  /** All three are null for a package that is not withdrawn. */
  withdrawn_at: string | null;
  withdrawn_by: string | null;
  withdrawn_reason: string | null;
}

interface DeviceCopiesTable {
  serial: string;
  package_id: string;
  /** Of the secret by which it was encrypted. */
  secret_mark: string;
  length: number;
  sha256: string;
  created_at: string;
}

export interface TransfersTable {
  id: string;
  serial: string;
  package_id: string | null;
  what: string;
  /** SHA-256 as announced, and as stored. */
  image: string;
  content: string;
  length: number;
  chunk_bytes: number;
  state: string;
  asked: number;
  version: string | null;
  code: string | null;
  reason: string | null;
  /** JSON */
  diagnostics: string | null;
  started_at: string;
  changed_at: string;
}

interface AskOrdersTable {
  id: string;
  vin: string;
  /** The campaign that the driver has refused. */
  campaign: string;
  ordered_by: string;
  reason: string;
  ordered_at: string;
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
  ask_orders: AskOrdersTable;
  audit: AuditTable;
  counters: CountersTable;
  devices: DevicesTable;
  sealed_sessions: SealedSessionsTable;
  device_keys: DeviceKeysTable;
  service_tokens: ServiceTokensTable;
  device_tokens: DeviceTokensTable;
  metadata: MetadataTable;
  vehicles: VehiclesTable;
  vehicle_metadata: VehicleMetadataTable;
  ecu_reports: EcuReportsTable;
  encrypted_images: EncryptedImagesTable;
  configurations: ConfigurationsTable;
  vehicle_services: VehicleServicesTable;
  commands: CommandsTable;
  telemetry_senders: TelemetrySendersTable;
  telemetry_samples: TelemetrySamplesTable;
  release_keys: ReleaseKeysTable;
  device_packages: DevicePackagesTable;
  device_copies: DeviceCopiesTable;
  transfers: TransfersTable;
}

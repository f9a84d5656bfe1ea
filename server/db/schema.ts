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
}

export interface ReportsTable {
  id: string;
  vin: string;
  address: string;
  outcome: string;
  campaign: string | null;
  reason: string | null;
  received_at: string;
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

export interface Schema {
  users: UsersTable;
  sessions: SessionsTable;
  releases: ReleasesTable;
  nonces: NoncesTable;
  reports: ReportsTable;
  report_ecus: ReportEcusTable;
  audit: AuditTable;
}

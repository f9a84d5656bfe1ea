// Who can stand behind a request: a person, a tool with a token, or a registered device.

export const ROLES = ['admin', 'viewer'] as const;
/** `admin` uploads and downloads, `viewer` looks. */
export type Role = (typeof ROLES)[number];

export interface Person {
  readonly name: string;
  readonly role: Role;
  /** A token for this session's forms. */
  readonly csrfToken: string;
}

export const TOKEN_ROLES = ['factory', 'release', 'director', 'operator'] as const;
/**
 * `factory` provisions, `release` uploads images and metadata and cancels campaigns, `operator` cancels campaigns,
 * configures vehicles, commands their ECUs and reads what they measured, `director` reads plain images for encryption.
 */
export type TokenRole = (typeof TOKEN_ROLES)[number];

export interface ServiceToken {
  readonly name: string;
  readonly role: TokenRole;
  readonly createdAt: string;
  /** Undefined for a token that does not expire. */
  readonly expiresAt: string | undefined;
  /** Not more exact than an hour. */
  readonly usedAt: string | undefined;
}

export const DEVICE_STATUSES = ['factory_only', 'active', 'revoked'] as const;
export type DeviceStatus = (typeof DEVICE_STATUSES)[number];

/** What the factory tells of a device; keys and hashes in lower-case hexadecimal. */
export interface DeviceFacts {
  readonly vin: string | undefined;
  readonly name: string | undefined;
  readonly hardwareId: string | undefined;
  readonly primary: boolean;
  readonly signingKey: string | undefined;
  readonly encryptionKey: string | undefined;
  /** SHA-256 of the device's secret: the key of its challenges. */
  readonly secretHash: string | undefined;
}

export interface RegisteredDevice extends DeviceFacts {
  readonly hwId: string;
  readonly serial: string;
  readonly status: DeviceStatus;
  readonly createdAt: string;
  readonly updatedAt: string;
}

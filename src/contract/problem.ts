// Refusals on the wire: problem details (RFC 9457) with a stable code.

import { z } from 'zod';

/** Each code with its status. Scripts and vehicles depend on codes; the texts may change. */
export const PROBLEM_STATUS = {
  ADDRESS_NOT_ALLOWED: [403],
  BACKEND_BEHIND: [503],
  BAD_ARGUMENT: [422],
  BAD_FIELD: [400],
  BAD_JSON: [400],
  BAD_NAME: [400],
  /** 431: the header is too large. */
  BAD_REQUEST: [400, 431],
  BODY_INCOMPLETE: [400],
  BODY_TIMEOUT: [408],
  BODY_TOO_LARGE: [413],
  CHUNK_RANGE: [416],
  COMMAND_LIMIT: [409],
  COMMAND_OVER: [409],
  CONFIGURATION_CHANGED: [409],
  CSRF: [403],
  DATABASE_BUSY: [503],
  DEVICE_ACTIVE: [409],
  DEVICE_CERTIFICATE: [403],
  DEVICE_INCOMPLETE: [409],
  DEVICE_REFUSED: [401],
  DEVICE_REVOKED: [409],
  DEVICE_TAKEN: [409],
  DEVICE_UNKNOWN: [404],
  ENCRYPTED_ONLY: [403],
  FOREIGN_ORIGIN: [403],
  FOREIGN_VEHICLE: [403],
  IMAGE_EMPTY: [400],
  IMAGE_FORMAT: [400],
  IMAGE_MISSING: [500],
  IMAGE_TOO_LARGE: [413],
  INSUFFICIENT_STORAGE: [507],
  INTERNAL: [500],
  KEY_REUSED: [409],
  LOGIN_FAILED: [401],
  LOGIN_REQUIRED: [401],
  LOGIN_THROTTLED: [429],
  MANIFEST_INCOMPLETE: [422],
  MANIFEST_MALFORMED: [422],
  MANIFEST_MISSING: [422],
  MANIFEST_REPLAYED: [409],
  MANIFEST_TIME: [422],
  MANIFEST_UNKNOWN_ECU: [422],
  MANIFEST_UNSIGNED: [422],
  MANIFEST_VEHICLE: [422],
  MESSAGE_FORGED: [401],
  MESSAGE_MALFORMED: [400],
  MESSAGE_REPLAYED: [401],
  METADATA_KEYS: [409],
  METADATA_REFUSED: [422],
  /** 501: a method that no address supports. */
  METHOD_NOT_ALLOWED: [405, 501],
  MODEL_MISMATCH: [409],
  NONCE_EXPIRED: [403],
  NONCE_FOREIGN: [403],
  NONCE_LIMIT: [429],
  NONCE_MISSING: [403],
  NONCE_OTHER_FILE: [403],
  NONCE_UNKNOWN: [403],
  NONCE_USED: [403],
  NOT_FOUND: [404],
  NO_CAMPAIGN: [409],
  NO_CATALOGUE: [409],
  NO_KEY_PAIR: [409],
  NO_REFUSAL: [409],
  NO_REPOSITORY: [409],
  NO_TRUST: [404],
  OTHER_CHIP: [403],
  PACKAGE_CONFLICT: [409],
  PACKAGE_KEY: [409],
  PACKAGE_REFUSED: [422],
  PACKAGE_WITHDRAWN: [409],
  RANGE: [416],
  RATE_LIMITED: [429],
  RELEASE_CONFLICT: [409],
  ROLE: [403],
  SESSION_UNKNOWN: [401],
  SUITE_REFUSED: [403],
  TOKEN_EXPIRED: [401],
  TOKEN_REQUIRED: [401],
  TRANSFER_ENDED: [409],
  TRANSFER_UNKNOWN: [404],
  UNKNOWN_ACTION: [422],
  UNKNOWN_ECU: [422],
  UNSUPPORTED_MEDIA_TYPE: [415],
  UPSTREAM: [502],
  VEHICLE_UNKNOWN: [404],
} as const satisfies Readonly<Record<string, readonly number[]>>;

export type ProblemCode = keyof typeof PROBLEM_STATUS;

export const PROBLEM_TYPE = 'application/problem+json';

/** Problem details of RFC 9457. A client that does not know a code goes by the status. */
export const problemDetails = z
  .object({
    type: z.literal('about:blank'),
    title: z.string().max(200),
    status: z.number(),
    detail: z.string(),
    code: z.string().regex(/^[A-Z][A-Z0-9_]{1,63}$/),
  })
  .meta({ id: 'Problem' });

/** The content of a sealed refusal; its status is authenticated with the message. */
export const sealedProblem = problemDetails
  .pick({ code: true, detail: true })
  .meta({ id: 'SealedProblem' });

/** Problems of every endpoint. */
export const COMMON_PROBLEMS = [
  'ADDRESS_NOT_ALLOWED',
  'BAD_REQUEST',
  'BODY_TIMEOUT',
  'DATABASE_BUSY',
  'INSUFFICIENT_STORAGE',
  'INTERNAL',
  'METHOD_NOT_ALLOWED',
] as const satisfies readonly ProblemCode[];

/** Problems of an endpoint with a body. */
export const BODY_PROBLEMS = [
  'BAD_FIELD',
  'BAD_JSON',
  'BODY_INCOMPLETE',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
] as const satisfies readonly ProblemCode[];

/** Problems of an endpoint for devices with a session. */
export const DEVICE_PROBLEMS = [
  'DEVICE_CERTIFICATE',
  'DEVICE_REFUSED',
  'FOREIGN_VEHICLE',
  'RATE_LIMITED',
  'TOKEN_EXPIRED',
] as const satisfies readonly ProblemCode[];

/** Problems of an endpoint with sealed messages. */
export const SEALED_PROBLEMS = [
  ...BODY_PROBLEMS,
  'DEVICE_CERTIFICATE',
  'DEVICE_REFUSED',
  'FOREIGN_VEHICLE',
  'MESSAGE_FORGED',
  'MESSAGE_MALFORMED',
  'MESSAGE_REPLAYED',
  'RATE_LIMITED',
  'SESSION_UNKNOWN',
] as const satisfies readonly ProblemCode[];

/** Problems of an endpoint for tools with a token. */
export const TOKEN_PROBLEMS = [
  'DEVICE_CERTIFICATE',
  'DEVICE_REFUSED',
  'RATE_LIMITED',
  'ROLE',
  'TOKEN_EXPIRED',
  'TOKEN_REQUIRED',
] as const satisfies readonly ProblemCode[];

/** Problems of an endpoint for people who are logged in. */
export const PERSON_PROBLEMS = ['LOGIN_REQUIRED', 'ROLE'] as const satisfies readonly ProblemCode[];

/** Problems of an endpoint for people and tools that changes nothing. */
export const READER_PROBLEMS = [
  ...TOKEN_PROBLEMS,
  'LOGIN_REQUIRED',
] as const satisfies readonly ProblemCode[];

/** Problems of an endpoint for people and tools that changes something; a person needs a CSRF token. */
export const CHANGER_PROBLEMS = [
  ...READER_PROBLEMS,
  'CSRF',
] as const satisfies readonly ProblemCode[];

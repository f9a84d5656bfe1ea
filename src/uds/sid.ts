// Codes of ISO 14229-1 that several services share: sessions, data identifiers, routines, first bytes of responses.

export const NEGATIVE_RESPONSE = 0x7f;
export const POSITIVE_RESPONSE_OFFSET = 0x40;
/** Bit 7 of a sub-function: suppressPosRspMsgIndicationBit. */
export const SUPPRESS_POSITIVE_RESPONSE = 0x80;

export const Session = {
  default: 0x01,
  programming: 0x02,
  extended: 0x03,
  safetySystem: 0x04,
} as const;
export type Session = (typeof Session)[keyof typeof Session];

/** Data identifiers of ISO 14229-1 table C.1 in use here, then ours from the system supplier's range FD00..FEFF. */
export const Did = {
  activeDiagnosticSession: 0xf186,
  sparePartNumber: 0xf187,
  ecuSoftwareVersion: 0xf189,
  systemSupplierIdentifier: 0xf18a,
  ecuSerialNumber: 0xf18c,
  vin: 0xf190,
  ecuHardwareNumber: 0xf191,
  systemSupplierSoftwareVersion: 0xf195,
  applicationSoftwareFingerprint: 0xf15a,
  /** Boot state, see `src/uds/boot-state.ts`. */
  bootState: 0xfd00,
  /** SHA-256 that the ECU computes over the image in its active bank at each request: 32 bytes. */
  activeBankDigest: 0xfd01,
  /** SHA-256 computed over the verified image in the inactive bank; requestOutOfRange without such an image. */
  inactiveBankDigest: 0xfd02,
  /** How much of an interrupted download is durable, see `src/uds/resume-state.ts`; requestOutOfRange without a download. */
  resumeState: 0xfd03,
  /** Unique number of the chip, 16 bytes; read-only. */
  deviceId: 0xfd10,
  /** One byte, see `ProvisioningState`. */
  provisioningState: 0xfd11,
  /** Public halves of the ECU's own keys: Ed25519 for reports, X25519 for encrypted images; 32 bytes each. */
  publicKeys: 0xfd12,
  /** Secret of the device sessions, 32 bytes. Like the next two it can be read and written until the readout is locked. */
  deviceSecret: 0xfd13,
  /** Secret of SecurityAccess, 16 to 64 bytes. */
  securityAccessKey: 0xfd14,
  /** Key of the driver's approval, 32 bytes; on the ECU that asks the driver. */
  approvalKey: 0xfd15,
  /** X25519 public key of the TMU that may give orders by service 84, 32 bytes. */
  testerKey: 0xfd16,
  /** X25519 public key of the factory that may change VIN and tester key after the lock, 32 bytes; optional. */
  factoryKey: 0xfd17,
  /** Versions of the metadata that the ECU trusts, its latest verified time and report counter, as JSON. */
  trustState: 0xfd20,
  /** 16 bytes that the next signed time must carry; they change when a bundle has used them, and after each reset. */
  timeNonce: 0xfd21,
  /** Signed version report as JSON; its counter rises with each read. */
  versionReport: 0xfd22,
  /** Written by 84: counter (8 bytes) of the newest version report that the Director has. */
  reportReceived: 0xfd23,
  /**
   * For service 84: 16 bytes that are new after each reset, the counter of the last message (2 bytes), and a MAC of both for
   * the TMU (16 bytes; zeros before the lock).
   */
  securedDataChallenge: 0xfd24,
  /** The last campaign that changed the ECU, see `src/uds/campaign-record.ts`. */
  campaignRecord: 0xfd25,
} as const;

/** Routine identifiers: FF00 and FF01 are defined by the standard, the others by the vehicle manufacturer. */
export const Routine = {
  eraseMemory: 0xff00,
  checkProgrammingDependencies: 0xff01,
  /** The driver's approval, on the CGW only. */
  driverApproval: 0x0200,
  /** Shows the driver how the update ended: UTF-8 text. On the CGW only. */
  updateOutcome: 0x0204,
  /** Argument: SHA-256 of the image just transferred, 32 bytes. Result: one byte, 0 = correct. */
  checkMemory: 0x0202,
  /** Result: one byte, 0 = all met. */
  checkProgrammingPreconditions: 0x0203,
  /** The ECU creates new keys; possible until the readout is locked. */
  generateKeys: 0x0220,
  /** Ends provisioning permanently: secrets and memory cannot be read or written any more. */
  lockReadout: 0x0221,
  /** The next reset boots the inactive bank on trial. Options of 0210 to 0213: `src/uds/campaign-record.ts`. */
  activateBank: 0x0210,
  /** Makes the running trial bank the confirmed one; a rollback stays possible. Results: one byte, 0 = self test passed. */
  confirmBank: 0x0211,
  /** The next reset boots the previous bank. Before activation: the ECU forgets the staged image. */
  rollbackBank: 0x0212,
  /** Raises the security counter to that of the running, confirmed image: from then on no older image can run. */
  commitCounter: 0x0213,
} as const;

/** Value of the data identifier FD11. `open`: something was provisioned, but the ECU is not locked yet. */
export const ProvisioningState = { virgin: 0, open: 1, locked: 2 } as const;
export type ProvisioningState = (typeof ProvisioningState)[keyof typeof ProvisioningState];
